//! A workflow's steps. A kind of step is one file here and a variant of [`StepKind`].

mod asks;
mod batch;
mod branch;
mod cancel;
mod delay;
mod digest;
mod emit;
mod fetch;
mod publish;
mod route;
mod schedule;
mod send;
mod set;
mod stop;
mod throttle;
mod wait_for;

use std::ops::Range;
use std::sync::Arc;

pub use batch::Batch;
pub use branch::{Arm, Branch};
pub use cancel::Cancel;
pub use delay::{Delay, Moment};
pub use digest::Digest;
pub use emit::Emit;
pub use fetch::Fetch;
pub use publish::{PART, Payload, Publish, Target};
pub use route::{Route, Success};
pub use schedule::{Round, Schedule};
pub use send::{Send, WhenHeld};
pub use set::Variables;
pub use stop::Stop;
pub use throttle::{Excess, Throttle};
pub use wait_for::{Awaited, Next, State, WaitFor};

use super::reader::{Fields, Known, Reader};
use super::{Workflow, language, reader};
use crate::diagnostic::{Diagnostic, Kind, Node};
use crate::expression::{Expression, Names};
use crate::model::StepPath;

/// Steps of one file, nested ones included.
const MAX_STEPS: usize = 500;
/// Levels of `steps` inside `steps`.
const MAX_NESTING: usize = 16;

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub path: StepPath,
    pub id: Option<String>,
    /// False: the step is skipped. A `send`'s is asked when its message is due, and is in
    /// [`Send::condition`].
    pub condition: Option<Expression>,
    pub on_error: OnError,
    /// `path:line`.
    pub place: Arc<str>,
    /// The word of its kind, in bytes of the file.
    pub span: Range<usize>,
    pub kind: StepKind,
}

/// What becomes of a run when one of its steps fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    #[default]
    Fail,
    /// As if its `if` were false.
    Skip,
    /// The step has failed (`steps.<id>.status`), and the run goes on.
    Continue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    Send(Send),
    Publish(Publish),
    Route(Route),
    Delay(Delay),
    Schedule(Schedule),
    Batch(Batch),
    Digest(Digest),
    Throttle(Throttle),
    WaitFor(WaitFor),
    Branch(Branch),
    Fetch(Fetch),
    Emit(Emit),
    Cancel(Cancel),
    Set(Variables),
    Stop(Stop),
}

impl StepKind {
    /// As a file writes it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Publish(_) => "publish",
            Self::Route(_) => "route",
            Self::Delay(_) => "delay",
            Self::Schedule(_) => "schedule",
            Self::Batch(_) => "batch",
            Self::Digest(_) => "digest",
            Self::Throttle(_) => "throttle",
            Self::WaitFor(_) => "wait_for",
            Self::Branch(_) => "branch",
            Self::Fetch(_) => "fetch",
            Self::Emit(_) => "emit",
            Self::Cancel(_) => "cancel",
            Self::Set(_) => "set",
            Self::Stop(_) => "stop",
        }
    }

    /// The lists of steps inside it, in the order that step paths count them.
    pub fn blocks(&self) -> Vec<&[Step]> {
        match self {
            Self::Branch(branch) => branch.arms.iter().map(|arm| arm.steps.as_slice()).collect(),
            Self::Schedule(schedule) => vec![&schedule.steps],
            Self::WaitFor(wait) => wait.blocks(),
            _ => Vec::new(),
        }
    }

    /// One of [`Self::blocks`], without gathering the others.
    pub fn block(&self, index: usize) -> Option<&[Step]> {
        match self {
            Self::Branch(branch) => branch.arms.get(index).map(|arm| arm.steps.as_slice()),
            _ => self.blocks().get(index).copied(),
        }
    }

    /// Whether it is asked to have its effect once for all recipients.
    fn is_once(&self) -> bool {
        match self {
            Self::Publish(publish) => publish.once,
            Self::Fetch(fetch) => fetch.once,
            Self::Emit(emit) => emit.once,
            _ => false,
        }
    }

    fn needs_recipient(&self) -> bool {
        matches!(self, Self::Send(_) | Self::Route(_))
    }
}

/// Reads a list of steps; `prefix` is the path of the block that holds it.
pub(super) fn read(reader: &Reader<'_>, node: &Node, prefix: &str) -> Vec<Step> {
    if prefix.split('.').count() > 2 * MAX_NESTING {
        let message = format!("steps are nested more than {MAX_NESTING} deep");
        reader.error("steps.depth", node.span.clone(), message);
        return Vec::new();
    }
    let items = reader.items(node, "steps").iter().enumerate();
    items
        .filter_map(|(index, item)| {
            let path = match prefix {
                "" => index.to_string(),
                prefix => format!("{prefix}.{index}"),
            };
            read_one(reader, item, path)
        })
        .collect()
}

fn read_one(reader: &Reader<'_>, node: &Node, path: String) -> Option<Step> {
    let Kind::Map(entries) = &node.kind else {
        reader.wrong(node, "a step", "a map");
        return None;
    };
    let mut kinds =
        entries.iter().filter(|(key, _)| key.as_text().and_then(language::step).is_some());
    let Some((key, value)) = kinds.next() else {
        no_kind(reader, node, entries);
        return None;
    };
    let word = key.as_text().unwrap_or_default();
    // `emit: {event: …}` and `route: {…}` may hold names that are words themselves; here only
    // the step's own keys are looked at.
    if let Some((other, _)) = kinds.next() {
        let message = format!("a step is one thing, not `{word}` and more");
        reader.error("step.kind", other.span.clone(), message);
    }
    let mut fields = reader.fields(node, Known::Step(language::step(word)?))?;
    let id = fields.text("id");
    let condition = fields.expression("if", Names::STEP);
    let on_error = fields.word(
        "on_error",
        &[("fail", OnError::Fail), ("skip", OnError::Skip), ("continue", OnError::Continue)],
    );
    let place = reader.source.place(node.span.start);
    let (kind, condition) = kind(word, value, fields, &path, condition, &place)?;
    let path = StepPath::from(path);
    Some(Step { path, id, condition, on_error, place, span: key.span.clone(), kind })
}

/// The kind, and the condition where the kind did not take it.
fn kind(
    word: &str,
    value: &Node,
    fields: Fields<'_, '_>,
    path: &str,
    condition: Option<Expression>,
    place: &Arc<str>,
) -> Option<(StepKind, Option<Expression>)> {
    let kind = match word {
        "send" => {
            let send = send::read(fields, condition, Arc::clone(place))?;
            return Some((StepKind::Send(send), None));
        }
        "publish" => publish::read(value, fields, Arc::clone(place)).map(StepKind::Publish),
        "route" => route::read(value, fields, Arc::clone(place)).map(StepKind::Route),
        "delay" => delay::read(value, fields).map(StepKind::Delay),
        "schedule" => schedule::read(value, fields, path).map(StepKind::Schedule),
        "batch" => batch::read(value, fields).map(StepKind::Batch),
        "digest" => digest::read(value, fields).map(StepKind::Digest),
        "throttle" => throttle::read(value, fields).map(StepKind::Throttle),
        "wait_for" => wait_for::read(value, fields, path).map(StepKind::WaitFor),
        "branch" => branch::read(value, fields, path).map(StepKind::Branch),
        "fetch" => fetch::read(value, fields).map(StepKind::Fetch),
        "emit" => emit::read(value, fields).map(StepKind::Emit),
        "cancel" => cancel::read(value, fields).map(StepKind::Cancel),
        "set" => set::read(value, fields).map(StepKind::Set),
        _ => {
            let (stop, inner) = stop::read(value, fields);
            return Some((StepKind::Stop(stop), condition.or(inner)));
        }
    };
    Some((kind?, condition))
}

fn no_kind(reader: &Reader<'_>, node: &Node, entries: &[(Node, Node)]) {
    let near = entries.iter().find_map(|(key, _)| {
        let text = key.as_text()?;
        Some((key, crate::diagnostic::did_you_mean(text, language::step_words())?))
    });
    let message = "a step says what it does: `send`, `delay`, `branch` …";
    let problem = match near {
        Some((key, word)) => {
            Diagnostic::error(reader.source, "step.kind", key.span.clone(), message)
                .hint(format!("did you mean `{word}`?"))
        }
        None => {
            let start = node.span.start;
            let words: Vec<&str> = language::step_words().collect();
            Diagnostic::error(reader.source, "step.kind", start..start, message)
                .hint(format!("one of `{}`", words.join("`, `")))
        }
    };
    reader.push(problem);
}

/// What concerns the steps of a file together. `for_nobody`: it names no recipients, not even
/// wrong ones.
pub(super) fn check(reader: &Reader<'_>, workflow: &Workflow, for_nobody: bool) {
    let steps = workflow.all_steps();
    if steps.len() > MAX_STEPS {
        let message = format!("{} steps; at most {MAX_STEPS}", steps.len());
        reader.error("steps.size", 0..0, message);
    }
    let mut ids: Vec<&str> = Vec::new();
    let mut spoken = false;
    for step in steps {
        let word = step.kind.word();
        if for_nobody && step.kind.needs_recipient() {
            let message = format!("`{word}` needs somebody to speak to: there are no `recipients`");
            reader.error("recipients.missing", step.span.clone(), message);
        }
        spoken |= step.kind.needs_recipient();
        if spoken && step.kind.is_once() {
            let message =
                format!("`{word}` cannot be `once` behind a step that speaks to somebody");
            reader.error("step.once", step.span.clone(), message);
        }
        if let StepKind::WaitFor(wait) = &step.kind {
            wait_for::check(reader, workflow, step, wait);
        }
        if let Some(id) = &step.id {
            if ids.contains(&id.as_str()) {
                let message = format!("the id `{id}` is used twice");
                reader.error("step.id", step.span.clone(), message);
            }
            ids.push(id);
        }
    }
}
