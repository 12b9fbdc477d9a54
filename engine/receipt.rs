//! What an outcome means for its message: delivered, another try, held for a person, or given up.
//!
//! Pure: the schedule and the rule for unknown outcomes are handed in, so are time and chance.

use std::time::Duration;

use jiff::Timestamp;

use crate::channel::Outcome;
use crate::clock::Clock;
use crate::model::{AttemptOutcome, Span};

/// The shortest wait that a provider's `Retry-After` may ask for.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait that a provider's `Retry-After` may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// A schedule's waits vary by this part of themselves, so that failures do not come back at once.
const JITTER_PERCENT: i64 = 10;

/// What to do with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    Delivered,
    /// `code` says why it has to wait.
    Retry {
        at: Timestamp,
        code: &'static str,
    },
    /// May have been sent, and its channel cannot tell repetitions: a person decides.
    Held,
    /// Given up. A dead letter.
    Dead {
        code: &'static str,
    },
}

/// The rules for one message's attempts.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The wait before each further attempt.
    pub schedule: &'a [Span],
    /// Attempts of this budget, the one that just ended included; several providers asked one
    /// after the other are one.
    pub attempts: u32,
    /// An unknown outcome may be tried again.
    pub retry_unknown: bool,
}

/// Judges the outcome of an attempt that ended now.
pub fn judge(outcome: &Outcome, rules: Rules<'_>, clock: &Clock) -> Receipt {
    match outcome {
        Outcome::Accepted { .. } => Receipt::Delivered,
        Outcome::Retry { after, .. } => again(*after, "provider.retry", rules, clock),
        Outcome::RateLimited { after, .. } => again(*after, "provider.rate_limited", rules, clock),
        Outcome::Unknown { .. } if rules.retry_unknown => {
            again(None, "provider.unknown", rules, clock)
        }
        Outcome::Unknown { .. } => Receipt::Held,
        Outcome::PluginFault { .. } => again(None, "plugin.fault", rules, clock),
        Outcome::InvalidRecipient { .. } => Receipt::Dead { code: "recipient.invalid" },
        Outcome::Rejected { .. } => Receipt::Dead { code: "provider.rejected" },
        // The message may be good: what is wrong is mended, or the schedule ends.
        Outcome::Misconfigured { .. } => again(None, "provider.misconfigured", rules, clock),
    }
}

/// The outcome as the journal holds it.
pub fn journalled(outcome: &Outcome) -> AttemptOutcome {
    match outcome {
        Outcome::Accepted { .. } => AttemptOutcome::Accepted,
        Outcome::Retry { .. } => AttemptOutcome::Retry,
        Outcome::RateLimited { .. } => AttemptOutcome::RateLimited,
        Outcome::Unknown { .. } => AttemptOutcome::Unknown,
        Outcome::InvalidRecipient { .. } => AttemptOutcome::InvalidRecipient,
        Outcome::Rejected { .. } => AttemptOutcome::Rejected,
        Outcome::Misconfigured { .. } => AttemptOutcome::Misconfigured,
        Outcome::PluginFault { .. } => AttemptOutcome::PluginFault,
    }
}

fn again(after: Option<Duration>, code: &'static str, rules: Rules<'_>, clock: &Clock) -> Receipt {
    let place = usize::try_from(rules.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(&Span(scheduled)) = rules.schedule.get(place) else {
        return Receipt::Dead { code: "attempts.exhausted" };
    };
    // What the provider asks for wins over the schedule.
    let wait = match after {
        Some(asked) => asked.clamp(SHORTEST_WAIT, LONGEST_WAIT),
        None => jittered(scheduled, clock),
    };
    Receipt::Retry { at: clock.after(wait), code }
}

fn jittered(wait: Duration, clock: &Clock) -> Duration {
    let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 100);
    let spread = millis / 100 * JITTER_PERCENT;
    let millis = clock.random_between(millis - spread, millis + spread);
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Failure;

    const SCHEDULE: [Span; 2] = [Span::seconds(60), Span::seconds(300)];

    fn judged(outcome: &Outcome, attempts: u32, retry_unknown: bool) -> Receipt {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH, 7);
        judge(outcome, Rules { schedule: &SCHEDULE, attempts, retry_unknown }, &clock)
    }

    fn retry(after: Option<u64>) -> Outcome {
        let failure = Failure::new("http.503", "try later");
        Outcome::Retry { failure, after: after.map(Duration::from_secs) }
    }

    fn wait(receipt: Receipt) -> i64 {
        match receipt {
            Receipt::Retry { at, .. } => at.as_second(),
            other => panic!("expected a retry, got {other:?}"),
        }
    }

    #[test]
    fn the_schedule_is_followed_with_jitter_and_then_the_message_is_dead() {
        assert!((54..=66).contains(&wait(judged(&retry(None), 1, false))));
        assert!((270..=330).contains(&wait(judged(&retry(None), 2, false))));
        assert_eq!(judged(&retry(None), 3, false), Receipt::Dead { code: "attempts.exhausted" });
    }

    #[test]
    fn retry_after_wins_within_a_day() {
        assert_eq!(wait(judged(&retry(Some(7)), 1, false)), 7);
        assert_eq!(wait(judged(&retry(Some(0)), 1, false)), 1);
        assert_eq!(wait(judged(&retry(Some(1 << 40)), 1, false)), 86_400);
        assert_eq!(judged(&retry(Some(7)), 3, false), Receipt::Dead { code: "attempts.exhausted" });
    }

    #[test]
    fn what_may_have_been_sent_is_repeated_only_where_that_does_no_harm() {
        let unknown = Outcome::Unknown { failure: Failure::new("timeout", "no answer") };
        assert_eq!(judged(&unknown, 1, false), Receipt::Held);
        assert!((54..=66).contains(&wait(judged(&unknown, 1, true))));
    }
}
