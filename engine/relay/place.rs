use serde_json::{Map, Value, json};

use super::Relay;
use crate::auth::Claims;
use crate::expression::Scope;
use crate::model::{RoomName, Stream, TopicName, UserId};
use crate::store::StoreError;
use crate::workflow::{Room, Route};

/// What a connection is to.
#[derive(Clone, Debug)]
pub enum Place {
    Inbox(UserId),
    Topics(Vec<TopicName>, Entrance),
    Room { name: RoomName, publish: bool, history: bool, entrance: Entrance },
}

/// A declared route and the parameters of a path that matched it.
#[derive(Clone, Debug)]
pub struct Entrance {
    route: Route,
    parameters: Map<String, Value>,
}

impl Place {
    /// The place of a path by the declared routes, the first that matches.
    pub fn declared(relay: &Relay, path: &str) -> Option<Self> {
        let catalog = (relay.catalog)();
        catalog.routes.iter().find_map(|route| {
            let parameters = route.matches(path)?;
            let entrance = Entrance { route: route.clone(), parameters };
            let filled = |name: &String| Route::fill(name, &entrance.parameters);
            Some(match &route.room {
                Room::Topics(topics) => {
                    let topics = topics.iter().map(|topic| TopicName::from(filled(topic)));
                    Self::Topics(topics.collect(), entrance)
                }
                Room::Room { name, publish, history } => Self::Room {
                    name: RoomName::from(filled(name)),
                    publish: *publish,
                    history: *history,
                    entrance,
                },
            })
        })
    }

    /// In the order in which the route names them; never none.
    pub fn streams(&self) -> Vec<Stream> {
        match self {
            Self::Inbox(user) => vec![Stream::User(user.clone())],
            Self::Topics(topics, _) => topics.iter().cloned().map(Stream::Topic).collect(),
            Self::Room { name, .. } => vec![Stream::Room(name.clone())],
        }
    }

    pub fn inbox(&self) -> Option<&UserId> {
        match self {
            Self::Inbox(user) => Some(user),
            Self::Topics(..) | Self::Room { .. } => None,
        }
    }

    /// Whether the token's holder may be here.
    ///
    /// # Errors
    /// The store cannot tell who is a member.
    pub async fn admits(&self, relay: &Relay, claims: &Claims) -> Result<bool, StoreError> {
        match self {
            Self::Inbox(user) => Ok(claims.sub == *user || claims.is_admin()),
            Self::Topics(_, entrance) => {
                Ok(entrance.says(relay, claims).unwrap_or_else(|| claims.is_admin()))
            }
            Self::Room { name, publish, entrance, .. } => {
                if let Some(said) = entrance.says(relay, claims) {
                    return Ok(said);
                }
                // Who only listens may be an admin; who speaks is a member.
                if claims.is_admin() && !publish {
                    return Ok(true);
                }
                relay.store.is_member(name, &claims.sub).await
            }
        }
    }
}

impl Entrance {
    /// What the route's `who` says; `None` where it has none. One that fails says no.
    fn says(&self, relay: &Relay, claims: &Claims) -> Option<bool> {
        let who = self.route.who.as_ref()?;
        let mut values = self.parameters.clone();
        let token = json!({
            "sub": claims.sub.as_str(),
            "role": claims.role,
            "orgs": claims.orgs,
        });
        values.insert("token".to_owned(), token);
        let said = who.evaluate_bool(&Scope::values(&values, relay.clock.now()));
        Some(said.unwrap_or_else(|error| {
            tracing::warn!(%error, place = %self.route.place, "a route's `who` fails");
            false
        }))
    }
}
