use std::ops::Range;
use std::sync::Arc;

use super::language;
use serde_json::{Map, Value};

use super::reader::Reader;
use crate::diagnostic::{Diagnostic, Document, Node, Source};
use crate::expression::{Expression, Names};

/// A WebSocket path of a pack, and who may join it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// `/ws/notifications/x/{user_id}/`: `{…}` are path parameters.
    pub path: String,
    pub room: Room,
    /// Over `token` (the verified claims) and the path's parameters, as text, by their names.
    /// `None`: of a room its members, and admins where nobody publishes; of topics admins.
    pub who: Option<Expression>,
    /// `path:line`.
    pub place: Arc<str>,
}

/// What joins the connections of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// Topics, with the path's parameters in `{…}`.
    Topics(Vec<String>),
    /// A room by the path's parameter; its members may publish where `publish` says so, and its
    /// messages are kept for later readers where `history` does.
    Room { name: String, publish: bool, history: bool },
}

impl Route {
    /// The parameters of a path that is this route's, as text. A slash at its end does not count.
    pub fn matches(&self, path: &str) -> Option<Map<String, Value>> {
        let parts = |path: &str| -> Vec<String> {
            path.trim_matches('/').split('/').map(str::to_owned).collect()
        };
        let (own, given) = (parts(&self.path), parts(path));
        if own.len() != given.len() {
            return None;
        }
        let mut parameters = Map::new();
        for (own, given) in own.iter().zip(given) {
            match own.strip_prefix('{').and_then(|own| own.strip_suffix('}')) {
                Some(_) if given.is_empty() => return None,
                Some(name) => drop(parameters.insert(name.to_owned(), given.into())),
                None if *own == given => {}
                None => return None,
            }
        }
        Some(parameters)
    }

    /// A topic's or a room's name, with the path's parameters in their places.
    pub fn fill(name: &str, parameters: &Map<String, Value>) -> String {
        let mut filled = String::with_capacity(name.len());
        let mut rest = name;
        // In one pass: what a parameter holds is not looked at again.
        while let Some((before, behind)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((parameter, behind)) = behind.split_once('}') else { break };
            filled.push_str(parameters.get(parameter).and_then(Value::as_str).unwrap_or_default());
            rest = behind;
        }
        filled.push_str(rest);
        filled
    }
}

/// Reads a `routes.yaml`: a list of `{path, topics | room, publish, history, who}`.
pub fn read_routes(source: &Source) -> (Vec<Route>, Vec<Diagnostic>) {
    let (document, mut problems) = Document::parse(source);
    let Some(document) = document else {
        return (Vec::new(), problems);
    };
    let reader = Reader::new(source);
    let mut routes = Vec::new();
    for item in reader.items(&document.root, "routes.yaml") {
        let Some(mut fields) = reader.fields(item, &language::ROUTE) else {
            continue;
        };
        let path = fields.need("path").and_then(|node| path(&reader, node));
        let names = |text: &str| unknown(text, path.as_deref().unwrap_or_default());
        let topics: Vec<String> = fields
            .texts("topics")
            .into_iter()
            .inspect(|(text, span)| told(&reader, names(text), span))
            .map(|(text, _)| text)
            .collect();
        let room = fields.take("room").and_then(|node| {
            let text = reader.text(node, "room")?;
            told(&reader, names(&text), &node.span);
            Some(text)
        });
        let (publish, history) = (fields.flag("publish"), fields.flag("history"));
        let mut names = Names::TOKEN.to_vec();
        names.extend(path.as_deref().map(parameters).unwrap_or_default());
        let who = fields.expression("who", &names);
        if topics.is_empty() == room.is_none() {
            let message = "a route joins either `topics` or a `room`";
            reader.error("routes.kind", item.span.start..item.span.start, message);
        }
        fields.finish();
        let room = match room {
            Some(name) => Room::Room { name, publish, history },
            None => Room::Topics(topics),
        };
        if let Some(path) = path {
            let place = source.place(item.span.start);
            routes.push(Route { path, room, who, place });
        }
    }
    problems.extend(reader.into_problems());
    (routes, problems)
}

/// A path below /ws/, where the relay listens, with each parameter alone between two slashes.
fn path(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let path = reader.text(node, "path")?;
    let is_part = |part: &str| match part.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').is_some_and(|name| !name.contains(['{', '}'])),
        None => !part.contains(['{', '}']),
    };
    if !path.starts_with("/ws/") || !path.split('/').all(is_part) {
        let message = "a route's path is /ws/…, with each `{parameter}` between two slashes";
        reader.error("routes.path", node.span.clone(), message);
    }
    Some(path)
}

/// The first parameter of a name that the path does not have.
fn unknown(name: &str, path: &str) -> Option<String> {
    let known = parameters(path);
    parameters(name).into_iter().find(|one| !known.contains(one)).map(str::to_owned)
}

fn told(reader: &Reader<'_>, unknown: Option<String>, span: &Range<usize>) {
    if let Some(name) = unknown {
        let message = format!("the path has no parameter `{name}`");
        reader.error("routes.parameter", span.clone(), message);
    }
}

/// The `{…}` of a path.
fn parameters(path: &str) -> Vec<&str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}
