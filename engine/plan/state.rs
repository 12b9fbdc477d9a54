//! What steps leave for later ones: `{"vars": {…}, "steps": {<id>: {"status", "result"}}}`.

use serde_json::{Map, Value, json};

use crate::model::Run;
use crate::workflow::Step;

pub(super) fn empty() -> Value {
    Value::Object(Map::new())
}

/// Sets `vars.<name>`.
pub(super) fn set(run: &mut Run, name: &str, value: Value) {
    part(run, "vars").insert(name.to_owned(), value);
}

/// Sets `steps.<id>.status`, where the step has an id.
pub(super) fn status(run: &mut Run, step: &Step, status: &str) {
    if let Some(id) = &step.id {
        part(run, "steps").insert(id.clone(), json!({ "status": status }));
    }
}

fn part<'r>(run: &'r mut Run, name: &str) -> &'r mut Map<String, Value> {
    if !run.state.is_object() {
        run.state = empty();
    }
    let part = &mut run.state[name];
    if !part.is_object() {
        *part = empty();
    }
    match part {
        Value::Object(part) => part,
        _ => unreachable!("it was made an object above"),
    }
}
