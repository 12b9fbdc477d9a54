//! What files may say: every construct with its fields.
//!
//! Readers refuse what is not here, editors complete from it (`schema`), and the reference lists
//! it (`reference`). A reader that asks for a field that is not here stops a debug build.

mod beside;
mod header;
mod reference;
mod schema;
mod steps;
#[cfg(test)]
mod tests;

pub use beside::{ROUTE, TYPE};
pub use header::{DEDUPE, RECIPIENT, WORKFLOW};
pub use reference::{header as header_reference, steps as step_reference};
pub use schema::Schema;
pub use steps::{ARM, MESSAGE, MOMENT, STEP, STEPS, STOP};

/// A map that files write.
#[derive(Debug)]
pub struct Construct {
    /// A step's word; elsewhere a name for it.
    pub name: &'static str,
    /// For messages: ``a `send` step``.
    pub noun: &'static str,
    pub about: &'static str,
    /// What stands behind a step's word. [`Kind::Own`]: its fields, which may stand beside the
    /// word too.
    pub value: Kind,
    pub fields: &'static [Field],
}

#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// Empty: absent means nothing is said.
    pub default: &'static str,
    /// One line of Markdown.
    pub about: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    Flag,
    /// A whole number, at least 1.
    Count,
    Duration,
    /// CEL.
    Expression,
    /// A map from names to expressions.
    Expressions,
    /// A map from channels to true or false.
    Switches,
    Cron,
    /// An IANA name.
    Zone,
    /// An event's name or a glob.
    Event,
    Words(&'static [&'static str]),
    /// `word: expression`, the word alone.
    Rule(&'static [&'static str]),
    /// A list, or one that stands for a list of one.
    Many(&'static Kind),
    /// A list.
    List(&'static Kind),
    Either(&'static [Kind]),
    Map(&'static Construct),
    /// The construct's own fields.
    Own,
    Steps,
    /// `true`, or nothing at all.
    Yes,
}

impl Construct {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Its fields' names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name)
    }
}

/// The step of a word.
pub fn step(word: &str) -> Option<&'static Construct> {
    STEPS.iter().find(|step| step.name == word)
}

/// The words that begin a step.
pub fn step_words() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|step| step.name)
}

const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, required: false, default: "", about }
}

impl Field {
    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }
}
