//! What steps leave for later ones: `{"vars": {…}, "steps": {<id>: {"status", "result"}}}`; and
//! for themselves: `"mark"`, while the run waits at a step that has begun, and `"turns"`, how often
//! each loop has gone round. `"collected"` is what the run goes on for, where that is more than its
//! own event.

use serde_json::{Map, Value, json};

use crate::model::{Run, StepPath};
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

/// Sets `steps.<id>` with what the step came to, where the step has an id.
pub(super) fn outcome(run: &mut Run, step: &Step, status: &str, result: Option<Value>) {
    if let Some(id) = &step.id {
        let mut left = json!({ "status": status });
        if let Some(result) = result {
            left["result"] = result;
        }
        part(run, "steps").insert(id.clone(), left);
    }
}

/// Sets `steps.<id>.status` and its `result`, where the step has an id.
pub(super) fn result(run: &mut Run, step: &Step, status: &str, result: Value) {
    if let Some(id) = &step.id {
        part(run, "steps").insert(id.clone(), json!({ "status": status, "result": result }));
    }
}

/// Sets what the run goes on for: `{"count", "items"}`.
pub(super) fn collected(run: &mut Run, collected: Value) {
    if !run.state.is_object() {
        run.state = empty();
    }
    run.state["collected"] = collected;
}

pub(super) fn has_collected(run: &Run) -> bool {
    run.state.get("collected").is_some()
}

/// Says that the step at the run's position has begun.
pub(super) fn mark(run: &mut Run) {
    if !run.state.is_object() {
        run.state = empty();
    }
    run.state["mark"] = Value::Bool(true);
}

/// Says which of its ways the step at the run's position has begun.
pub(super) fn mark_place(run: &mut Run, place: usize) {
    mark(run);
    run.state["mark"] = place.into();
}

/// The way that [`mark_place`] says; `None` for a step that has not begun.
pub(super) fn marked_place(run: &Run) -> Option<usize> {
    run.state.get("mark")?.as_u64()?.try_into().ok()
}

pub(super) fn is_marked(run: &Run) -> bool {
    run.state.get("mark").is_some()
}

/// Whether the step at `path`, where the run stands, has begun.
pub(super) fn has_begun(run: &Run, path: &StepPath) -> bool {
    is_marked(run) || turns(run, path) > 0
}

pub(super) fn clear_mark(run: &mut Run) {
    if let Some(state) = run.state.as_object_mut() {
        state.remove("mark");
    }
}

/// How often the loop at `path` has gone round.
pub(super) fn turns(run: &Run, path: &StepPath) -> usize {
    let turns = run.state.get("turns").and_then(|turns| turns.get(path.as_str()));
    turns.and_then(Value::as_u64).and_then(|turns| turns.try_into().ok()).unwrap_or_default()
}

pub(super) fn turn(run: &mut Run, path: &StepPath) {
    let turns = turns(run, path) + 1;
    part(run, "turns").insert(path.as_str().to_owned(), turns.into());
}

/// The loop is over; begun again (inside another one), it starts anew.
pub(super) fn rest(run: &mut Run, path: &StepPath) {
    part(run, "turns").remove(path.as_str());
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
