//! The engine's nouns as CEL values, read in place.

use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as Lending, Sizer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelNull, CelString, CelUInt, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Value};

use super::names::{EVENT_FIELDS, RECIPIENT_FIELDS, RUN_FIELDS};
use super::{MAX_ITEMS, moment};
use crate::model::{Event, Recipient, Run};

static RECORD: Type = MAP_TYPE;

/// Something with named fields, borrowed from where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object<'a> {
    Event(&'a Event),
    Recipient(&'a Recipient),
    Run(&'a Run),
    Map(&'a Map<String, Value>),
    Empty,
}

/// An [`Object`] as a CEL map. Its keys are gathered only if somebody walks over them.
#[derive(Debug)]
pub(super) struct Record<'a> {
    object: Object<'a>,
    keys: OnceLock<Vec<CelString<'a>>>,
}

type Field<'a> = Option<Result<Box<dyn Val + 'a>, ExecutionError>>;

impl<'a> Object<'a> {
    /// `None`: there is no such field, which `has` may ask.
    fn field(&self, name: &str) -> Field<'a> {
        match self {
            Self::Event(event) => event_field(event, name),
            Self::Recipient(recipient) => recipient_field(recipient, name),
            Self::Run(run) => run_field(run, name),
            Self::Map(map) => map.get(name).map(from_json),
            Self::Empty => None,
        }
    }

    fn names(&self) -> Vec<&'a str> {
        let fixed = match self {
            Self::Map(map) => return map.keys().map(String::as_str).collect(),
            Self::Empty => return Vec::new(),
            Self::Event(_) => EVENT_FIELDS,
            Self::Recipient(_) => RECIPIENT_FIELDS,
            Self::Run(_) => RUN_FIELDS,
        };
        fixed.iter().copied().filter(|name| self.field(name).is_some()).collect()
    }
}

impl<'a> Record<'a> {
    pub(super) fn new(object: Object<'a>) -> Self {
        Self { object, keys: OnceLock::new() }
    }

    fn keys(&self) -> &[CelString<'a>] {
        self.keys.get_or_init(|| self.object.names().into_iter().map(CelString::from).collect())
    }
}

/// JSON as a CEL value: text borrowed, maps left where they are.
pub(super) fn from_json(value: &Value) -> Result<Box<dyn Val + '_>, ExecutionError> {
    Ok(match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Object(map) => Box::new(Record::new(Object::Map(map))),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::Array(items) if items.len() > MAX_ITEMS => {
            let why = format!("a list of {} items; at most {MAX_ITEMS}", items.len());
            return Err(ExecutionError::function_error("list", why));
        }
        Value::Array(items) => {
            let items: Result<Vec<Box<dyn Val + '_>>, _> = items.iter().map(from_json).collect();
            Box::new(CelList::from(items?))
        }
    })
}

fn text(text: &str) -> Field<'_> {
    Some(Ok(Box::new(CelString::from(text))))
}

fn moment<'a>(at: jiff::Timestamp) -> Field<'a> {
    let at = moment::from_timestamp(at)?;
    Some(Ok(Box::new(at)))
}

fn event_field<'a>(event: &'a Event, name: &str) -> Field<'a> {
    match name {
        "data" => Some(from_json(&event.data)),
        "name" => text(&event.name),
        "at" => moment(event.at),
        "actor" => text(event.actor.as_ref()?.as_str()),
        "tenant" => text(&event.tenant),
        "id" => Some(Ok(Box::new(CelString::from(event.id.to_string())))),
        _ => None,
    }
}

fn run_field<'a>(run: &'a Run, name: &str) -> Field<'a> {
    match name {
        "priority" => text(run.priority.as_str()),
        "key" => text(run.key.as_deref()?),
        "started_at" => moment(run.started_at),
        "id" => Some(Ok(Box::new(CelString::from(run.id.to_string())))),
        _ => None,
    }
}

fn recipient_field<'a>(recipient: &'a Recipient, name: &str) -> Field<'a> {
    let user = recipient.user();
    match name {
        "id" => text(user?.id.as_str()),
        "as" => text(&recipient.role),
        "name" => Some(Ok(Box::new(CelString::from(recipient.name()?.into_owned())))),
        "username" => text(user?.username.as_deref()?),
        "first_name" => text(user?.first_name.as_deref()?),
        "last_name" => text(user?.last_name.as_deref()?),
        "email" => text(recipient.email()?),
        "phone" => text(recipient.phone()?),
        "locale" => text(recipient.locale()?),
        "time_zone" => text(recipient.time_zone()?),
        "role" => text(user?.role.as_deref()?),
        "data" => {
            let object = user.map_or(Object::Empty, |user| Object::Map(&user.data));
            Some(Ok(Box::new(Record::new(object))))
        }
        "online" => Some(Ok(Box::new(CelBool::from(recipient.presence.online)))),
        "last_seen" => moment(recipient.presence.last_seen?),
        "topics" => {
            let topics = recipient.person.as_deref().map_or(&[][..], |person| &person.topics);
            let item = |topic: &'a crate::model::TopicName| -> Box<dyn Val + 'a> {
                Box::new(CelString::from(topic.as_str()))
            };
            Some(Ok(Box::new(CelList::from(topics.iter().map(item).collect::<Vec<_>>()))))
        }
        _ => None,
    }
}

impl Val for Record<'_> {
    fn get_type(&self) -> &Type {
        &RECORD
    }

    fn cel_type() -> &'static Type {
        &RECORD
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let (Some(sizer), Some(indexer)) = (other.as_sizer(), other.as_indexer()) else {
            return false;
        };
        let same = |key: &CelString<'_>| match (self.get(key), indexer.get(key)) {
            (Ok(mine), Ok(theirs)) => mine.equals(theirs.as_ref()),
            _ => false,
        };
        sizer.size() == self.size() && self.keys().iter().all(same)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(Record::new(self.object))
    }
}

impl Indexer for Record<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(name) = index.downcast_ref::<CelString>() else {
            return Err(ExecutionError::no_such_key("(no text)"));
        };
        let name = name.inner();
        match self.object.field(name) {
            Some(found) => found.map(CowVal::Owned),
            None => Err(ExecutionError::no_such_key(name)),
        }
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl Container for Record<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        let name = value.downcast_ref::<CelString>();
        Ok(name.is_some_and(|name| self.object.field(name.inner()).is_some()))
    }
}

impl Sizer for Record<'_> {
    fn size(&self) -> CelInt {
        let size = match self.object {
            Object::Map(map) => map.len(),
            _ => self.keys().len(),
        };
        CelInt::from(i64::try_from(size).unwrap_or(i64::MAX))
    }
}

impl Iterable for Record<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Lending<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Keys(self.keys().iter()))
    }
}

struct Keys<'b, 'a>(std::slice::Iter<'b, CelString<'a>>);

impl<'b, 'a: 'v, 'v> Lending<'b, 'v> for Keys<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|key| key as &(dyn Val + 'v))
    }
}
