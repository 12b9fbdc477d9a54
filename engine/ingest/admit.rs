use std::time::Duration;

use super::{FieldError, Incoming, Refusal};
use crate::clock::Clock;
use crate::diagnostic::did_you_mean;
use crate::model::{Event, EventId};
use crate::workflow::EventSchemas;

/// How far ahead an event's moment may lie (docs/reference/api.md, POST /v1/events).
const FURTHEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Makes an event of what a service sent, if packs and operator allow it.
///
/// `strict` refuses events that no pack declares.
///
/// # Errors
/// All reasons at once: `event.unknown`, `event.schema`, or `event.shape` for a moment too far
/// ahead.
pub fn admit(
    incoming: Incoming,
    schemas: &EventSchemas,
    strict: bool,
    clock: &Clock,
) -> Result<Event, Refusal> {
    let received_at = clock.now();
    if strict && !schemas.is_declared(&incoming.name) {
        let mut message = format!("no pack declares the event `{}`", incoming.name);
        if let Some(near) = did_you_mean(&incoming.name, schemas.names()) {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        let errors = vec![FieldError::new("/name", message)];
        return Err(Refusal { code: "event.unknown", errors });
    }
    let at = incoming.at.unwrap_or(received_at);
    if at > clock.after(FURTHEST) {
        let errors = vec![FieldError::new("/at", "an event may wait a year at most")];
        return Err(Refusal { code: "event.shape", errors });
    }
    let misfits = schemas.misfits(&incoming.name, &incoming.data);
    if !misfits.is_empty() {
        let error = |misfit: crate::workflow::Misfit| {
            FieldError::new(format!("/data{}", misfit.pointer), misfit.message)
        };
        let errors = misfits.into_iter().map(error).collect();
        return Err(Refusal { code: "event.schema", errors });
    }
    Ok(Event {
        id: clock.id(),
        tenant: incoming.tenant,
        name: incoming.name,
        actor: incoming.actor,
        data: incoming.data,
        at,
        received_at,
        idempotency_key: incoming.idempotency_key,
        depth: 0,
        told: Vec::new(),
        sensitive: false,
        trace: None,
    })
}

/// The idempotency key of `first` came again with another body.
pub fn conflict(first: EventId) -> Refusal {
    let message = format!("the key was used for event {first}, whose body is another");
    let errors = vec![FieldError::new("/idempotency_key", message)];
    Refusal { code: "event.conflict", errors }
}
