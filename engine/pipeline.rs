//! How a notification gets out: the only page that knows the order of the stages.
//!
//! ```text
//! accept    ingest ─▶ plan ─▶ (in-app: gate ─▶ render) ─▶ one write ─▶ publish
//! expand    plan, a page of recipients at a time      ─▶ one write ─▶ publish
//! advance   plan, from where the run stopped          ─▶ one write ─▶ publish
//! deliver   gate ─▶ render ─▶ depart ─▶ dispatch ─▶ receipt ─▶ one write ─▶ publish
//! callback  plugin ─▶ what follows from it ─▶ one write
//! ```
//!
//! The stages know neither each other nor the store. This page loads the facts they ask for,
//! calls them, and saves what they say together with the records of why. A crash between any two
//! writes leaves rows that are claimed again; what was done twice is written once.

mod answer;
mod attempt;
mod calendar;
mod awaited;
mod departure;
mod expansion;
mod facts;
mod fetch;
mod inbox;
mod stops;
mod reach;
mod report;
mod rules;
mod run;
mod past;
mod tail;
mod wake;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;

use crate::channel::Publish;
use crate::check::Catalog;
use crate::clock::Clock;
use crate::dispatch::{Dispatch, Dispatched};
use crate::egress::Fetch;
use crate::gate::{self, Answer as GateAnswer, Facts};
use crate::ingest::{self, Incoming, Refusal};
use crate::model::{Event, Frame, Planned, Recipient, Version};
use crate::plan;
use crate::render::{self, Rendered};
use crate::store::{
    Acceptance, Accepted, CalendarQuery, Departure, DueMessage, QueueName, Recovered, Store,
    StoreError,
};
use crate::telemetry::{self, Fact, Traced};
use crate::workflow::Workflow;
use attempt::{Ended, Since};
use departure::Exit;
use fetch::Fetcher;
use past::Ground;

pub use calendar::Foreseen;
pub use report::{Answered, CallbackFailed, Callbacks, Reporter, Reporters};
pub use rules::Rules;
pub use tail::{Happening, Tail};
pub use wake::Wake;

/// A job that was claimed more often without getting anywhere is given up.
const MOST_CLAIMS: u32 = 20;

/// What services call, however they reach us.
#[async_trait]
pub trait Accept: Send + Sync {
    /// One answer per event, in order; each stored and durable, or refused.
    async fn accept(
        &self,
        events: Vec<Incoming>,
    ) -> Result<Vec<Result<ingest::Answer, Refusal>>, StoreError>;

    /// What is planned: what the store has due, with the further moments of each run's loops.
    async fn calendar(&self, query: &CalendarQuery) -> Result<Vec<Foreseen>, StoreError>;

    /// For those who look on; `None` where nothing is told.
    fn tail(&self) -> Option<&Tail> {
        None
    }
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
    fetcher: Fetcher,
    tail: Tail,
    reporters: Reporters,
    /// A run was made to wait, since the start.
    waits: AtomicBool,
}

/// Whom a run tells of what.
#[derive(Clone, Copy)]
struct Told<'a> {
    workflow: &'a Arc<Workflow>,
    event: &'a Arc<Event>,
    recipient: &'a Recipient,
}

#[async_trait]
impl Accept for Pipeline {
    async fn accept(
        &self,
        events: Vec<Incoming>,
    ) -> Result<Vec<Result<ingest::Answer, Refusal>>, StoreError> {
        let catalog = self.catalog();
        let trace = telemetry::traceparent();
        let admitted: Vec<Result<(Arc<Event>, [u8; 32]), Refusal>> = events
            .into_iter()
            .map(|incoming| {
                let hash = incoming.body_hash;
                let mut event = ingest::admit(
                    incoming,
                    &catalog.events,
                    self.rules.strict_events,
                    &self.clock,
                )?;
                event.trace = trace.clone();
                event.sensitive = catalog.workflows.are_sensitive(&event.name);
                Ok((Arc::new(event), hash))
            })
            .collect();
        let fitting: Vec<Arc<Event>> =
            admitted.iter().flatten().map(|(event, _)| event.clone()).collect();
        let mut plans = self.plan_now(&catalog, &fitting).await?.into_iter();
        // Nobody else holds the events from here on: each is taken back without a copy.
        drop(fitting);

        let mut answers = Vec::with_capacity(admitted.len());
        let mut acceptances = Vec::with_capacity(plans.len());
        for each in admitted {
            answers.push(match each {
                Err(refusal) => Some(Err(refusal)),
                Ok((event, body_hash)) => {
                    let (event, plan) =
                        (Arc::unwrap_or_clone(event), plans.next().unwrap_or_default());
                    acceptances.push(Acceptance { event, body_hash, plan, emitter: None });
                    None
                }
            });
        }
        let told = self.tail.of_acceptances(&acceptances);
        let accepted = Traced::part("store").around(self.store.accept(acceptances)).await?;
        self.tail.tell_new(told, &accepted);
        let mut accepted = accepted.into_iter();
        let answer = |each: Option<_>| each.or_else(|| accepted.next().map(|new| self.answer(new)));
        let answers = answers.into_iter().filter_map(answer).collect();
        self.wake.tell(QueueName::Events);
        self.wake.tell(QueueName::Runs);
        self.wake.tell(QueueName::Messages);
        Ok(answers)
    }

    async fn calendar(&self, query: &CalendarQuery) -> Result<Vec<Foreseen>, StoreError> {
        self.foresee(query).await
    }

    fn tail(&self) -> Option<&Tail> {
        Some(&self.tail)
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
            fetcher: Fetcher::default(),
            tail: Tail::new(),
            reporters: Reporters::new(),
            waits: AtomicBool::new(false),
        }
    }

    /// Lets `fetch` steps ask; without it, nothing can be fetched.
    #[must_use]
    pub fn fetching(self, outlet: Arc<dyn Fetch>) -> Self {
        Self { fetcher: Fetcher::new(outlet), ..self }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Those who look on are told nothing more: the node stops.
    pub fn end_tail(&self) {
        self.tail.close();
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
        // An inbox takes an entry once, however often it is put there.
        let again = |channel: &crate::model::ChannelName, provider: &_| {
            channel.is_in_app() || self.dispatch.retries_unknown(channel, provider)
        };
        let recovered = self.store.recover(self.clock.now(), everything, &again).await?;
        if recovered.released + recovered.unknown > 0 {
            self.wake.tell(QueueName::Events);
            self.wake.tell(QueueName::Runs);
            self.wake.tell(QueueName::Messages);
        }
        Ok(recovered)
    }

    /// Lets a due message leave, or says why not.
    pub async fn deliver(&self, due: DueMessage) {
        let (id, fence) = (due.message.id, due.fence);
        let channel = due.message.channel.clone();
        let since = Since { accepted: due.event.received_at, due: due.message.due_at };
        let span = Traced::of_event("deliver", due.event.trace.as_deref());
        span.set(Fact::Channel, || channel.to_string());
        span.set(Fact::Message, || id.to_string());
        span.set(Fact::Workflow, || due.message.workflow.to_string());
        let looked = self.tail.of_due(&due);
        match span.around(self.attempt(due)).await {
            Ok(Some(ended)) => {
                ended.emit(&channel, since);
                let told = tail::Told::ended(looked, &ended);
                let settlement = ended.settlement(id, fence);
                self.save(|| self.store.settle(vec![settlement.clone()])).await;
                self.tail.tell(told);
                // A run may have waited for it. One that began before this process is seen within
                // the second in which claimers look by themselves.
                if self.waits.load(Ordering::Relaxed) {
                    self.wake.tell(QueueName::Runs);
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, message = %id, "a message stays until its lease ends")
            }
        }
    }

    /// One way through gate, render and dispatch. `None`: the message is no longer ours.
    async fn attempt(&self, due: DueMessage) -> Result<Option<Ended>, StoreError> {
        let DueMessage { message, run, event, fence, claims, left_before, leads } = due;
        let now = self.clock.now();
        if claims > MOST_CLAIMS {
            return Ok(Some(Ended::poisoned(&message, claims, now)));
        }
        let workflow = self.workflow(&run).await?;
        let recipient = self.recipient(&run).await?;
        let planned = Planned { message, run, event, recipient };
        let ground = self.ground(&workflow, &planned, left_before, leads).await?;
        let rendered = match self.prepare(&workflow, planned, &ground) {
            Ok(rendered) => rendered,
            Err(ended) => return Ok(Some(*ended)),
        };
        let message = &rendered.planned().message;
        let departure = Departure {
            message: message.id,
            fence,
            provider: inbox::INBOX.into(),
            at: self.clock.now(),
            spend: ground.spend.clone(),
            once: ground.once,
            failover: None,
        };
        if message.channel.is_in_app() {
            let (at, mut back) = (departure.at, None);
            if ground.once.is_some() && !self.depart(departure, &mut back).await? {
                return Ok(back);
            }
            return Ok(Some(inbox::deliver(&rendered, at)));
        }
        let step = plan::send_step(&workflow, &message.step);
        let order = step.map(|step| step.providers.as_slice()).unwrap_or_default();
        let number = message.attempt + 1;
        let mut exit = Exit { pipeline: self, rendered: &rendered, departure, back: None };
        let dispatching = self.dispatch.send(&rendered, number, order, &mut exit);
        let dispatched = Traced::part("dispatch").around(dispatching).await?;
        if let Dispatched::Withdrawn = dispatched {
            return Ok(exit.back);
        }
        let schedule = self.rules.schedule(&message.channel, step);
        self.learn(&rendered, &dispatched).await;
        let expected = self.expected(&rendered, &dispatched);
        let ended = Ended::dispatched(&rendered, dispatched, schedule, &self.clock);
        Ok(Some(Ended { expected, ..ended.or_next_device(&rendered) }))
    }

    /// The gates, then the template.
    fn prepare(
        &self,
        workflow: &Workflow,
        planned: Planned,
        ground: &Ground,
    ) -> Result<Rendered, Box<Ended>> {
        let now = self.clock.now();
        let Some(step) = plan::send_step(workflow, &planned.message.step) else {
            return Err(Box::new(Ended::no_step(&planned.message, now)));
        };
        let Some(traits) = self.traits(&planned.message.channel) else {
            return Err(Box::new(Ended::no_provider(&planned.message, now)));
        };
        let catalog = self.catalog();
        let facts = Facts {
            workflow,
            step,
            traits,
            now,
            defaults: &self.rules.gates,
            marketing: catalog.is_marketing(&planned.message.category),
            left_before: ground.left_before,
            past: &ground.past,
        };
        let permit = match Traced::part("gate").inside(|| gate::ask(planned, &facts)) {
            GateAnswer::Send(permit) => *permit,
            stopped => return Err(Box::new(Ended::stopped(stopped))),
        };
        let (permit, step, template) = match &ground.told {
            None => (permit, step, step.template.as_deref()),
            Some(told) => {
                let step = plan::send_step(&told.workflow, &told.step).unwrap_or(step);
                let template = catalog.batch_template(&permit.planned().message.category);
                let permit = permit.telling_of(told.run.clone(), told.event.clone());
                (permit, step, template.or(step.template.as_deref()))
            }
        };
        let data = match facts::data(step, permit.planned(), now) {
            Ok(data) => data,
            Err(error) => return Err(Box::new(Ended::no_data(permit.planned(), &error, now))),
        };
        let zone = self.rules.time_zone.iana_name().unwrap_or("UTC");
        Traced::part("render")
            .inside(|| render::render(permit, template, data, &catalog.templates, zone))
            .map_err(|error| Box::new(Ended::not_rendered(&error, now)))
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

    fn answer(&self, accepted: Accepted) -> Result<ingest::Answer, Refusal> {
        match accepted {
            Accepted::New { id, frames } => {
                if !frames.is_empty() {
                    self.publish.publish(&frames);
                }
                Ok(ingest::Answer::Accepted(id))
            }
            Accepted::Duplicate(id) => Ok(ingest::Answer::Duplicate(id)),
            Accepted::Conflict(id) => Err(ingest::conflict(id)),
        }
    }
}
