//! One simulation from files: events, users, and what goes wrong and is read meanwhile.

use std::collections::HashMap;

use jiff::Timestamp;

use super::input::{self, Handed};
use super::{Halt, Simulation, World, whole};
use crate::diagnostic::{self, Diagnostic, Source, did_you_mean};
use crate::explain::Row;
use crate::ingest::person::Described;
use crate::model::{UserId, WorkflowName};
use crate::workflow::case::{Fault, Script, ScriptReading, read_script};

/// The files of a simulation, read already.
pub struct Files {
    pub events: Source,
    pub people: Option<Source>,
    pub script: Option<Source>,
}

/// What is asked beside the files.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose time line it is.
    pub workflow: WorkflowName,
    /// For events that name no `at`. `None`: the earliest of the others, else `now`.
    pub at: Option<Timestamp>,
    /// Nothing later happens. `None`: until nothing is due.
    pub until: Option<Timestamp>,
    pub now: Timestamp,
}

/// A simulation that can be run.
pub struct Scenario {
    asked: Asked,
    start: Timestamp,
    events: Vec<(Timestamp, Handed)>,
    source: Source,
    people: Vec<Described>,
    faults: Vec<Fault>,
    reads: Vec<ScriptReading>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// In the order of time.
    pub rows: Vec<Row>,
    /// The zones of users, by IANA names.
    pub zones: HashMap<UserId, String>,
}

/// Why there is no time line.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("the events do not fit")]
    Input(Vec<Diagnostic>),
    #[error(transparent)]
    Halt(#[from] Halt),
}

/// What comes from outside, in the order of time.
enum Move<'a> {
    Event(Box<Handed>),
    Read(&'a ScriptReading),
}

impl Scenario {
    /// Makes sure of the files.
    ///
    /// # Errors
    /// All that is wrong with them, with its place.
    pub fn read(world: &World, files: Files, asked: Asked) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut handed = input::events(&files.events, &mut problems);
        let earliest = handed.iter().filter_map(|one| one.event.at).min();
        let otherwise = asked.at.or(earliest).unwrap_or(asked.now);
        let when = |one: &Handed| whole(one.event.at.unwrap_or(otherwise));
        handed.sort_by_key(when);
        let start = handed.iter().map(when).min().unwrap_or(otherwise);
        let known = world.known();
        let people =
            files.people.map(|source| input::people(&source, &known, start, &mut problems));
        let script = files.script.map(|source| script(world, &source, &mut problems));
        if !problems.is_empty() {
            diagnostic::sort(&mut problems);
            return Err(problems);
        }
        let Script { providers: faults, reads } = script.unwrap_or_default();
        let events = handed.into_iter().map(|one| (when(&one), one)).collect();
        let people = people.unwrap_or_default();
        Ok(Self { asked, start, events, source: files.events, people, faults, reads })
    }

    /// Lives through it.
    ///
    /// # Errors
    /// Events that the packs' schemas refuse; work without an end.
    pub async fn run(self, world: &World) -> Result<Told, Failed> {
        let mut simulation = world.begin(self.start, self.asked.workflow.clone());
        simulation.know(&self.people).await.map_err(Halt::from)?;
        for fault in self.faults {
            simulation.fail(fault);
        }
        let events = self.events.into_iter().map(|(at, event)| (at, Move::Event(Box::new(event))));
        let reads = self.reads.iter();
        let reads = reads.map(|read| (whole(read.at(self.start)), Move::Read(read)));
        let mut moves: Vec<_> = events.chain(reads).collect();
        moves.sort_by_key(|(at, _)| *at);
        let mut problems = Vec::new();
        for (at, next) in moves {
            if self.asked.until.is_some_and(|until| at > until) {
                break;
            }
            simulation.come_to(at).await?;
            make(&mut simulation, next, &self.source, &mut problems).await?;
            simulation.settle().await?;
        }
        if !problems.is_empty() {
            return Err(Failed::Input(problems));
        }
        simulation.live(self.asked.until).await?;
        let rows = simulation.rows().await.map_err(Halt::from)?;
        let zone = |one: Described| Some((one.person.user.id, one.person.user.time_zone?));
        Ok(Told { rows, zones: self.people.into_iter().filter_map(zone).collect() })
    }
}

async fn make(
    simulation: &mut Simulation,
    next: Move<'_>,
    source: &Source,
    problems: &mut Vec<Diagnostic>,
) -> Result<(), Halt> {
    match next {
        Move::Event(handed) => {
            let Handed { event, place } = *handed;
            if let Err(refusal) = simulation.accept(event).await? {
                place.told(source, refusal.code, refusal.errors, problems);
            }
        }
        Move::Read(read) => simulation.read(&read.reading).await?,
    }
    Ok(())
}

fn script(world: &World, source: &Source, problems: &mut Vec<Diagnostic>) -> Script {
    let (script, mut told) = read_script(source);
    problems.append(&mut told);
    for fault in &script.providers {
        problems.extend(unknown(world, source, fault));
    }
    for read in &script.reads {
        let Some(workflow) = &read.reading.workflow else { continue };
        let workflows = &world.catalog().workflows;
        if workflows.get(workflow.as_str()).is_none() {
            let message = format!("there is no workflow `{workflow}`");
            let span = read.span.start..read.span.start;
            let problem = Diagnostic::error(source, "script.workflow", span, message);
            let names = workflows.all().into_iter().map(|workflow| workflow.name.as_str());
            problems.push(problem.suggest(workflow.as_str(), names));
        }
    }
    script
}

/// A failure that could never come true.
pub(super) fn unknown(world: &World, source: &Source, fault: &Fault) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(channel) = fault.channel.as_ref().filter(|channel| !world.has(channel)) {
        let message = format!("no channel `{channel}` has providers");
        let span = fault.channel_span.clone();
        let problem = Diagnostic::error(source, "channel.unknown", span, message);
        problems.push(problem.suggest(channel.as_str(), world.channel_names()));
    }
    if let Some(provider) = &fault.provider
        && !world.provider_names().any(|name| name == provider.as_str())
    {
        let message = format!("there is no provider `{provider}`");
        let span = fault.provider_span.clone();
        let problem = Diagnostic::error(source, "provider.unknown", span, message);
        let near = did_you_mean(provider.as_str(), world.provider_names());
        let all: std::collections::BTreeSet<&str> = world.provider_names().collect();
        let all: Vec<&str> = all.into_iter().collect();
        problems.push(problem.hint(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are `{}`", all.join("`, `")),
        }));
    }
    problems
}
