use serde_json::{Map, Value};

use super::{Machine, Then};
use crate::expression::{Expression, ExpressionError};
use crate::model::{
    ChannelName, Decision, FrameBody, Once, Publication, RoomName, Stream, TopicName, UserId,
    Verdict,
};
use crate::plan::question::{Answer, Question};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::{PART, Payload, Publish, Target};

impl Machine<'_> {
    pub(super) fn publish(&mut self, step: &Step, publish: &Publish) -> Result<Then, Failed> {
        let data = match &publish.payload {
            Payload::Data(data) => Value::Object(self.values(data)?),
            Payload::Template(template, data) => {
                let Some(Answer::Written(written)) = self.answer.take() else {
                    let (template, data) = (template.clone(), Value::Object(self.values(data)?));
                    return Ok(Then::Ask(Question::Written { template, data }));
                };
                written.map_err(|unwritten| Failed {
                    verdict: Verdict::Fail,
                    code: "render.failed",
                    reason: unwritten.reason,
                    rule: unwritten.place.unwrap_or_else(|| step.place.to_string()),
                })?
            }
        };
        if let Some(lasts) = self.around.workflow.expires
            && self.due.saturating_add(lasts.0).is_ok_and(|end| end < self.now())
        {
            let reason = format!("was to be published at {}, within {lasts}", self.due);
            let decision = self.decision(step, Verdict::Drop, "expired", reason);
            let channel = Some(ChannelName::from(PART));
            self.steps.decisions.push(Decision { channel, ..decision });
            state::status(self.run, step, "skipped");
            return Ok(Then::Next);
        }
        let stream = self.stream(&publish.to)?;
        let reason = format!("`{}` to {}", publish.name(), noun(&publish.to));
        let decision = self.decision(step, Verdict::Send, "published", reason);
        let recipient = match &stream {
            Stream::User(user) => Some(user.clone()),
            Stream::Topic(_) | Stream::Room(_) => decision.recipient.clone(),
        };
        let channel = Some(ChannelName::from(PART));
        self.steps.publications.push(Publication {
            stream,
            body: FrameBody::Published { name: publish.name().to_owned(), data },
            decision: Decision { recipient, channel, ..decision },
            once: publish.once.then(|| self.once(step)),
        });
        state::status(self.run, step, "done");
        Ok(Then::Next)
    }

    /// The name of what this step does once for all runs of the event.
    pub(super) fn once(&self, step: &Step) -> Once {
        Once {
            event: self.run.event,
            workflow: self.run.workflow.clone(),
            step: step.path.clone(),
            item: self.item,
        }
    }

    pub(super) fn values(
        &self,
        expressions: &[(String, Expression)],
    ) -> Result<Map<String, Value>, ExpressionError> {
        let scope = self.scope();
        let value = |(name, expression): &(String, Expression)| {
            Ok((name.clone(), expression.evaluate_value(&scope)?))
        };
        expressions.iter().map(value).collect()
    }

    fn stream(&self, to: &Target) -> Result<Stream, ExpressionError> {
        let name = to.expression().evaluate_text(&self.scope())?;
        Ok(match to {
            Target::Topic(_) => Stream::Topic(TopicName::from(name)),
            Target::Room(_) => Stream::Room(RoomName::from(name)),
            Target::User(_) => Stream::User(UserId::from(name)),
        })
    }
}

/// For a reader. Names of topics and rooms may hold what identifies somebody: they stay out.
fn noun(to: &Target) -> &'static str {
    match to {
        Target::Topic(_) => "a topic",
        Target::Room(_) => "a room",
        Target::User(_) => "a user",
    }
}
