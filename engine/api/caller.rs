//! Who calls, made sure of before a handler runs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::State;
use super::envelope::InboxError;
use super::problem::Problem;
use crate::auth::{self, Claims, Scope};
use crate::model::UserId;

/// A service with a key in force. What it may do is asked by [`Machine::needs`].
pub struct Machine(auth::Caller);

/// An end user with a valid token, within the rate limit.
pub struct EndUser(pub Claims);

impl Machine {
    /// As the audit names it.
    pub fn who(&self) -> String {
        format!("key {}", self.0.name)
    }

    pub fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.0.may(scope) { Ok(()) } else { Err(Problem::forbidden(scope.as_str())) }
    }
}

impl EndUser {
    pub fn id(&self) -> &UserId {
        &self.0.sub
    }

    /// Whose things are asked for: the caller's own, or for an admin those of `user_id`. Another's
    /// are not found, so that nobody learns whether they exist.
    pub fn subject(&self, user_id: Option<&str>) -> Result<UserId, InboxError> {
        match user_id {
            None | Some("") => Ok(self.id().clone()),
            Some(other) if self.0.is_admin() || other == self.id().as_str() => Ok(other.into()),
            Some(_) => Err(InboxError::not_found()),
        }
    }

    /// Whether an entry of `owner` may be seen and changed.
    pub fn may_touch(&self, owner: &UserId) -> bool {
        self.0.is_admin() || owner == self.id()
    }
}

impl FromRequestParts<Arc<State>> for Machine {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        let text = bearer(parts).ok_or_else(|| {
            Problem::unauthenticated("an API key is needed: `Authorization: Bearer`")
        })?;
        let caller = state.keys.caller(text).await?;
        caller
            .map(Self)
            .ok_or_else(|| Problem::unauthenticated("the API key is unknown, or was revoked"))
    }
}

impl FromRequestParts<Arc<State>> for EndUser {
    type Rejection = InboxError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, InboxError> {
        let token = bearer(parts).ok_or_else(|| {
            InboxError::unauthenticated("a token is needed: `Authorization: Bearer`")
        })?;
        let claims = state
            .tokens
            .verify(token)
            .map_err(|error| InboxError::unauthenticated(error.to_string()))?;
        state.pace.take(&claims.sub).map_err(InboxError::too_fast)?;
        Ok(Self(claims))
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credentials.trim())
}
