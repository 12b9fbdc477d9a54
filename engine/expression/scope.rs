use cel::common::value::CowVal;
use cel::context::VariableResolver;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::moment;
use super::object::{Object, Record, from_json};
use crate::model::{Event, Recipient, Run};

/// What an expression sees: references alone, so that making one costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    event: Option<&'a Event>,
    recipient: Option<&'a Recipient>,
    run: Option<&'a Run>,
    incoming: Option<&'a Event>,
    others: Option<&'a Map<String, Value>>,
    now: Timestamp,
}

impl<'a> Scope<'a> {
    pub fn new(event: &'a Event, now: Timestamp) -> Self {
        Self { event: Some(event), ..Self::of_values(None, now) }
    }

    /// Other names altogether: a route's `token` and the parameters of its path.
    pub fn values(values: &'a Map<String, Value>, now: Timestamp) -> Self {
        Self::of_values(Some(values), now)
    }

    #[must_use]
    pub fn recipient(self, recipient: &'a Recipient) -> Self {
        Self { recipient: Some(recipient), ..self }
    }

    /// Its `vars` and `steps` are seen too.
    #[must_use]
    pub fn run(self, run: &'a Run) -> Self {
        Self { run: Some(run), ..self }
    }

    /// The event that a `wait_for` or a `cancel_on` looks at.
    #[must_use]
    pub fn incoming(self, incoming: &'a Event) -> Self {
        Self { incoming: Some(incoming), ..self }
    }

    fn of_values(others: Option<&'a Map<String, Value>>, now: Timestamp) -> Self {
        Self { event: None, recipient: None, run: None, incoming: None, others, now }
    }

    /// The recipient's zone, made only if somebody needs it.
    pub(super) fn zone(&self) -> impl FnOnce() -> TimeZone + use<'a> {
        let name = self.recipient.and_then(Recipient::time_zone);
        move || name.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
    }

    /// A part of the run's state; before any step has left something, an empty map.
    fn state(&self, name: &str) -> Object<'a> {
        let part = self.run.and_then(|run| run.state.get(name)).and_then(Value::as_object);
        part.map_or(Object::Empty, Object::Map)
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let object = match name {
            "event" => Object::Event(self.event?),
            "recipient" => Object::Recipient(self.recipient?),
            "run" => Object::Run(self.run?),
            "incoming" => Object::Event(self.incoming?),
            "vars" | "steps" if self.event.is_some() => self.state(name),
            "now" => return moment::from_timestamp(self.now).map(CowVal::owned),
            _ => {
                let value = self.others?.get(name)?;
                return from_json(value).ok().map(CowVal::Owned);
            }
        };
        Some(CowVal::owned(Record::new(object)))
    }
}
