use serde_json::{Map, Value, json};

use super::{Machine, Then};
use crate::model::{Event, UserId, Verdict};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::Emit;

/// Events that may stand in a row, each emitted by a workflow of the one before
/// (docs/reference/workflow-files.md, "emit").
const DEEPEST: u32 = 8;

impl Machine<'_> {
    /// A further event, once for each (run, step, item): its idempotency key says so.
    pub(super) fn emit(&mut self, step: &Step, emit: &Emit) -> Result<Then, Failed> {
        let from = self.around.event;
        if from.depth >= DEEPEST {
            return Err(Failed {
                verdict: Verdict::Fail,
                code: "emit.depth",
                reason: format!("`{}` would be event {} in a row", emit.event, DEEPEST + 1),
                rule: step.place.to_string(),
            });
        }
        let mut data = Map::new();
        for (name, expression) in &emit.data {
            data.insert(name.clone(), expression.evaluate_value(&self.scope())?);
        }
        let told = match &emit.to {
            Some(to) => told(&to.evaluate_value(&self.scope())?, step)?,
            None => Vec::new(),
        };
        let maker = match emit.once {
            true => format!("{}:{}", from.id, self.run.workflow),
            false => self.run.id.to_string(),
        };
        let event = Event {
            id: self.around.clock.id(),
            tenant: from.tenant.clone(),
            name: emit.event.clone(),
            actor: from.actor.clone(),
            data: data.into(),
            at: self.now(),
            received_at: self.now(),
            idempotency_key: Some(format!("emit:{maker}:{}:{}", step.path, self.item)),
            depth: from.depth + 1,
            sensitive: from.sensitive || self.around.workflow.sensitive,
            told,
            trace: from.trace.clone(),
        };
        state::result(self.run, step, "done", json!({ "event": event.id.to_string() }));
        self.steps.events.push(event);
        Ok(Then::Next)
    }
}

/// One user, or a list of them.
fn told(to: &Value, step: &Step) -> Result<Vec<UserId>, Failed> {
    let ids = match to {
        Value::Array(ids) => ids.as_slice(),
        one => std::slice::from_ref(one),
    };
    let misfit = || Failed {
        verdict: Verdict::Fail,
        code: "expression.failed",
        reason: "`to` is no user's id and no list of them".into(),
        rule: step.place.to_string(),
    };
    ids.iter().map(|id| UserId::from_json(id).ok_or_else(misfit)).collect()
}
