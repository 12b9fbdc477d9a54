//! Gate 4: is there an address?

use super::{Facts, Reason};
use crate::channel::Address;
use crate::model::Planned;

/// The address that the message goes to: the step's `to`, else the recipient's own, else none
/// where the provider's settings hold one for everybody.
pub(super) fn address(planned: &Planned, facts: &Facts<'_>) -> Result<String, Box<Reason>> {
    if let Some(to) = &facts.step.to {
        return to.evaluate_text(&facts.scope(planned)).map_err(|error| {
            Box::new(Reason {
                code: "expression.failed",
                reason: error.to_string().into(),
                rule: Some(facts.step.place.to_string()),
            })
        });
    }
    let own = match &facts.traits.address {
        Address::Email => planned.recipient.email(),
        Address::Phone => planned.recipient.phone(),
        Address::Data(field) => planned
            .recipient
            .user()
            .and_then(|user| user.data.get(field))
            .and_then(serde_json::Value::as_str),
        Address::User => planned.recipient.id().map(|user| user.as_str()),
        Address::Device => None,
    };
    match own {
        Some(own) if !own.is_empty() => Ok(own.to_owned()),
        _ if facts.traits.fixed_address => Ok(String::new()),
        _ if facts.traits.address == Address::Device => Err(Box::new(Reason {
            code: "reachable.no_device",
            reason: "the recipient has no active device".into(),
            rule: None,
        })),
        _ => Err(nowhere("the recipient has no address for this channel")),
    }
}

fn nowhere(reason: &'static str) -> Box<Reason> {
    Box::new(Reason { code: "reachable.no_address", reason: reason.into(), rule: None })
}
