//! The file as written, field by field.

use std::collections::BTreeMap;
use std::ops::Range;

use super::reader::{Fields, Reader};
use super::{Dedupe, PriorityRule, Required, Workflow, language, recipient, step};
use crate::diagnostic::{Diagnostic, Document, Kind, Node, Source};
use crate::expression::Names;
use crate::model::{Category, ChannelName, Priority, WorkflowName};

const PRIORITIES: [(&str, Priority); 4] = [
    ("critical", Priority::Critical),
    ("high", Priority::High),
    ("medium", Priority::Medium),
    ("low", Priority::Low),
];

/// Compiles a workflow file. What could be read is given beside its problems, so that checks
/// across files see it too; run it only where no problem is an error.
pub fn compile(source: &Source) -> (Option<Workflow>, Vec<Diagnostic>) {
    let (document, mut problems) = Document::parse(source);
    let Some(document) = document else {
        return (None, problems);
    };
    let reader = Reader::new(source);
    let workflow = read(&reader, &document.root);
    problems.extend(reader.into_problems());
    (workflow, problems)
}

fn read(reader: &Reader<'_>, root: &Node) -> Option<Workflow> {
    let mut fields = reader.fields(root, &language::WORKFLOW)?;
    let name = name(reader, &mut fields);
    let on = match fields.need("on") {
        Some(node) => reader.patterns(node, "on"),
        None => Vec::new(),
    };
    let condition = fields.expression("if", Names::EVENT);
    let category = fields.take("category");
    let priority = fields.take("priority").map_or_else(Vec::new, |node| priorities(reader, node));
    let critical = fields.flag("critical");
    let sensitive = fields.flag("sensitive");
    let key = fields.expression("key", Names::EVENT);
    let cancel_on = fields.take("cancel_on").map(|node| reader.patterns(node, "cancel_on"));
    let restart_on = fields.take("restart_on").map(|node| reader.patterns(node, "restart_on"));
    stops_by_key(reader, root);
    let dedupe = fields.take("dedupe").and_then(|node| dedupe(reader, node));
    let required_node = fields.take("required");
    let required = required_node.map_or(Required::None, |node| required(reader, node));
    let defaults_node = fields.take("defaults");
    let defaults = defaults_node.map_or_else(BTreeMap::new, |node| defaults(reader, node));
    let named_channels = named_channels(reader, required_node, defaults_node);
    let expires = fields.span("expires");
    let recipients =
        fields.take("recipients").map_or_else(Vec::new, |node| recipient::read(reader, node));
    let steps = fields.need("steps").map_or_else(Vec::new, |node| step::read(reader, node, ""));
    fields.finish();

    let name = name?;
    let (category, category_span) =
        match category.and_then(|node| Some((reader.text(node, "category")?, node.span.clone()))) {
            Some((category, span)) => (Category::from(category), span),
            // A workflow that names no type is one of its own.
            None => (Category::from(name.as_str()), 0..0),
        };
    let workflow = Workflow {
        name,
        version: Workflow::version_of(reader.source.text()),
        path: reader.source.path_shared(),
        source: reader.source.text_shared(),
        on,
        condition,
        category,
        priority,
        critical,
        sensitive,
        key,
        cancel_on: cancel_on.unwrap_or_default(),
        restart_on: restart_on.unwrap_or_default(),
        dedupe,
        required,
        defaults,
        expires,
        recipients,
        steps,
        category_span,
        named_channels,
    };
    let named = root.get("recipients");
    let for_nobody = named.is_none_or(|node| reader.one_or_more(node).is_empty());
    step::check(reader, &workflow, for_nobody);
    Some(workflow)
}

fn stops_by_key(reader: &Reader<'_>, root: &Node) {
    for what in ["cancel_on", "restart_on"] {
        if let (Some(node), None) = (root.get(what), root.get("key")) {
            let message = format!("`{what}` stops the runs of a `key`, and there is none");
            let problem =
                Diagnostic::error(reader.source, "key.missing", node.span.clone(), message);
            reader.push(problem.hint("for example `key: event.data.order_id`"));
        }
    }
}

/// `workflow:` equals the file's stem.
fn name(reader: &Reader<'_>, fields: &mut Fields<'_, '_>) -> Option<WorkflowName> {
    let node = fields.need("workflow")?;
    let name = reader.text(node, "workflow")?;
    let file = reader.source.path().rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    if name != stem {
        let message = format!("the workflow is called `{name}`, and its file `{file}`");
        let problem = Diagnostic::error(reader.source, "workflow.name", node.span.clone(), message);
        reader.push(problem.hint(format!("the two must be the same: `workflow: {stem}`")));
    }
    Some(WorkflowName::from(name))
}

/// One word, or a list of `word: expression` whose last may be a word alone.
fn priorities(reader: &Reader<'_>, node: &Node) -> Vec<PriorityRule> {
    let items = reader.one_or_more(node);
    let mut rules = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match &item.kind {
            Kind::Map(entries) => {
                for (word, condition) in entries {
                    let priority = reader.word(word, "priority", &PRIORITIES);
                    let condition = reader.expression(condition, "priority", Names::RECIPIENT);
                    if let (Some(priority), Some(condition)) = (priority, condition) {
                        rules.push(PriorityRule { priority, condition: Some(condition) });
                    }
                }
            }
            _ => {
                if index + 1 < items.len() {
                    let message = "only the last priority may stand without a condition";
                    reader.error("priority.order", item.span.clone(), message);
                }
                let priority = reader.word(item, "priority", &PRIORITIES);
                rules.extend(priority.map(|priority| PriorityRule { priority, condition: None }));
            }
        }
    }
    rules
}

fn dedupe(reader: &Reader<'_>, node: &Node) -> Option<Dedupe> {
    let mut fields = reader.fields(node, &language::DEDUPE)?;
    let key = fields.need("key").and_then(|node| reader.expression(node, "key", Names::RECIPIENT));
    let window = fields.need("window").and_then(|node| reader.span(node, "window"));
    fields.finish();
    Some(Dedupe { key: key?, window: window? })
}

fn required(reader: &Reader<'_>, node: &Node) -> Required {
    match node.to_json().as_bool() {
        Some(true) => Required::All,
        Some(false) => Required::None,
        None => {
            let names = reader.one_or_more(node).iter();
            let names = names.filter_map(|item| reader.text(item, "required"));
            Required::Channels(names.map(ChannelName::from).collect())
        }
    }
}

/// For the check across files.
fn named_channels(
    reader: &Reader<'_>,
    required: Option<&Node>,
    defaults: Option<&Node>,
) -> Vec<(ChannelName, Range<usize>)> {
    let required = required.filter(|node| node.to_json().as_bool().is_none());
    let listed = required.map_or(&[][..], |node| reader.one_or_more(node)).iter();
    let keys = match defaults.map(|node| &node.kind) {
        Some(Kind::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    let nodes = listed.chain(keys.iter().map(|(key, _)| key));
    let named = |node: &Node| Some((ChannelName::from(node.as_text()?), node.span.clone()));
    nodes.filter_map(named).collect()
}

fn defaults(reader: &Reader<'_>, node: &Node) -> BTreeMap<ChannelName, bool> {
    let Kind::Map(entries) = &node.kind else {
        reader.wrong(node, "defaults", "a map from channels to true or false");
        return BTreeMap::new();
    };
    let read = |(key, value): &(Node, Node)| {
        let channel = reader.text(key, "defaults")?;
        Some((ChannelName::from(channel), reader.flag(value, "defaults")?))
    };
    entries.iter().filter_map(read).collect()
}
