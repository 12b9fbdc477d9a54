use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, LiteralValue, SourceInfo};
use cel::{Env, IdedExpr, ParseErrors};

use super::names::Walk;
use super::{Compiled, MAX_COMPREHENSIONS, MAX_DEPTH, MAX_NODES, MAX_TEXT, Problem, moment};

/// The parser counts a level for each rule of its grammar that calls itself, brackets included;
/// what passes it is measured exactly afterwards.
const MAX_PARSER_DEPTH: u16 = 80;

/// Brackets inside one another, and operators, that need no stack of their own.
const SHALLOW: usize = 4;
const FEW: usize = 60;
/// Bytes of the stack for more than those; what is not used of it costs nothing.
const STACK: usize = 64 << 20;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    moment::declare(&mut env);
    Arc::new(env)
});

pub(super) fn environment() -> Arc<Env> {
    Arc::clone(&ENVIRONMENT)
}

pub(super) fn compile(
    text: &str,
    place: Arc<str>,
    names: &[&str],
) -> Result<Compiled, Vec<Problem>> {
    if let Some((code, message)) = beyond(text) {
        return Err(vec![Problem::new(code, message, 0..text.len())]);
    }
    match brackets(text) > SHALLOW || operators(text) > FEW {
        true => on_a_deep_stack(text, || read(text, place, names)),
        false => read(text, place, names),
    }
}

/// The parser recurses through a dozen rules for each bracket, and more where it looks for a way
/// on after a mistake: more than a worker's stack holds.
fn on_a_deep_stack(
    text: &str,
    read: impl FnOnce() -> Result<Compiled, Vec<Problem>> + Send,
) -> Result<Compiled, Vec<Problem>> {
    let read = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, read);
        thread.ok().and_then(|thread| thread.join().ok())
    });
    read.unwrap_or_else(|| {
        let message = "the expression is too deep to be read here".to_owned();
        Err(vec![Problem::new("expression.depth", message, 0..text.len())])
    })
}

fn read(text: &str, place: Arc<str>, names: &[&str]) -> Result<Compiled, Vec<Problem>> {
    let parser = ENVIRONMENT.parser().max_recursion_depth(MAX_PARSER_DEPTH);
    let (mut tree, places) =
        parser.parse_with_source_info(text).map_err(|errors| syntax(text, &errors))?;

    let mut problems = measure(&tree, text);
    let mut walk = Walk::new(text, &places, names);
    walk.visit(&tree);
    problems.append(&mut walk.problems);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.span.start);
        return Err(problems);
    }
    let references = walk.references;
    moment::coerce(&mut tree);
    let constant = match &tree.expr {
        Expr::Literal(LiteralValue::Boolean(value)) => Some(*value.inner()),
        _ => None,
    };
    Ok(Compiled { text: text.to_owned(), place, tree, references, constant })
}

/// Where a node stands in the text, as bytes.
pub(super) fn span_of(text: &str, places: &SourceInfo, id: u64) -> std::ops::Range<usize> {
    let (start, stop) = places.offset_for(id).unwrap_or((0, 0));
    let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(byte, _)| byte);
    let start = byte(start as usize);
    start..byte(stop as usize + 1).max(start)
}

/// What is too much before anything is parsed: a chain of operators becomes a tree as deep as it
/// is long, and a tree is walked by recursion.
fn beyond(text: &str) -> Option<(&'static str, String)> {
    if text.len() > MAX_TEXT {
        return Some((
            "expression.size",
            format!("the expression is longer than {MAX_TEXT} bytes"),
        ));
    }
    if brackets(text) > MAX_DEPTH {
        let message = format!("brackets are nested more than {MAX_DEPTH} deep");
        return Some(("expression.depth", message));
    }
    if operators(text) > MAX_NODES {
        return Some(("expression.size", format!("more than {MAX_NODES} operators")));
    }
    None
}

/// Operators outside of text: each is a node at least.
fn operators(text: &str) -> usize {
    let mut count = 0;
    let mut quote = None;
    let mut before = ' ';
    for character in text.chars() {
        match quote {
            Some(open) if character == open && before != '\\' => quote = None,
            Some(_) => {}
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None => {
                let sign = |c: char| matches!(c, '=' | '<' | '>' | '&' | '|');
                let alone =
                    matches!(character, '+' | '-' | '*' | '/' | '%' | '.' | '[' | '?' | '!');
                count += usize::from(alone || (sign(character) && !sign(before)));
            }
        }
        before = character;
    }
    count + text.split_whitespace().filter(|word| *word == "in").count()
}

fn brackets(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn syntax(text: &str, errors: &ParseErrors) -> Vec<Problem> {
    let mut problems: Vec<Problem> = errors
        .errors
        .iter()
        .map(|error| {
            let line = usize::try_from(error.pos.0).unwrap_or_default().saturating_sub(1);
            let column = usize::try_from(error.pos.1).unwrap_or_default().saturating_sub(1);
            let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
            let rest = text.get(start..).unwrap_or_default();
            let at = start + rest.char_indices().nth(column).map_or(rest.len(), |(byte, _)| byte);
            let (code, message) = match error.msg.contains("recursion") {
                true => ("expression.depth", format!("nested more than {MAX_DEPTH} deep")),
                false => ("expression.syntax", reword(&error.msg)),
            };
            Problem::new(code, message, at..at)
        })
        .collect();
    problems.dedup_by(|a, b| a.span == b.span && a.message == b.message);
    // One slip makes the parser stumble again and again; what follows the first is noise.
    problems.truncate(1);
    problems
}

/// ANTLR lists every token that it would have taken: nobody reads that.
fn reword(message: &str) -> String {
    let culprit = message.split('\'').nth(1).unwrap_or_default();
    match culprit {
        "" | "<EOF>" => "the expression ends too early".to_owned(),
        _ if message.contains("token recognition") => {
            format!("`{culprit}` is no part of an expression")
        }
        _ if message.contains("expecting") || message.contains("no viable") => {
            format!("`{culprit}` is not expected here")
        }
        _ => {
            let message = message.trim_start_matches("Syntax error: ");
            message.replace('\'', "`")
        }
    }
}

/// The limits by shape.
fn measure(tree: &IdedExpr, text: &str) -> Vec<Problem> {
    let mut shape = Shape::default();
    shape.visit(tree, 1, 0);
    let whole = 0..text.len();
    let mut problems = Vec::new();
    let mut refuse = |code, message| {
        problems.push(Problem::new(code, message, whole.clone()));
    };
    if shape.nodes > MAX_NODES {
        refuse("expression.size", format!("{} nodes; at most {MAX_NODES}", shape.nodes));
    }
    if shape.depth > MAX_DEPTH {
        refuse("expression.depth", format!("{} deep; at most {MAX_DEPTH}", shape.depth));
    }
    if shape.comprehensions > MAX_COMPREHENSIONS {
        let message = format!(
            "{} comprehensions inside one another; at most {MAX_COMPREHENSIONS}",
            shape.comprehensions
        );
        refuse("expression.nesting", message);
    }
    problems
}

#[derive(Default)]
struct Shape {
    nodes: usize,
    depth: usize,
    comprehensions: usize,
}

impl Shape {
    fn visit(&mut self, node: &IdedExpr, depth: usize, comprehensions: usize) {
        self.nodes += 1;
        self.depth = self.depth.max(depth);
        self.comprehensions = self.comprehensions.max(comprehensions);
        let mut each = |child: &IdedExpr| self.visit(child, depth + 1, comprehensions);
        match &node.expr {
            Expr::Call(call) => {
                call.target.iter().for_each(|target| each(target));
                call.args.iter().for_each(each);
            }
            // The macro's own scaffolding (accumulator, condition, result) is not the author's.
            Expr::Comprehension(loops) => {
                each(&loops.iter_range);
                self.visit(&loops.loop_step, depth + 1, comprehensions + 1);
            }
            Expr::List(list) => list.elements.iter().for_each(each),
            Expr::Map(map) => map.entries.iter().for_each(|entry| entries(&entry.expr, &mut each)),
            Expr::Struct(map) => {
                map.entries.iter().for_each(|entry| entries(&entry.expr, &mut each));
            }
            Expr::Select(select) => each(&select.operand),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }
}

/// The expressions of a map's or a struct's entry.
pub(super) fn entries(entry: &EntryExpr, each: &mut dyn FnMut(&IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => each(&field.value),
        EntryExpr::MapEntry(entry) => {
            each(&entry.key);
            each(&entry.value);
        }
    }
}
