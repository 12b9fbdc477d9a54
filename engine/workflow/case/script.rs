use std::ops::Range;

use jiff::Timestamp;

use super::happening::{Fault, Reading, fault, reading};
use super::instant;
use crate::diagnostic::{Diagnostic, Document, Source};
use crate::model::Span;
use crate::workflow::reader::Reader;

/// What happens in a simulation beside the events.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Of several that fit an attempt, the first counts.
    pub providers: Vec<Fault>,
    pub reads: Vec<ScriptReading>,
}

/// A reading at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptReading {
    pub reading: Reading,
    pub moment: Moment,
    /// In bytes of the file.
    pub span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    At(Timestamp),
    /// So long after the simulation's beginning.
    After(Span),
}

impl ScriptReading {
    /// When it is, in a simulation that begins at `start`.
    pub fn at(&self, start: Timestamp) -> Timestamp {
        match self.moment {
            Moment::At(at) => at,
            Moment::After(span) => start.saturating_add(span.0).unwrap_or(Timestamp::MAX),
        }
    }
}

/// Reads a script: `{providers: [failure …], reads: [{user, at | after, workflow}]}`.
pub fn read_script(source: &Source) -> (Script, Vec<Diagnostic>) {
    let (document, mut problems) = Document::parse(source);
    let Some(document) = document.filter(|document| !document.root.is_null()) else {
        return (Script::default(), problems);
    };
    let reader = Reader::new(source);
    let mut script = Script::default();
    if let Some(mut fields) = reader.fields(&document.root, "a script") {
        let faults = fields.take("providers");
        let faults = faults.map_or(&[][..], |node| reader.items(node, "providers"));
        script.providers = faults.iter().filter_map(|node| fault(&reader, node)).collect();
        let reads = fields.take("reads").map_or(&[][..], |node| reader.items(node, "reads"));
        for node in reads {
            let Some(mut fields) = reader.fields(node, "a read") else { continue };
            let reading = reading(&reader, &mut fields);
            let at = instant(&reader, &mut fields, "at").map(Moment::At);
            let after = fields.span("after").map(Moment::After);
            fields.finish();
            let start = node.span.start;
            if at.is_some() == after.is_some() {
                let message = "a read has a moment: either `at` or `after`";
                reader.error("script.moment", start..start, message);
            }
            if let (Some(reading), Some(moment)) = (reading, at.or(after)) {
                script.reads.push(ScriptReading { reading, moment, span: node.span.clone() });
            }
        }
        fields.finish();
    }
    problems.extend(reader.into_problems());
    (script, problems)
}
