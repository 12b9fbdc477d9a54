//! What happens, told to those who look on: `GET /v1/tail`.
//!
//! Told after its commit, by the node that did it. Nothing is made while nobody looks on; one who
//! reads too slowly misses the oldest, and is told how many.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::attempt::Ended;
use crate::model::{
    ChannelName, Decision, Event, EventId, Message, MessageId, MessageStatus, ProviderName, RunId,
    UserId, WorkflowName,
};
use crate::store::{Acceptance, Accepted, DueMessage, Plan};

/// Happenings that wait for one who reads slowly.
const WAITING: usize = 1024;

/// One line of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Happening {
    pub at: Timestamp,
    /// `event`: one was accepted; `run`: a step decided; `message`: it came to a state.
    pub kind: &'static str,
    pub event: Option<EventId>,
    /// The event's.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// A message's state, or what was decided of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// How its attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Those who look on.
pub struct Tail {
    sender: broadcast::Sender<Arc<Happening>>,
    closed: CancellationToken,
}

/// What is to be told once it is committed.
#[derive(Default)]
pub(super) struct Told(Vec<Happening>);

impl Tail {
    pub(super) fn new() -> Self {
        Self { sender: broadcast::channel(WAITING).0, closed: CancellationToken::new() }
    }

    /// Everything from now on, until the token is cancelled.
    pub fn follow(&self) -> (broadcast::Receiver<Arc<Happening>>, CancellationToken) {
        (self.sender.subscribe(), self.closed.clone())
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    pub(super) fn tell(&self, told: Told) {
        for happening in told.0 {
            // Whoever looked on may be gone by now.
            let _ = self.sender.send(Arc::new(happening));
        }
    }

    pub(super) fn of_acceptances(&self, all: &[Acceptance]) -> Vec<Told> {
        if !self.is_heard() {
            return Vec::new();
        }
        let told = |acceptance: &Acceptance| {
            let Acceptance { event, plan, .. } = acceptance;
            let accepted = Happening { at: event.received_at, kind: "event", ..of(event) };
            let mut told = vec![accepted];
            planned(event, plan, &mut told);
            Told(told)
        };
        all.iter().map(told).collect()
    }

    /// Tells of those that were new.
    pub(super) fn tell_new(&self, told: Vec<Told>, accepted: &[Accepted]) {
        for (told, accepted) in told.into_iter().zip(accepted) {
            if matches!(accepted, Accepted::New { .. }) {
                self.tell(told);
            }
        }
    }

    pub(super) fn of_plan(&self, event: &Event, plan: &Plan) -> Told {
        let mut told = Told::default();
        if self.is_heard() {
            planned(event, plan, &mut told.0);
        }
        told
    }

    /// A look at a message that is worked on, for what becomes of it.
    pub(super) fn of_due(&self, due: &DueMessage) -> Option<Happening> {
        self.is_heard().then(|| of_message(&due.event, &due.message))
    }

    fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }
}

impl Told {
    /// What became of a message.
    pub fn ended(looked: Option<Happening>, ended: &Ended) -> Self {
        let Some(looked) = looked else { return Self::default() };
        let decision = ended.decisions.last();
        let attempt = ended.attempt.as_ref();
        let at = attempt.map(|attempt| attempt.finished_at).or(decision.map(|one| one.at));
        Self(vec![Happening {
            at: at.unwrap_or(looked.at),
            status: Some(ended.status.as_str()),
            provider: attempt.map(|attempt| attempt.provider.clone()),
            outcome: attempt.map(|attempt| attempt.outcome.as_str()),
            code: ended.code.clone().or(attempt.and_then(|attempt| attempt.code.clone())),
            reason: decision.map(|decision| decision.reason.to_string()),
            until: ended.due_at,
            ..looked
        }])
    }
}

fn of(event: &Event) -> Happening {
    Happening { event: Some(event.id), name: event.name.clone(), ..Happening::default() }
}

fn of_message(event: &Event, message: &Message) -> Happening {
    Happening {
        at: message.created_at,
        kind: "message",
        workflow: Some(message.workflow.clone()),
        run: Some(message.run),
        message: Some(message.id),
        user: message.recipient.clone(),
        channel: Some(message.channel.clone()),
        ..of(event)
    }
}

/// What a plan decided of runs, and the messages that came to an end in it.
fn planned(event: &Event, plan: &Plan, told: &mut Vec<Happening>) {
    told.extend(
        plan.decisions.iter().filter(|one| one.message.is_none()).map(|one| run(event, one)),
    );
    let ended = |message: &&Message| message.status != MessageStatus::Pending;
    told.extend(plan.messages.iter().filter(ended).map(|message| {
        let decided = plan.decisions.iter().rev().find(|one| one.message == Some(message.id));
        Happening {
            status: Some(message.status.as_str()),
            provider: message.provider.clone(),
            code: message.code.clone(),
            reason: decided.map(|decision| decision.reason.to_string()),
            ..of_message(event, message)
        }
    }));
}

fn run(event: &Event, decision: &Decision) -> Happening {
    Happening {
        at: decision.at,
        kind: "run",
        workflow: decision.workflow.clone(),
        run: decision.run,
        user: decision.recipient.clone(),
        channel: decision.channel.clone(),
        status: Some(decision.verdict.as_str()),
        code: Some(decision.code.to_string()),
        reason: Some(decision.reason.to_string()),
        until: decision.until,
        ..of(event)
    }
}
