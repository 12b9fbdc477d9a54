//! What a run's steps have to know before they can go on.

use serde_json::Value;

use super::{Pipeline, Told};
use crate::model::{ChannelName, MessageStatus, Occasion, Run};
use crate::plan::{Answer, Asked, Ended, Question, Standing, Unwritten};
use crate::render;
use crate::store::{Concluded, StoreError};
use crate::workflow::step::{PART, Success};

impl Pipeline {
    /// # Errors
    /// The store: the run stays claimed until its lease ends, and asks again.
    pub(super) async fn answered(
        &self,
        told: Told<'_>,
        run: &Run,
        asked: Asked,
    ) -> Result<Answer, StoreError> {
        Ok(match &asked.question {
            Question::Collected { next } => {
                let occasion = Occasion { run: run.id, step: asked.step, item: asked.item };
                Answer::Collected(self.store.collect(&occasion, self.clock.now(), *next).await?)
            }
            Question::Throttle(pass) => Answer::Throttle(self.store.pass(pass.clone()).await?),
            Question::Awaited => Answer::Awaited(self.concluded(run, &asked).await?),
            Question::Tried { channel, success } => {
                Answer::Tried(self.tried(run, &asked, channel, *success).await?)
            }
            Question::Written { template, data } => self.written(told, run, template, data),
            Question::Fetch(inquiry) => Answer::Fetched(self.fetched(inquiry).await?),
        })
    }

    /// What a template makes of `data`, to be published.
    pub(super) fn written(
        &self,
        told: Told<'_>,
        run: &Run,
        template: &str,
        data: &Value,
    ) -> Answer {
        let Told { event, recipient, .. } = told;
        let told = render::Told { event, recipient, run };
        let (data, now) = (data.clone(), self.clock.now());
        let zone = self.rules.time_zone.iana_name().unwrap_or("UTC");
        let written =
            render::write(told, (template, PART), data, &self.catalog().templates, (zone, now));
        Answer::Written(written.map_err(|error| Unwritten {
            place: (error.line > 0).then(|| format!("{}:{}", error.path, error.line)),
            reason: error.to_string(),
        }))
    }

    async fn concluded(&self, run: &Run, asked: &Asked) -> Result<Ended, StoreError> {
        Ok(match self.store.conclude(run.id, &asked.step, asked.item).await? {
            Concluded::Unmatched => Ended::TimedOut,
            Concluded::Matched(None) => Ended::Matched(None),
            Concluded::Matched(Some(id)) => {
                let record = self.store.event(id).await?;
                Ended::Matched(record.map(|record| Box::new(record.event)))
            }
        })
    }

    /// A message that was called back stays so: asked again, it is lost all the same.
    async fn tried(
        &self,
        run: &Run,
        asked: &Asked,
        channel: &ChannelName,
        success: Success,
    ) -> Result<Standing, StoreError> {
        let read = success.is_read();
        if read && self.store.entry(run.id).await?.is_some_and(|entry| entry.read_at.is_some()) {
            return Ok(Standing::Reached);
        }
        let deliveries = self.store.deliveries(run.id).await?;
        let tried = deliveries.into_iter().map(|(message, _)| message).find(|message| {
            message.step == asked.step && message.item == asked.item && message.channel == *channel
        });
        let Some(message) = tried else { return Ok(Standing::Lost) };
        let status = match message.status {
            MessageStatus::Pending | MessageStatus::Leased => {
                self.store.cancel(message.id, self.clock.now()).await?
            }
            other => Some(other),
        };
        Ok(match status {
            Some(MessageStatus::Sending) => Standing::Leaving,
            Some(sent) if sent.is_sent() && !read => {
                let underway = self.is_underway(sent, message.provider.as_ref());
                match success == Success::Delivered && underway {
                    true => Standing::Lost,
                    false => Standing::Reached,
                }
            }
            _ => Standing::Lost,
        })
    }
}
