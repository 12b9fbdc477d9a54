//! From an event to its runs.
//!
//! Recipients that the event names are planned in the accepting write. An audience that has to be
//! looked up (a topic), and an event whose moment lies ahead, is planned by the event's own job, a
//! page of recipients in each write, so that millions cost no memory and a crash costs one page.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::facts::People;
use super::{MOST_CLAIMS, Pipeline, Told};
use crate::check::Catalog;
use crate::model::{Decision, Event, Recipient, Run, UserId, Verdict, WorkflowName};
use crate::plan::{self, Audience, Paged, Source};
use crate::store::{AWAITED, DueEvent, Plan, Progress, QueueName, Result};
use crate::telemetry::Traced;
use crate::workflow::Workflow;

/// Recipients of one write.
const PAGE: usize = 500;

/// Events of one request that are planned and rendered without letting others go on.
const BREATH: usize = 16;

/// Where an expansion goes on. A workflow that is gone by then is passed over.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    workflow: Option<WorkflowName>,
    /// Which of its recipient rules.
    source: usize,
    /// The last recipient of that rule already planned.
    after: Option<UserId>,
}

/// One recipient rule of one workflow that wants this event.
struct Addressed<'a> {
    workflow: &'a Arc<Workflow>,
    event: &'a Arc<Event>,
    source: &'a Source,
}

impl Pipeline {
    /// Plans what can be planned at once, one plan an event.
    pub(super) async fn plan_now(
        &self,
        catalog: &Catalog,
        events: &[Arc<Event>],
    ) -> Result<Vec<Plan>> {
        let now = self.clock.now();
        let mut plans = Vec::with_capacity(events.len());
        let mut wanted = Vec::with_capacity(events.len());
        let mut named = HashSet::new();
        for event in events {
            let mut plan = Plan::default();
            let mut audiences = Vec::new();
            if event.at <= now {
                audiences = self.audiences(catalog, event, &mut plan);
                self.order_stops(catalog, event, &mut plan);
            }
            let sources = || audiences.iter().flat_map(|(_, audience)| &audience.sources);
            if event.at > now || sources().any(|source| source.paged().is_some()) {
                let more = Some((event.at.max(now), String::new()));
                let unplanned = self.unplanned(catalog, event);
                plan.decisions.clear();
                plans.push(Plan { more, unplanned, ..plan });
                wanted.push(Vec::new());
                continue;
            }
            named.extend(sources().flat_map(Source::users).cloned());
            plans.push(plan);
            wanted.push(audiences);
        }
        let named: Vec<UserId> = named.into_iter().collect();
        let people = self.people(&named).await?;
        for (place, plan) in plans.iter_mut().enumerate() {
            let (event, audiences) = (&events[place], &wanted[place]);
            if place % BREATH == BREATH - 1 {
                tokio::task::yield_now().await;
            }
            for (workflow, audience) in audiences {
                for source in &audience.sources {
                    let addressed = Addressed { workflow, event, source };
                    self.begin_all(&addressed, source.users(), &people, plan);
                }
            }
        }
        Ok(plans)
    }

    /// Plans the next page of an event's recipients.
    pub async fn expand(&self, due: DueEvent) {
        let span = Traced::of_event("plan", due.event.trace.as_deref());
        span.around(self.expand_event(due)).await;
    }

    async fn expand_event(&self, due: DueEvent) {
        let DueEvent { event, cursor, fence, attempt, stopped } = due;
        let id = event.id;
        let event = Arc::new(event);
        let plan = if attempt > MOST_CLAIMS {
            let reason = format!("its planner ended {MOST_CLAIMS} times");
            let now = self.clock.now();
            let decision =
                Decision::of_event(&event, now, Verdict::Fail, "attempts.exhausted", reason);
            Ok(Plan { decisions: vec![decision], ..Plan::default() })
        } else {
            self.next_page(&event, cursor.as_deref().unwrap_or_default(), &stopped).await
        };
        match plan {
            Ok(plan) => {
                let told = self.tail.of_plan(&event, &plan);
                let progress = Progress { id, fence, plan, run: None };
                self.save(|| self.store.planned(vec![progress.clone()])).await;
                self.tail.tell(told);
                self.wake.tell(QueueName::Events);
                self.wake.tell(QueueName::Runs);
                self.wake.tell(QueueName::Messages);
            }
            Err(error) => tracing::warn!(%error, event = %id, "an event could not be planned yet"),
        }
    }

    /// The event's runs, page by page; then the runs that waited for it.
    async fn next_page(
        &self,
        event: &Arc<Event>,
        cursor: &str,
        stopped: &[WorkflowName],
    ) -> Result<Plan> {
        if let Some(after) = cursor.strip_prefix(AWAITED) {
            return self.end_waits(event, after.trim().parse().ok()).await;
        }
        let cursor = serde_json::from_str(cursor).unwrap_or_default();
        let mut plan = self.page(event, cursor, stopped).await?;
        if plan.more.is_none() && self.store.is_awaited(event).await? {
            plan.more = Some((self.clock.now(), AWAITED.to_owned()));
        }
        Ok(plan)
    }

    /// One write's worth of runs, from `cursor` on.
    async fn page(
        &self,
        event: &Arc<Event>,
        cursor: Cursor,
        stopped: &[WorkflowName],
    ) -> Result<Plan> {
        let catalog = self.catalog();
        let mut plan = Plan::default();
        let mut audiences = self.audiences(&catalog, event, &mut plan);
        audiences.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        if let Some(workflow) = &cursor.workflow {
            // What does not want the event was recorded with the first page.
            plan.decisions.clear();
            audiences.retain(|(each, _)| each.name >= *workflow);
        } else {
            self.order_stops(&catalog, event, &mut plan);
        }
        audiences.retain(|(each, _)| !stopped.contains(&each.name));
        let now = self.clock.now();
        for (workflow, audience) in &audiences {
            let resumed = cursor.workflow.as_ref() == Some(&workflow.name);
            let (first, after) =
                if resumed { (cursor.source, cursor.after.clone()) } else { (0, None) };
            for (place, source) in audience.sources.iter().enumerate().skip(first) {
                let after = after.clone().filter(|_| resumed && place == first);
                let addressed = Addressed { workflow, event, source };
                let Some(paged) = source.paged() else {
                    let people = self.people(source.users()).await?;
                    self.begin_all(&addressed, source.users(), &people, &mut plan);
                    continue;
                };
                if let Some(last) = self.looked_up(&addressed, paged, after, &mut plan).await? {
                    let workflow = Some(workflow.name.clone());
                    let next = Cursor { workflow, source: place, after: Some(last) };
                    let next = serde_json::to_string(&next).unwrap_or_default();
                    return Ok(Plan { more: Some((now, next)), ..plan });
                }
            }
        }
        Ok(plan)
    }

    /// Begins runs for a page of an audience. Answers the last of a full page.
    async fn looked_up(
        &self,
        addressed: &Addressed<'_>,
        paged: Paged<'_>,
        after: Option<UserId>,
        plan: &mut Plan,
    ) -> Result<Option<UserId>> {
        let after = after.as_ref();
        let users = match paged {
            Paged::Topic(topic) => self.store.subscribers(topic, after, PAGE).await?,
            Paged::Role(role) => self.store.members(Some(role), after, PAGE).await?,
            Paged::Everyone => self.store.members(None, after, PAGE).await?,
        };
        let people = self.people(&users).await?;
        self.begin_all(addressed, &users, &people, plan);
        Ok(if users.len() == PAGE { users.last().cloned() } else { None })
    }

    /// The workflows that want the event, with whom they tell. Why others do not is recorded.
    fn audiences(
        &self,
        catalog: &Catalog,
        event: &Event,
        plan: &mut Plan,
    ) -> Vec<(Arc<Workflow>, Audience)> {
        let now = self.clock.now();
        let mut wanted = Vec::new();
        for workflow in catalog.workflows.matching(&event.name) {
            match plan::audience(workflow, event, now) {
                Ok(audience) => wanted.push((workflow.clone(), audience)),
                Err(failed) => plan.decisions.push(failed.of_event(workflow, event, now)),
            }
        }
        wanted
    }

    fn begin_all(
        &self,
        addressed: &Addressed<'_>,
        users: &[UserId],
        people: &People,
        plan: &mut Plan,
    ) {
        let Addressed { workflow, event, source } = addressed;
        if let Some(contact) = source.contact() {
            let recipient = self.facing(None, contact.cloned(), source.role.clone());
            return self.begin(addressed, &recipient, plan);
        }
        let now = self.clock.now();
        for user in users {
            let stopped = if source.leaves_the_actor_out() && event.actor.as_ref() == Some(user) {
                Some(("recipient.actor", "the one who did it is not told of it"))
            } else if !people.contains_key(user) {
                Some(("recipient.unknown", "no user of that id is known"))
            } else {
                None
            };
            if let Some((code, reason)) = stopped {
                plan.decisions.push(Decision {
                    workflow: Some(workflow.name.clone()),
                    recipient: Some(user.clone()),
                    rule: Some(source.rule.clone()),
                    ..Decision::of_event(event, now, Verdict::Skip, code, reason)
                });
                continue;
            }
            let person = people.get(user).cloned();
            let recipient = self.facing(person, None, source.role.clone());
            self.begin(addressed, &recipient, plan);
        }
    }

    fn begin(&self, addressed: &Addressed<'_>, recipient: &Recipient, plan: &mut Plan) {
        let Addressed { workflow, event, source } = addressed;
        match plan::begin(workflow, event, source, recipient, &self.clock) {
            Ok(mut run) => {
                let told = |known: &Run| {
                    known.workflow == run.workflow && known.recipient == run.recipient
                };
                if recipient.person.is_some() && plan.runs.iter().any(told) {
                    return;
                }
                // What has to be asked first is left to the run's own job.
                self.go_on(Told { workflow, event, recipient }, &mut run, plan, None);
                plan.runs.push(run);
            }
            Err(failed) => {
                let now = self.clock.now();
                plan.decisions.push(Decision {
                    recipient: recipient.id().cloned(),
                    ..failed.of_event(workflow, event, now)
                });
            }
        }
    }
}
