use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{Machine, Then};
use crate::model::{Awaited, Decision, Reached, Span, Verdict};
use crate::plan::question::{Answer, Question, Standing};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::{Route, Success};

/// How soon to ask again about a message that is with a provider.
const LEAVING: Duration = Duration::from_secs(1);

impl Machine<'_> {
    /// Tries one channel after another; woken, asks how the one that it tried stands.
    pub(super) fn route(&mut self, step: &Step, route: &Route) -> Result<Then, Failed> {
        let Some(place) = state::marked_place(self.run) else {
            return Ok(self.try_channel(step, route, 0));
        };
        let Some(channel) = route.send.channels.get(place) else { return Ok(Then::Next) };
        let Some(Answer::Tried(standing)) = self.answer.take() else {
            let (channel, success) = (channel.clone(), route.success);
            return Ok(Then::Ask(Question::Tried { channel, success }));
        };
        Ok(match standing {
            Standing::Reached => {
                let reason = format!("`{channel}` succeeded: {}", route.success.as_str());
                let decision = self.decision(step, Verdict::Wait, "route.succeeded", reason);
                self.steps.decisions.push(decision);
                state::outcome(self.run, step, "done", Some(json!({ "channel": channel })));
                Then::Next
            }
            Standing::Leaving => {
                let until = self.around.clock.after(LEAVING);
                self.await_channel(step, route, place, Some(until))
            }
            Standing::Lost => self.try_channel(step, route, place + 1),
        })
    }

    fn try_channel(&mut self, step: &Step, route: &Route, place: usize) -> Then {
        let Some(channel) = route.send.channels.get(place) else {
            let reason = format!("none of {} channels succeeded", route.send.channels.len());
            let decision = self.decision(step, Verdict::Fail, "route.exhausted", reason);
            self.steps.decisions.push(decision);
            state::outcome(self.run, step, "failed", None);
            return Then::Next;
        };
        let message = self.message(step, &route.send, channel);
        self.steps.messages.push(message);
        let until = route.within().map(|Span(within)| self.around.clock.after(within));
        let reason = format!("tries `{channel}`, until it is {}", route.success.as_str());
        let decision = self.decision(step, Verdict::Wait, "route", reason);
        let channel = Some(channel.clone());
        self.steps.decisions.push(Decision { until, channel, ..decision });
        state::mark_place(self.run, place);
        self.await_channel(step, route, place, until)
    }

    fn await_channel(
        &mut self,
        step: &Step,
        route: &Route,
        place: usize,
        until: Option<Timestamp>,
    ) -> Then {
        let state = match route.success {
            Success::Accepted => Reached::Ended,
            Success::Delivered => Reached::DeliveredOrLost,
            Success::Seen | Success::Read => Reached::ReadOrLost,
        };
        let awaited = Awaited::Message {
            step: step.path.clone(),
            item: Some(self.item),
            channel: route.send.channels.get(place).cloned(),
            state,
        };
        self.wait(step, awaited);
        Then::Await(until)
    }
}
