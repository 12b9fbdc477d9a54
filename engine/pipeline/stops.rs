//! What an event stops before it starts anything, and what an `emit` starts.

use super::Pipeline;
use crate::check::Catalog;
use crate::expression::Scope;
use crate::model::{Decision, Event, Run, Verdict};
use crate::store::{Acceptance, Plan, Stop, Unplanned};

impl Pipeline {
    /// The orders that `event` gives by the workflows' `cancel_on` and `restart_on`.
    pub(super) fn order_stops(&self, catalog: &Catalog, event: &Event, plan: &mut Plan) {
        let now = self.clock.now();
        for workflow in catalog.workflows.stopped_by(&event.name) {
            let Some(key) = &workflow.key else { continue };
            let rule = key.place().to_string();
            match key.evaluate_text(&Scope::new(event, now)) {
                Ok(key) => plan.stops.push(Stop {
                    tenant: event.tenant.clone(),
                    workflow: Some(workflow.name.clone()),
                    key,
                    before: event.id,
                    except: None,
                    at: now,
                    reason: format!("cancelled by event `{}` {}", event.name, event.id),
                    rule: Some(rule),
                }),
                Err(error) => plan.decisions.push(Decision {
                    workflow: Some(workflow.name.clone()),
                    rule: Some(rule),
                    ..Decision::of_event(
                        event,
                        now,
                        Verdict::Fail,
                        "expression.failed",
                        error.message,
                    )
                }),
            }
        }
    }

    /// The workflows that `event` will start once its recipients are looked up, by their key. One
    /// whose key cannot be evaluated says so when it begins.
    pub(super) fn unplanned(&self, catalog: &Catalog, event: &Event) -> Vec<Unplanned> {
        let scope = Scope::new(event, self.clock.now());
        let unplanned = catalog.workflows.matching(&event.name).filter_map(|workflow| {
            let key = workflow.key.as_ref()?.evaluate_text(&scope).ok()?;
            Some(Unplanned { event: event.id, workflow: workflow.name.clone(), key })
        });
        unplanned.collect()
    }

    /// Takes emitted events in. One that does not fit its schema is left out, and its run says so.
    pub(super) fn emit(&self, run: &Run, emitted: Vec<Event>, plan: &mut Plan) {
        let catalog = self.catalog();
        for mut event in emitted {
            event.sensitive |= catalog.workflows.are_sensitive(&event.name);
            let misfits = catalog.events.misfits(&event.name, &event.data);
            if let Some(misfit) = misfits.first() {
                let reason = format!(
                    "event `{}` does not fit: {}: {}",
                    event.name, misfit.pointer, misfit.message
                );
                let now = self.clock.now();
                let decision = Decision::of_run(run, now, Verdict::Fail, "event.schema", reason);
                plan.decisions.push(decision);
                continue;
            }
            let more = Some((event.at, String::new()));
            let unplanned = self.unplanned(&catalog, &event);
            let planned = Plan { more, unplanned, ..Plan::default() };
            let emitter = Some(run.id);
            plan.events.push(Acceptance { event, body_hash: [0; 32], plan: planned, emitter });
        }
    }
}
