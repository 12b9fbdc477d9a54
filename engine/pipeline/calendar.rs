use jiff::Timestamp;

use super::Pipeline;
use crate::model::{Run, StepPath};
use crate::plan;
use crate::store::{CalendarQuery, Due, Planned, Result};

/// A line of the calendar, and where its run comes by later.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen {
    pub planned: Planned,
    /// Of the loops around the run's place: the moments after the next one, earliest first.
    pub later: Vec<(StepPath, Timestamp)>,
}

impl Pipeline {
    pub(super) async fn foresee(&self, query: &CalendarQuery) -> Result<Vec<Foreseen>> {
        let mut foreseen = Vec::new();
        for planned in self.store.calendar(query).await? {
            let later = match &planned.due {
                Due::Run(run) => self.later(run).await?,
                _ => Vec::new(),
            };
            foreseen.push(Foreseen { planned, later });
        }
        Ok(foreseen)
    }

    async fn later(&self, run: &Run) -> Result<Vec<(StepPath, Timestamp)>> {
        let workflow = self.workflow(run).await?;
        if !plan::loops(&workflow, run) {
            return Ok(Vec::new());
        }
        let Some(record) = self.store.event(run.event).await? else { return Ok(Vec::new()) };
        let recipient = self.recipient(run).await?;
        let around = plan::Surroundings {
            workflow: &workflow,
            event: &record.event,
            recipient: &recipient,
            clock: &self.clock,
            time_zone: &self.rules.time_zone,
        };
        Ok(plan::later(around, run))
    }
}
