//! The house rules that a compiler does not hold: who may import whom, how large a thing may be,
//! which words are not said. `docs/STYLE.md` gives the reasons.

mod docs;
mod floors;
mod migrations;
mod sizes;
mod source;
mod words;

/// The engine's files.
pub fn engine_sources() -> Vec<source::Source> {
    source::Source::all(&["engine"], "rs")
}
