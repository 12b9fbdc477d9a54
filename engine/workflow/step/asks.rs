use super::{Publish, StepKind, Target};
use crate::expression::Expression;

impl StepKind {
    /// The expressions that it asks itself: not its step's `if`, and not those of steps inside it.
    pub fn expressions(&self) -> Vec<&Expression> {
        fn values(pairs: &[(String, Expression)]) -> impl Iterator<Item = &Expression> {
            pairs.iter().map(|(_, value)| value)
        }
        let mut found = Vec::new();
        match self {
            Self::Send(send) => {
                found.extend(&send.to);
                found.extend(values(&send.data));
            }
            Self::Publish(publish) => publish.asks(&mut found),
            Self::Delay(delay) => found.extend(delay.expressions()),
            Self::Schedule(schedule) => found.push(&schedule.at),
            Self::Batch(batch) => found.extend(&batch.key),
            Self::Digest(digest) => found.extend(&digest.key),
            Self::Throttle(throttle) => found.extend(&throttle.key),
            Self::WaitFor(wait) => found.extend(wait.matching()),
            Self::Fetch(fetch) => {
                found.push(&fetch.url);
                found.extend(values(&fetch.headers));
                found.extend(&fetch.body);
            }
            Self::Emit(emit) => {
                found.extend(values(&emit.data));
                found.extend(&emit.to);
            }
            Self::Cancel(cancel) => found.push(&cancel.key),
            Self::Set(variables) => found.extend(values(&variables.0)),
            Self::Route(_) | Self::Branch(_) | Self::Stop(_) => {}
        }
        found
    }
}

impl Publish {
    fn asks<'a>(&'a self, found: &mut Vec<&'a Expression>) {
        let (Target::Topic(to) | Target::Room(to) | Target::User(to)) = &self.to;
        found.push(to);
        if let super::Payload::Data(data) = &self.payload {
            found.extend(data.iter().map(|(_, value)| value));
        }
    }
}
