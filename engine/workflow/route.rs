use std::sync::Arc;

use super::language;
use super::reader::Reader;
use crate::diagnostic::{Diagnostic, Document, Source};
use crate::expression::{Expression, Names};

/// A WebSocket path of a pack, and who may join it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// `/ws/notifications/x/{user_id}/`: `{…}` are path parameters.
    pub path: String,
    pub room: Room,
    /// Over `token` (the verified claims) and the path's parameters, as text, by their names.
    /// `None`: members of the room, and admins.
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
        let path = fields.need("path").and_then(|node| reader.text(node, "path"));
        let topics: Vec<String> =
            fields.texts("topics").into_iter().map(|(text, _)| text).collect();
        let room = fields.text("room");
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

/// The `{…}` of a path.
fn parameters(path: &str) -> Vec<&str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}
