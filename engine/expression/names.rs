//! What an expression may speak of, checked when it is compiled.

use std::ops::Range;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, SelectExpr, SourceInfo};

use super::Problem;
use super::compile::span_of;

/// The names that an expression may see, by where it stands.
pub struct Names;

impl Names {
    /// Before there is a recipient: a workflow's `if`, and who its recipients are.
    pub const EVENT: &[&str] = &["event", "now"];
    /// About one recipient, before there is a run.
    pub const RECIPIENT: &[&str] = &["event", "recipient", "now"];
    /// In a step.
    pub const STEP: &[&str] = &["event", "recipient", "run", "steps", "vars", "now"];
    /// In a step that looks at another event.
    pub const MATCH: &[&str] = &["event", "recipient", "run", "steps", "vars", "now", "incoming"];
    /// A route's `who`, beside the parameters of its path.
    pub const TOKEN: &[&str] = &["token", "now"];

    /// The fields of a name whose fields are fixed; `None` where anything may be.
    pub fn fields(root: &str) -> Option<&'static [&'static str]> {
        Some(match root {
            "event" | "incoming" => EVENT_FIELDS,
            "recipient" => RECIPIENT_FIELDS,
            "run" => RUN_FIELDS,
            _ => return None,
        })
    }
}

/// A path that an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// From the root name: `["event", "data", "order_id"]`.
    pub path: Vec<String>,
    /// Asked with `has(…)`: may be missing.
    pub tested: bool,
    /// In bytes of the expression.
    pub span: Range<usize>,
}

pub(super) const EVENT_FIELDS: &[&str] = &["id", "name", "data", "at", "actor", "tenant"];
pub(super) const RECIPIENT_FIELDS: &[&str] = &[
    "id",
    "as",
    "name",
    "username",
    "first_name",
    "last_name",
    "email",
    "phone",
    "locale",
    "time_zone",
    "role",
    "data",
    "online",
    "last_seen",
    "topics",
];
pub(super) const RUN_FIELDS: &[&str] = &["id", "priority", "key", "started_at"];

/// Names of types and namespaces, which are no variables.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "dyn",
    "google",
    "int",
    "list",
    "map",
    "null_type",
    "optional",
    "string",
    "timestamp",
    "duration",
    "type",
    "uint",
];

const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "hasValue",
    "int",
    "matches",
    "none",
    "of",
    "ofNonZeroValue",
    "optFlatMap",
    "optMap",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
    "value",
];

/// Macros are gone from the tree; a call of one with the wrong arguments stays.
const MACROS: &[&str] = &["all", "exists", "exists_one", "existsOne", "filter", "has", "map"];

pub(super) struct Walk<'a> {
    text: &'a str,
    places: &'a SourceInfo,
    names: &'a [&'a str],
    locals: Vec<&'a str>,
    pub(super) problems: Vec<Problem>,
    pub(super) references: Vec<Reference>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str, places: &'a SourceInfo, names: &'a [&'a str]) -> Self {
        let (locals, problems, references) = Default::default();
        Self { text, places, names, locals, problems, references }
    }

    pub(super) fn visit(&mut self, node: &'a IdedExpr) {
        match &node.expr {
            Expr::Ident(name) => self.name(name, node.id),
            Expr::Select(select) => self.select(select, node),
            Expr::Call(call) => self.call(call, node.id),
            Expr::Comprehension(loops) => {
                self.visit(&loops.iter_range);
                let before = self.locals.len();
                self.locals.push(&loops.iter_var);
                self.locals.extend(loops.iter_var2.as_deref());
                self.locals.push(&loops.accu_var);
                self.visit(&loops.loop_step);
                self.visit(&loops.result);
                self.locals.truncate(before);
            }
            Expr::List(list) => list.elements.iter().for_each(|item| self.visit(item)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key);
                self.visit(&entry.value);
            }
        }
    }

    fn name(&mut self, name: &str, id: u64) {
        let known = name.starts_with('@')
            || self.locals.contains(&name)
            || self.names.contains(&name)
            || TYPES.contains(&name);
        if known {
            return;
        }
        let elsewhere = Names::MATCH.contains(&name);
        let message = match elsewhere {
            true => format!("`{name}` is not known here"),
            false => format!("unknown name `{name}`"),
        };
        let span = span_of(self.text, self.places, id);
        let candidates = match elsewhere {
            true => Vec::new(),
            false => owned(self.names.iter().chain(&self.locals)),
        };
        let name = name.to_owned();
        self.problems.push(Problem { code: "expression.name", message, span, name, candidates });
    }

    fn select(&mut self, select: &'a SelectExpr, node: &'a IdedExpr) {
        let Some((path, root)) = path(node) else {
            return self.visit(&select.operand);
        };
        let name = path[0];
        if self.locals.contains(&name) || !self.names.contains(&name) {
            return self.name(name, root);
        }
        let start = span_of(self.text, self.places, root).start;
        let span = start..self.path_end(start, &path);
        if let Some(known) = Names::fields(name)
            && !known.contains(&path[1])
        {
            self.problems.push(Problem {
                code: "expression.field",
                message: format!("`{name}` has no field `{}`", path[1]),
                span: span.clone(),
                name: path[1].to_owned(),
                candidates: owned(known),
            });
        }
        let path = path.into_iter().map(str::to_owned).collect();
        self.references.push(Reference { path, tested: select.test, span });
    }

    /// The end of `a.b.c` that begins at `start`, white space between the parts allowed.
    fn path_end(&self, start: usize, path: &[&str]) -> usize {
        path.iter().fold(start, |at, part| {
            let rest = self.text.get(at..).unwrap_or_default();
            rest.find(part).map_or(at, |found| at + found + part.len())
        })
    }

    fn call(&mut self, call: &'a CallExpr, id: u64) {
        let name = call.func_name.as_str();
        let operator = name.starts_with(['_', '@', '!', '-']);
        if !operator && !FUNCTIONS.contains(&name) {
            let message = match MACROS.contains(&name) {
                true => format!("`{name}` is used with the wrong arguments"),
                false => format!("unknown function `{name}`"),
            };
            let code = "expression.function";
            let span = span_of(self.text, self.places, id);
            let candidates = match MACROS.contains(&name) {
                true => Vec::new(),
                false => owned(FUNCTIONS.iter().chain(MACROS)),
            };
            let name = name.to_owned();
            self.problems.push(Problem { code, message, span, name, candidates });
        }
        if let Some(target) = &call.target {
            self.visit(target);
        }
        call.args.iter().for_each(|argument| self.visit(argument));
    }
}

/// `a.b.c` as its names, and the id of `a`; `has(a.b.c)` too.
fn path(node: &IdedExpr) -> Option<(Vec<&str>, u64)> {
    let mut names = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Expr::Ident(name) => {
                names.push(name.as_str());
                names.reverse();
                return Some((names, node.id));
            }
            Expr::Select(select) => {
                names.push(select.field.as_str());
                node = &select.operand;
            }
            _ => return None,
        }
    }
}

fn owned<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> Vec<String> {
    names.into_iter().map(|name| (*name).to_owned()).collect()
}

/// Visits every node under `node`, itself included.
pub(super) fn each_mut(node: &mut IdedExpr, visit: &mut dyn FnMut(&mut IdedExpr)) {
    match &mut node.expr {
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| visit(target));
            call.args.iter_mut().for_each(visit);
        }
        Expr::Comprehension(loops) => {
            visit(&mut loops.iter_range);
            visit(&mut loops.loop_step);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(visit),
        Expr::Map(map) => {
            map.entries.iter_mut().for_each(|entry| entry_mut(&mut entry.expr, visit))
        }
        Expr::Struct(map) => {
            map.entries.iter_mut().for_each(|entry| entry_mut(&mut entry.expr, visit));
        }
        Expr::Select(select) => visit(&mut select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn entry_mut(entry: &mut EntryExpr, visit: &mut dyn FnMut(&mut IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => visit(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            visit(&mut entry.key);
            visit(&mut entry.value);
        }
    }
}
