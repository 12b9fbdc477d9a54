//! How a notification gets out: the only page that knows the order of the stages.
//!
//! ```text
//! accept    ingest ─▶ plan ─▶ (in-app: gate ─▶ render) ─▶ one write ─▶ publish
//! expand    plan, a page of recipients at a time      ─▶ one write ─▶ publish
//! advance   plan, from where the run stopped          ─▶ one write ─▶ publish
//! deliver   gate ─▶ render ─▶ depart ─▶ dispatch ─▶ receipt ─▶ one write ─▶ publish
//! ```
//!
//! The stages know neither each other nor the store. This page loads the facts they ask for,
//! calls them, and saves what they say together with the records of why. A crash between any two
//! writes leaves rows that are claimed again; what was done twice is written once.

mod attempt;
mod expansion;
mod facts;
mod inbox;
mod wake;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;

use crate::channel::Publish;
use crate::check::Catalog;
use crate::clock::Clock;
use crate::dispatch::{Dispatch, Dispatched};
use crate::gate::{self, Answer as GateAnswer, Facts};
use crate::ingest::{self, Answer, Incoming, Refusal};
use crate::model::{
    Decision, Event, Frame, Planned, ProviderName, Recipient, Run, RunStatus, Span, Verdict,
    Version,
};
use crate::plan;
use crate::render::{self, Rendered};
use crate::store::{
    Acceptance, Accepted, Departure, DueMessage, DueRun, Plan, Progress, QueueName, Recovered,
    Store, StoreError,
};
use crate::workflow::Workflow;
use attempt::Ended;

pub use wake::Wake;

/// A permit not used by then goes back to the gates (docs/reference/gates.md).
const PERMIT_LASTS: Duration = Duration::from_secs(60);
/// A job that was claimed more often without getting anywhere is given up.
const MOST_CLAIMS: u32 = 20;

/// What services call, however they reach us.
#[async_trait]
pub trait Accept: Send + Sync {
    /// One answer per event, in order; each stored and durable, or refused.
    async fn accept(
        &self,
        events: Vec<Incoming>,
    ) -> Result<Vec<Result<Answer, Refusal>>, StoreError>;
}

/// The stages, joined. Shared by everything that brings work.
pub struct Pipeline {
    clock: Clock,
    store: Arc<dyn Store>,
    catalog: RwLock<Arc<Catalog>>,
    /// Workflows of runs that began before the catalog's version.
    older: quick_cache::sync::Cache<Version, Arc<Workflow>>,
    dispatch: Dispatch,
    publish: Arc<dyn Publish>,
    wake: Arc<Wake>,
    rules: Rules,
}

/// The operator's part in it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The waits before each further attempt, where a step names none.
    pub retry: Vec<Span>,
    /// Refuse events that no `events.yaml` declares.
    pub strict_events: bool,
    /// The IANA zone of users who name none.
    pub time_zone: String,
}

#[async_trait]
impl Accept for Pipeline {
    async fn accept(
        &self,
        events: Vec<Incoming>,
    ) -> Result<Vec<Result<Answer, Refusal>>, StoreError> {
        let catalog = self.catalog();
        let admitted: Vec<Result<(Event, [u8; 32]), Refusal>> = events
            .into_iter()
            .map(|incoming| {
                let hash = incoming.body_hash;
                let event = ingest::admit(
                    incoming,
                    &catalog.events,
                    self.rules.strict_events,
                    &self.clock,
                )?;
                Ok((event, hash))
            })
            .collect();
        let fitting: Vec<&Event> = admitted.iter().flatten().map(|(event, _)| event).collect();
        let mut plans = self.plan_now(&catalog, &fitting).await?.into_iter();

        let mut answers = Vec::with_capacity(admitted.len());
        let mut acceptances = Vec::with_capacity(plans.len());
        for each in admitted {
            answers.push(match each {
                Err(refusal) => Some(Err(refusal)),
                Ok((event, body_hash)) => {
                    let plan = plans.next().unwrap_or_default();
                    acceptances.push(Acceptance { event, body_hash, plan });
                    None
                }
            });
        }
        let mut accepted = self.store.accept(acceptances).await?.into_iter();
        let answer = |each: Option<_>| each.or_else(|| accepted.next().map(|new| self.answer(new)));
        let answers = answers.into_iter().filter_map(answer).collect();
        self.wake.tell(QueueName::Events);
        self.wake.tell(QueueName::Runs);
        self.wake.tell(QueueName::Messages);
        Ok(answers)
    }
}

impl Pipeline {
    pub fn new(
        clock: Clock,
        store: Arc<dyn Store>,
        catalog: Arc<Catalog>,
        dispatch: Dispatch,
        publish: Arc<dyn Publish>,
        rules: Rules,
    ) -> Self {
        Self {
            clock,
            store,
            catalog: RwLock::new(catalog),
            older: quick_cache::sync::Cache::new(1000),
            dispatch,
            publish,
            wake: Arc::default(),
            rules,
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a checked set of files in force, for runs that begin from now on.
    ///
    /// # Errors
    /// The files' contents could not be stored: the old set stays.
    pub async fn use_catalog(&self, catalog: Arc<Catalog>) -> Result<(), StoreError> {
        for workflow in catalog.workflows.all() {
            self.store.keep_version(&workflow.version, &workflow.name, &workflow.source).await?;
        }
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
        Ok(())
    }

    /// Frees what a crash, or a node that is gone, left claimed. `everything`: at the start of the
    /// only node.
    pub async fn recover(&self, everything: bool) -> Result<Recovered, StoreError> {
        let again = |channel: &_, provider: &_| self.dispatch.retries_unknown(channel, provider);
        let recovered = self.store.recover(self.clock.now(), everything, &again).await?;
        if recovered.released + recovered.unknown > 0 {
            self.wake.tell(QueueName::Messages);
        }
        Ok(recovered)
    }

    /// Takes a run on from where it waits.
    pub async fn advance(&self, due: DueRun) {
        let DueRun { mut run, event, fence, attempt } = due;
        let id = run.id;
        let mut plan = Plan::default();
        if attempt > MOST_CLAIMS {
            run.status = RunStatus::Failed;
            let reason = format!("its worker ended {MOST_CLAIMS} times");
            let now = self.clock.now();
            plan.decisions.push(Decision::of_run(
                &run,
                now,
                Verdict::Fail,
                "attempts.exhausted",
                reason,
            ));
        } else {
            match self.workflow(&run).await {
                Ok(workflow) => {
                    let recipient = match self.recipient(&run).await {
                        Ok(recipient) => recipient,
                        Err(error) => {
                            return tracing::warn!(%error, run = %id, "the recipient could not be loaded");
                        }
                    };
                    self.go_on(&workflow, &event, &recipient, &mut run, &mut plan);
                }
                Err(error) => {
                    return tracing::warn!(%error, run = %id, "the workflow could not be loaded");
                }
            }
        }
        let progress = Progress { id, fence, plan, run: Some(run) };
        self.save(|| self.store.advanced(vec![progress.clone()])).await;
        self.wake.tell(QueueName::Messages);
    }

    /// Lets a due message leave, or says why not.
    pub async fn deliver(&self, due: DueMessage) {
        let (id, fence) = (due.message.id, due.fence);
        let channel = due.message.channel.clone();
        match self.attempt(due).await {
            Ok(Some(ended)) => {
                ended.emit(&channel);
                let settlement = ended.settlement(id, fence);
                self.save(|| self.store.settle(vec![settlement.clone()])).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, message = %id, "a message stays until its lease ends")
            }
        }
    }

    /// One way through gate, render and dispatch. `None`: the message is no longer ours.
    async fn attempt(&self, due: DueMessage) -> Result<Option<Ended>, StoreError> {
        let DueMessage { message, run, event, fence, claims, .. } = due;
        let now = self.clock.now();
        if claims > MOST_CLAIMS {
            return Ok(Some(Ended::poisoned(&message, claims, now)));
        }
        let workflow = self.workflow(&run).await?;
        let recipient = self.recipient(&run).await?;
        let planned = Planned { message, run, event, recipient };
        let rendered = match self.prepare(&workflow, planned) {
            Ok(rendered) => rendered,
            Err(ended) => return Ok(Some(*ended)),
        };
        let message = &rendered.planned().message;
        if message.channel.is_in_app() {
            return Ok(Some(inbox::deliver(&rendered, self.clock.now())));
        }
        let step = plan::send_step(&workflow, &message.step);
        let order = step.map(|step| step.providers.as_slice()).unwrap_or_default();
        let number = message.attempt + 1;
        let mut lapsed = false;
        let depart = async |provider: &ProviderName, at| {
            lapsed = at > rendered.granted_at() + PERMIT_LASTS;
            if lapsed {
                return Ok::<bool, StoreError>(false);
            }
            let provider = provider.clone();
            let departure = Departure { message: message.id, fence, provider, at };
            Ok(self.store.depart(vec![departure]).await?.first().copied().unwrap_or(false))
        };
        let dispatched = self.dispatch.send(&rendered, number, order, depart).await?;
        if let Dispatched::Withdrawn = dispatched {
            return Ok(lapsed.then(|| Ended::lapsed(now)));
        }
        let schedule = step.and_then(|step| step.retry.as_deref()).unwrap_or(&self.rules.retry);
        Ok(Some(Ended::dispatched(&rendered, dispatched, schedule, &self.clock)))
    }

    /// The gates, then the template.
    fn prepare(&self, workflow: &Workflow, planned: Planned) -> Result<Rendered, Box<Ended>> {
        let now = self.clock.now();
        let Some(step) = plan::send_step(workflow, &planned.message.step) else {
            return Err(Box::new(Ended::no_step(&planned.message, now)));
        };
        let Some(traits) = self.traits(&planned.message.channel) else {
            return Err(Box::new(Ended::no_provider(&planned.message, now)));
        };
        let permit = match gate::ask(planned, &Facts { workflow, step, traits, now }) {
            GateAnswer::Send(permit) => *permit,
            stopped => return Err(Box::new(Ended::stopped(stopped))),
        };
        let data = match facts::data(step, permit.planned(), now) {
            Ok(data) => data,
            Err(error) => return Err(Box::new(Ended::no_data(permit.planned(), &error, now))),
        };
        let catalog = self.catalog();
        let zone = &self.rules.time_zone;
        render::render(permit, step.template.as_deref(), data, &catalog.templates, zone)
            .map_err(|error| Box::new(Ended::not_rendered(&error, now)))
    }

    /// Plans a run's next steps. What goes to an inbox at once is delivered in the same write.
    fn go_on(
        &self,
        workflow: &Arc<Workflow>,
        event: &Arc<Event>,
        recipient: &Recipient,
        run: &mut Run,
        plan: &mut Plan,
    ) {
        let steps = plan::advance(workflow, event, recipient, run, &self.clock);
        plan.decisions.extend(steps.decisions);
        if steps.messages.is_empty() {
            return;
        }
        let now = self.clock.now();
        let planned_run = Arc::new(run.clone());
        for message in steps.messages {
            if !(message.channel.is_in_app() && message.due_at <= now) {
                plan.messages.push(message);
                continue;
            }
            let planned = Planned {
                message,
                run: planned_run.clone(),
                event: event.clone(),
                recipient: recipient.clone(),
            };
            self.deliver_now(workflow, planned, plan);
        }
    }

    fn deliver_now(&self, workflow: &Workflow, planned: Planned, plan: &mut Plan) {
        let mut message = planned.message.clone();
        let ended = match self.prepare(workflow, planned) {
            Ok(rendered) => inbox::deliver(&rendered, self.clock.now()),
            Err(ended) => *ended,
        };
        ended.emit(&message.channel);
        ended.apply(&mut message, plan);
        plan.messages.push(message);
    }

    /// Writes until it is written: what is in `write` has happened already.
    async fn save<F, T>(&self, write: impl Fn() -> F)
    where
        F: Future<Output = Result<Vec<Option<T>>, StoreError>>,
        T: IntoIterator<Item = Frame>,
    {
        let mut backoff = Duration::from_millis(20);
        for _ in 0..12 {
            match write().await {
                Ok(written) => {
                    let frames: Vec<_> = written.into_iter().flatten().flatten().collect();
                    if !frames.is_empty() {
                        self.publish.publish(&frames);
                    }
                    return;
                }
                Err(StoreError::Closed) => break,
                Err(error) => {
                    tracing::warn!(%error, "a result could not be written yet");
                    self.clock.sleep(backoff).await;
                    backoff = (backoff * 2).min(Duration::from_secs(5));
                }
            }
        }
        tracing::error!("a result was not written; its lease will end and it counts as unknown");
    }

    fn answer(&self, accepted: Accepted) -> Result<Answer, Refusal> {
        match accepted {
            Accepted::New { id, frames } => {
                if !frames.is_empty() {
                    self.publish.publish(&frames);
                }
                Ok(Answer::Accepted(id))
            }
            Accepted::Duplicate(id) => Ok(Answer::Duplicate(id)),
            Accepted::Conflict(id) => Err(ingest::conflict(id)),
        }
    }
}
