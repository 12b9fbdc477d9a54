use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{Machine, Then};
use crate::expression::Expression;
use crate::model::{Collected, Decision, Event, Item, Join, Occasion, Slide, Verdict};
use crate::plan::question::{Answer, Question};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::{Batch, Digest};

impl Machine<'_> {
    pub(super) fn batch(&mut self, step: &Step, batch: &Batch) -> Result<Then, Failed> {
        if let Some(then) = self.collected(step, None, 0) {
            return Ok(then);
        }
        let window = batch.window.0;
        let slide = batch.max_window.map(|most| Slide { by: window, most: most.0 });
        let reason = format!("collects what comes within {}", batch.window);
        let decision = self.decision(step, Verdict::Wait, "batch", reason);
        self.join(step, batch.key.as_ref(), decision, |join| Join {
            closes_at: self.around.clock.after(window),
            slide,
            max_items: Some(batch.max_items.unwrap_or(Batch::MAX_ITEMS)),
            leading: batch.flush_leading.then_some(window),
            ..join
        })
    }

    pub(super) fn digest(&mut self, step: &Step, digest: &Digest) -> Result<Then, Failed> {
        let zone = digest.time_zone.as_deref().or(self.around.recipient.time_zone());
        let zone = zone.and_then(|name| TimeZone::get(name).ok());
        let zone = zone.as_ref().unwrap_or(self.around.time_zone);
        let next = digest.cron.next_after(self.now(), zone).ok_or_else(|| Failed {
            verdict: Verdict::Fail,
            code: "digest.never",
            reason: format!("`{}` does not fire within ten years", digest.cron),
            rule: step.place.to_string(),
        })?;
        let min_items = digest.min_items.unwrap_or_default();
        if let Some(then) = self.collected(step, Some(next), min_items) {
            return Ok(then);
        }
        let reason = format!("collects what comes until the next `{}`", digest.cron);
        let decision = self.decision(step, Verdict::Wait, "digest", reason);
        self.join(step, digest.key.as_ref(), decision, |join| Join {
            closes_at: next,
            min_items,
            ..join
        })
    }

    /// What waits together is asked for on waking; the answer takes the run on. `None`: the step
    /// begins, or it was not over, and the run joins.
    fn collected(&mut self, step: &Step, next: Option<Timestamp>, min_items: u64) -> Option<Then> {
        match self.answer.take() {
            Some(Answer::Collected(Collected::Closed { count, items })) => {
                self.went_on(step, count, &items);
                Some(Then::Next)
            }
            Some(Answer::Collected(Collected::Open { until, count })) => {
                if count < min_items {
                    let reason = format!("{count} of at least {min_items} so far");
                    let decision = self.decision(step, Verdict::Wait, "digest", reason);
                    self.steps.decisions.push(Decision { until: Some(until), ..decision });
                }
                None
            }
            _ => state::is_marked(self.run).then_some(Then::Ask(Question::Collected { next })),
        }
    }

    /// Waits for others from now on. Joined again, nothing changes but when the run wakes.
    pub(super) fn join(
        &mut self,
        step: &Step,
        key: Option<&Expression>,
        decision: Decision,
        shape: impl FnOnce(Join) -> Join,
    ) -> Result<Then, Failed> {
        let key = key.map(|key| key.evaluate_text(&self.scope())).transpose()?;
        let join = shape(Join {
            occasion: self.occasion(step),
            tenant: self.around.event.tenant.clone(),
            key: key.unwrap_or_default(),
            at: self.now(),
            closes_at: self.now(),
            slide: None,
            max_items: None,
            min_items: 0,
            leading: None,
            decision,
        });
        state::mark(self.run);
        Ok(Then::Join(Box::new(join)))
    }

    pub(super) fn occasion(&self, step: &Step) -> Occasion {
        Occasion { run: self.run.id, step: step.path.clone(), item: self.item }
    }

    /// Goes on for itself, where others go on for many.
    pub(super) fn alone(&mut self, step: &Step) {
        if state::has_collected(self.run) {
            return state::status(self.run, step, "done");
        }
        let own = event(self.around.event);
        let collected = json!({ "count": 1, "items": [own] });
        state::collected(self.run, collected);
        state::result(self.run, step, "done", json!({ "count": 1 }));
    }

    pub(super) fn went_on(&mut self, step: &Step, count: u64, items: &[Item]) {
        let items: Vec<Value> = items.iter().flat_map(shown).collect();
        state::collected(self.run, json!({ "count": count, "items": items }));
        state::result(self.run, step, "done", json!({ "count": count }));
        let occasion = self.occasion(step);
        self.steps.closes.push(occasion);
    }
}

/// As templates see it.
fn shown(item: &Item) -> Vec<Value> {
    match item {
        Item::Event(one) => vec![event(one)],
        Item::Collected(earlier) => {
            earlier.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
        }
    }
}

fn event(event: &Event) -> Value {
    let mut fields = Map::new();
    fields.insert("id".into(), event.id.to_string().into());
    fields.insert("name".into(), event.name.as_str().into());
    fields.insert("data".into(), event.data.clone());
    fields.insert("at".into(), event.at.to_string().into());
    if let Some(actor) = &event.actor {
        fields.insert("actor".into(), actor.as_str().into());
    }
    fields.into()
}
