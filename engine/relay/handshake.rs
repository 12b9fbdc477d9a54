//! What is made sure of before the upgrade.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use url::form_urlencoded;

use super::Relay;
use super::place::Place;
use super::seat::Full;
use super::session::{self, Session};
use crate::auth::Claims;
use crate::model::UserId;
use crate::telemetry::StoreFailed;

/// The subprotocol that is spoken, and what a token follows in the list that carries it.
const PROTOCOL: &str = "nuncio.v1";
const BEARER: &str = "bearer.";

/// How much larger than `max_frame_bytes` a message may be to get an `error` frame as its answer;
/// past that, it is not read to its end and the connection closes with 1009.
const OVERSIZE: usize = 16;

/// `/ws/notifications/{user_id}/`: the user's own, or an admin's look at it.
pub async fn inbox(
    State(relay): State<Arc<Relay>>,
    Path(user): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let place = Place::Inbox(UserId::from(user));
    join(relay, place, (headers, query.as_deref()), extensions, upgrade).await
}

/// The routes that packs declare.
pub async fn declared(
    State(relay): State<Arc<Relay>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Some(place) = Place::declared(&relay, &format!("/ws/{path}")) else {
        return Refusal::Nowhere.into_response();
    };
    join(relay, place, (headers, query.as_deref()), extensions, upgrade).await
}

async fn join(
    relay: Arc<Relay>,
    place: Place,
    (headers, query): (HeaderMap, Option<&str>),
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let claims = match admit(&relay, &place, &headers, query).await {
        Ok(claims) => claims,
        Err(refusal) => return refusal.into_response(),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(_) => return Refusal::NoUpgrade.into_response(),
    };
    let seat = match relay.hub.sit(&claims.sub, address(&extensions)) {
        Ok(seat) => seat,
        Err(full) => return Refusal::from(full).into_response(),
    };
    let most = relay.limits.max_frame_bytes.saturating_mul(OVERSIZE);
    upgrade.protocols([PROTOCOL]).max_message_size(most).max_frame_size(most).on_upgrade(
        move |socket| {
            let session = Session::new(relay, seat, place, claims);
            session::run(session, socket)
        },
    )
}

/// Why there is no upgrade.
#[derive(Debug)]
enum Refusal {
    NoToken,
    BadToken(String),
    Origin,
    Another,
    Outsider,
    Nowhere,
    Failed,
    NoUpgrade,
    Full(Full),
    Closing,
}

/// Token, origin and who, in this order.
async fn admit(
    relay: &Relay,
    place: &Place,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Claims, Refusal> {
    let token = token(headers, query).ok_or(Refusal::NoToken)?;
    let claims =
        relay.tokens.verify(&token).map_err(|error| Refusal::BadToken(error.to_string()))?;
    if !is_allowed_origin(relay, headers) {
        return Err(Refusal::Origin);
    }
    match place.admits(relay, &claims).await {
        Ok(true) => Ok(claims),
        Ok(false) if place.inbox().is_some() => Err(Refusal::Another),
        Ok(false) => Err(Refusal::Outsider),
        Err(error) => {
            StoreFailed { stage: "relay", error: &error }.emit();
            Err(Refusal::Failed)
        }
    }
}

fn token(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION).and_then(|value| {
        let (scheme, credentials) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| credentials.trim().to_owned())
    });
    let offered = || {
        let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let mut protocols =
            values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        protocols.find_map(|one| one.trim().strip_prefix(BEARER)).map(str::to_owned)
    };
    let in_query = || {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        pairs.find(|(name, _)| name == "token").map(|(_, value)| value.into_owned())
    };
    bearer.or_else(offered).or_else(in_query).filter(|token| !token.is_empty())
}

/// No `Origin` is no browser. Else a configured one, or a page of this server itself.
fn is_allowed_origin(relay: &Relay, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let allowed = &relay.server.allowed_origins;
    if allowed.iter().any(|one| one == "*" || one.trim_end_matches('/') == origin) {
        return true;
    }
    let Ok(origin) = url::Url::parse(origin) else { return false };
    if let Some(own) = &relay.server.public_url {
        return own.origin() == origin.origin();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = host.and_then(|host| url::Url::parse(&format!("{}://{host}", origin.scheme())).ok());
    own.is_some_and(|own| own.origin() == origin.origin())
}

fn address(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.0.ip().to_canonical())
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        match full {
            Full::Closing => Self::Closing,
            other => Self::Full(other),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "NOTIF_008",
                "a token is needed: `Authorization`, the subprotocol `bearer.<JWT>`, or `?token=`"
                    .into(),
            ),
            Self::BadToken(why) => (StatusCode::UNAUTHORIZED, "NOTIF_008", why),
            Self::Origin => {
                (StatusCode::FORBIDDEN, "NOTIF_008", "this origin may not connect".into())
            }
            Self::Another => {
                (StatusCode::FORBIDDEN, "NOTIF_008", "the token is another user's".into())
            }
            Self::Outsider => {
                (StatusCode::FORBIDDEN, "NOTIF_008", "the token does not open this".into())
            }
            Self::Nowhere => {
                (StatusCode::NOT_FOUND, "NOTIF_001", "there is nothing at this path".into())
            }
            Self::Failed => {
                (StatusCode::SERVICE_UNAVAILABLE, "NOTIF_008", "the store cannot answer now".into())
            }
            Self::NoUpgrade => (
                StatusCode::UPGRADE_REQUIRED,
                "NOTIF_008",
                "this is a WebSocket: ask for the upgrade".into(),
            ),
            Self::Full(full) => (StatusCode::TOO_MANY_REQUESTS, "NOTIF_007", full.to_string()),
            Self::Closing => {
                (StatusCode::SERVICE_UNAVAILABLE, "NOTIF_008", Full::Closing.to_string())
            }
        };
        let body = Json(json!({"error": {"code": code, "message": message}}));
        let extra = match status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"nuncio\"")),
            StatusCode::UPGRADE_REQUIRED => Some((header::UPGRADE, "websocket")),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some((header::RETRY_AFTER, "5"))
            }
            _ => None,
        };
        match extra {
            Some(extra) => (status, [extra], body).into_response(),
            None => (status, body).into_response(),
        }
    }
}
