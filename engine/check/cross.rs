//! What no file shows alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Catalog, cycles, expressions, fields};
use crate::channel::{ContentKind, Traits};
use crate::diagnostic::{Diagnostic, Source, did_you_mean};
use crate::model::ChannelName;
use crate::workflow::step::{Awaited, Cancel, PART, Send, WaitFor};
use crate::workflow::{Step, StepKind, Workflow};

pub(super) fn check(
    workflows: &[Arc<Workflow>],
    catalog: &Catalog,
    channels: &BTreeMap<ChannelName, Traits>,
    templates: &[Source],
    problems: &mut Vec<Diagnostic>,
) {
    duplicates(workflows, problems);
    cycles::check(workflows, problems);
    let names: BTreeSet<&str> = workflows.iter().map(|workflow| workflow.name.as_str()).collect();
    batch_templates(catalog, problems);
    for workflow in workflows {
        let source = Source::new(Arc::clone(&workflow.path), Arc::clone(&workflow.source));
        let names = &names;
        let mut one = One { workflow, source, catalog, channels, templates, names, problems };
        one.category();
        one.events();
        for step in workflow.all_steps() {
            match &step.kind {
                StepKind::Send(send) => one.send(send),
                StepKind::Route(route) => one.send(&route.send),
                StepKind::Cancel(cancel) => one.cancelled(step, cancel),
                StepKind::Emit(emit) => one.event(&emit.event, step.span.start),
                StepKind::WaitFor(wait) => one.awaited(step, wait),
                StepKind::Publish(publish) => {
                    if let Some(send) = publish.as_send() {
                        one.template(&send, &PART.into(), send.template_span.clone());
                    }
                }
                _ => {}
            }
        }
        one.named_channels();
        one.expressions();
    }
}

/// A name is unique over all packs: logs and preferences use it.
fn duplicates(workflows: &[Arc<Workflow>], problems: &mut Vec<Diagnostic>) {
    let mut first: HashMap<&str, &Workflow> = HashMap::new();
    for workflow in workflows {
        if let Some(other) = first.insert(workflow.name.as_str(), workflow) {
            let source = Source::new(Arc::clone(&workflow.path), Arc::clone(&workflow.source));
            let message = format!("`{}` is also the name of {}", workflow.name, other.path);
            problems.push(Diagnostic::error(&source, "workflow.duplicate", 0..0, message));
        }
    }
}

/// A type's template of what was gathered has to be there; for which channels, the steps decide.
fn batch_templates(catalog: &Catalog, problems: &mut Vec<Diagnostic>) {
    for declared in &catalog.types {
        let (Some(name), Some((source, span))) =
            (&declared.batch_template, &declared.batch_template_place)
        else {
            continue;
        };
        if catalog.templates.channels(name).is_empty() {
            let message = format!("there is no template `{name}`");
            let problem = Diagnostic::error(source, "template.missing", span.clone(), message);
            problems.push(problem.suggest(name, catalog.templates.names()));
        }
    }
}

struct One<'a, 'p> {
    workflow: &'a Workflow,
    source: Source,
    catalog: &'a Catalog,
    channels: &'a BTreeMap<ChannelName, Traits>,
    templates: &'a [Source],
    /// Of all workflows.
    names: &'a BTreeSet<&'a str>,
    problems: &'p mut Vec<Diagnostic>,
}

impl One<'_, '_> {
    /// A category that no pack declares is one all the same; but beside declared ones it is
    /// probably a slip.
    fn category(&mut self) {
        let (category, span) = (&self.workflow.category, self.workflow.category_span.clone());
        let types = &self.catalog.types;
        let declared = types.iter().any(|declared| declared.name == *category);
        if declared || types.is_empty() || span.is_empty() {
            return;
        }
        let message = format!("no types.yaml declares the category `{category}`");
        let problem = Diagnostic::warning(&self.source, "category.undeclared", span, message);
        let names = types.iter().map(|declared| declared.name.as_str());
        self.problems.push(problem.suggest(category.as_str(), names));
    }

    fn events(&mut self) {
        let workflow = self.workflow;
        let all = workflow.on.iter().chain(&workflow.cancel_on).chain(&workflow.restart_on);
        all.filter(|pattern| !pattern.is_glob()).for_each(|one| self.event(one.as_str(), 0));
    }

    /// An event that nobody declares, and whose name is nearly a declared one's.
    fn event(&mut self, name: &str, from: usize) {
        let events = &self.catalog.events;
        if events.is_declared(name) {
            return;
        }
        if let Some(near) = did_you_mean(name, events.names()) {
            let text = self.workflow.source.get(from..).unwrap_or_default();
            let at = from + text.find(name).unwrap_or_default();
            let message = format!("no events.yaml declares the event `{name}`");
            let span = at..at + name.len();
            let problem = Diagnostic::warning(&self.source, "event.undeclared", span, message);
            self.problems.push(problem.hint(format!("did you mean `{near}`?")));
        }
    }

    fn awaited(&mut self, step: &Step, wait: &WaitFor) {
        if let Awaited::Event { on, .. } = &wait.awaited {
            let names = on.iter().filter(|pattern| !pattern.is_glob());
            names.for_each(|pattern| self.event(pattern.as_str(), step.span.start));
        }
    }

    fn cancelled(&mut self, step: &Step, cancel: &Cancel) {
        let name = cancel.workflow.as_ref().map(|name| name.as_str());
        if let Some(name) = name.filter(|name| !self.names.contains(name)) {
            let message = format!("there is no workflow `{name}`");
            let span = step.span.clone();
            let problem = Diagnostic::error(&self.source, "workflow.unknown", span, message);
            self.problems.push(problem.suggest(name, self.names.iter().copied()));
        }
    }

    fn named_channels(&mut self) {
        for (channel, span) in &self.workflow.named_channels {
            if !channel.is_in_app() && !self.channels.contains_key(channel) {
                self.unknown_channel(channel, span.clone());
            }
        }
    }

    fn send(&mut self, send: &Send) {
        for (channel, span) in send.channels.iter().zip(&send.channel_spans) {
            if !channel.is_in_app() && !self.channels.contains_key(channel) {
                self.unknown_channel(channel, span.clone());
                // A slip of the pen has no template either; one message is enough.
                continue;
            }
            self.template(send, channel, span.clone());
        }
    }

    fn unknown_channel(&mut self, channel: &ChannelName, span: std::ops::Range<usize>) {
        let names = self.channels.keys().map(ChannelName::as_str);
        let names: Vec<&str> = names.chain([ChannelName::IN_APP]).collect();
        let message = format!("no channel is called `{channel}`");
        let problem = Diagnostic::error(&self.source, "channel.unknown", span, message);
        self.problems.push(match did_you_mean(channel.as_str(), names.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("there are `{}`", names.join("`, `"))),
        });
    }

    fn template(
        &mut self,
        send: &Send,
        channel: &ChannelName,
        channel_span: std::ops::Range<usize>,
    ) {
        let templates = &self.catalog.templates;
        let stands_alone =
            self.channels.get(channel).is_some_and(|traits| traits.kind == ContentKind::Json);
        let Some(name) = send.template.as_deref() else {
            if !stands_alone {
                let message = format!("`{channel}` needs a `template`");
                let code = "template.missing";
                self.problems.push(Diagnostic::error(&self.source, code, channel_span, message));
            }
            return;
        };
        let span = send.template_span.clone();
        if !templates.has(name, channel.as_str()) {
            // A file that is there and cannot be read has been complained of.
            let file = format!("templates/{name}/{channel}.hbs");
            if self.templates.iter().any(|source| source.path() == file) {
                return;
            }
            let written = templates.channels(name);
            if written.is_empty() {
                let message = format!("there is no template `{name}`");
                let problem = Diagnostic::error(&self.source, "template.missing", span, message);
                self.problems.push(problem.suggest(name, templates.names()));
            } else if !stands_alone {
                let message = format!("the template `{name}` has no `{channel}.hbs`");
                let problem = Diagnostic::error(&self.source, "template.missing", span, message);
                let hint = format!("it has `{}`", written.join("`, `"));
                self.problems.push(problem.hint(hint));
            }
            return;
        }
        if channel.as_str() == "email" && !templates.writes(name, "email", "subject") {
            let message = format!("an e-mail of `{name}` has no `subject:`");
            self.problems.push(Diagnostic::warning(
                &self.source,
                "template.subject",
                span,
                message,
            ));
        }
        let used = templates.fields(name, channel.as_str());
        let given = fields::Given { workflow: self.workflow, send, events: &self.catalog.events };
        fields::of_template(&given, used, self.templates, self.problems);
    }

    fn expressions(&mut self) {
        expressions::check(self.workflow, &self.source, &self.catalog.events, self.problems);
    }
}
