//! Where a run comes by later, as far as its loops tell.

use jiff::Timestamp;

use super::position::Position;
use super::{Surroundings, state};
use crate::expression::Scope;
use crate::model::{Run, StepPath};
use crate::workflow::Workflow;

/// Whether the run stands at, or inside of, a loop.
pub fn loops(workflow: &Workflow, run: &Run) -> bool {
    let position = run.position.as_ref().and_then(Position::parse);
    position.is_some_and(|position| position.around(workflow).next().is_some())
}

/// The moments that the loops around the run have still to come, after its next one. A loop whose
/// moments cannot be evaluated has none.
pub fn later(around: Surroundings<'_>, run: &Run) -> Vec<(StepPath, Timestamp)> {
    let Surroundings { workflow, event, recipient, clock, .. } = around;
    let Some(position) = run.position.as_ref().and_then(Position::parse) else {
        return Vec::new();
    };
    let scope = Scope::new(event, clock.now()).recipient(recipient).run(run);
    let mut later = Vec::new();
    for (outer, schedule) in position.around(workflow) {
        let Ok(at) = schedule.at.evaluate_time(&scope) else { continue };
        let next = state::turns(run, &outer.path()) + 1;
        let rounds = schedule.moments(at).into_iter().skip(next);
        let ahead = rounds.filter(|round| round.at > clock.now());
        later.extend(ahead.map(|round| (outer.path(), round.at)));
    }
    later.sort_by_key(|(_, at)| *at);
    later
}
