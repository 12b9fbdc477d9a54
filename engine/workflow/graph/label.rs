use std::fmt;

use super::awaited;
use crate::expression::Expression;
use crate::workflow::step::{Delay, Payload, StepKind, Target};

/// A longer line is cut: a picture is no listing.
const MAX_LINE: usize = 60;

/// Lines of text in a node or on an arrow.
pub(super) struct Label(Vec<String>);

impl Label {
    pub fn new(line: String) -> Self {
        Self(vec![line])
    }

    pub fn line(&mut self, line: String) {
        self.0.push(line);
    }
}

/// Between quotes, Mermaid takes `#35;` for a character; everything that it, Markdown or HTML
/// might read otherwise is written so.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("<br/>")?;
            }
            let cut = line.chars().count() > MAX_LINE;
            for character in line.chars().take(if cut { MAX_LINE - 1 } else { MAX_LINE }) {
                match character {
                    character if character.is_control() => f.write_str(" ")?,
                    '"' | '#' | '&' | '<' | '>' | '[' | ']' | '{' | '}' | '(' | ')' | '|' | '`'
                    | '\\' | ';' | '%' => {
                        write!(f, "#{};", u32::from(character))?;
                    }
                    character => write!(f, "{character}")?,
                }
            }
            if cut {
                f.write_str("…")?;
            }
        }
        Ok(())
    }
}

/// What a step of its kind does, line by line.
pub(super) fn details(kind: &StepKind) -> Vec<String> {
    match kind {
        StepKind::Send(send) => {
            let channels = names(&send.channels);
            std::iter::once(channels).chain(template(send.template.as_deref())).collect()
        }
        StepKind::Route(route) => {
            let mut lines = vec![names(&route.send.channels).replace(", ", " → ")];
            let within = route.within.map(|span| format!(" within {span}")).unwrap_or_default();
            lines.push(format!("until {:?}{within}", route.success).to_lowercase());
            lines.extend(template(route.send.template.as_deref()));
            lines
        }
        StepKind::Publish(publish) => {
            let (what, to) = match &publish.to {
                Target::Topic(to) => ("topic", to),
                Target::Room(to) => ("room", to),
                Target::User(to) => ("user", to),
            };
            let mut lines = vec![format!("{what} {}", to.text())];
            lines.push(publish.name().to_owned());
            if let Payload::Template(name, _) = &publish.payload {
                lines.extend(template(Some(name)));
            }
            lines
        }
        StepKind::Delay(delay) => vec![moment(delay)],
        StepKind::Schedule(schedule) => {
            let by: Vec<String> = schedule.by.iter().map(ToString::to_string).collect();
            let side = if schedule.before { "before" } else { "after" };
            vec![format!("{} {side} {}", by.join(", "), schedule.at.text())]
        }
        StepKind::Batch(batch) => {
            let most = batch.max_window.map(|span| format!(", at most {span}"));
            vec![format!("{}{}", batch.window, most.unwrap_or_default())]
        }
        StepKind::Digest(digest) => vec![digest.cron.to_string()],
        StepKind::Throttle(throttle) => {
            let excess = format!("excess: {:?}", throttle.excess).to_lowercase();
            vec![format!("{} in {}", throttle.limit, throttle.window), excess]
        }
        StepKind::WaitFor(wait) => vec![awaited(wait)],
        StepKind::Branch(_) | StepKind::Stop(_) => Vec::new(),
        StepKind::Fetch(fetch) => {
            let into = fetch.into.as_ref().map(|name| format!("into {name}"));
            std::iter::once(format!("{} {}", fetch.method, fetch.url.text())).chain(into).collect()
        }
        StepKind::Emit(emit) => vec![emit.event.clone()],
        StepKind::Cancel(cancel) => {
            let workflow = cancel.workflow.as_ref().map_or("every workflow", |name| name.as_str());
            vec![workflow.to_owned(), format!("key {}", cancel.key.text())]
        }
        StepKind::Set(variables) => {
            let line = |(name, value): &(String, Expression)| format!("{name}: {}", value.text());
            variables.0.iter().map(line).collect()
        }
    }
}

fn moment(delay: &Delay) -> String {
    match delay {
        Delay::For(span) => span.to_string(),
        Delay::Until(at) => format!("until {}", at.text()),
        Delay::Before(moment) => format!("{} before {}", moment.by, moment.at.text()),
        Delay::After(moment) => format!("{} after {}", moment.by, moment.at.text()),
    }
}

fn names(channels: &[crate::model::ChannelName]) -> String {
    channels.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(", ")
}

fn template(name: Option<&str>) -> Option<String> {
    name.map(|name| format!("template {name}"))
}
