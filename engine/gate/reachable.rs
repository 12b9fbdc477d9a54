//! Gate 4: is there an address or an active device, and has it not bounced for good?

use super::{Facts, Reason};
use crate::channel::Address;
use crate::model::{Bounce, Planned};

/// The address that the message goes to: the step's `to`, else the recipient's own, else none
/// where the provider's settings hold one for everybody.
pub(super) fn address(planned: &Planned, facts: &Facts<'_>) -> Result<String, Box<Reason>> {
    let to = match &facts.step.to {
        Some(to) => to.evaluate_text(&facts.scope(planned)).map_err(|error| {
            Box::new(Reason {
                code: "expression.failed",
                reason: error.to_string().into(),
                rule: Some(facts.step.place.to_string()),
            })
        })?,
        None => own(planned, facts)?,
    };
    if bounced(planned, &to) {
        let reason = "a provider said that this address will never work; it is tried again when \
                      the recipient's addresses change";
        return Err(nowhere("reachable.bounced", reason));
    }
    Ok(to)
}

fn own(planned: &Planned, facts: &Facts<'_>) -> Result<String, Box<Reason>> {
    let recipient = &planned.recipient;
    let own = match &facts.traits.address {
        Address::Email => recipient.email(),
        Address::Phone => recipient.phone(),
        Address::Data(field) => recipient
            .user()
            .and_then(|user| user.data.get(field))
            .and_then(serde_json::Value::as_str),
        Address::User => recipient.id().map(|user| user.as_str()),
        Address::Device => {
            let device = recipient.person.as_ref().and_then(|person| person.device());
            device.map(|device| device.token.as_str())
        }
    };
    match own {
        Some(own) if !own.is_empty() => Ok(own.to_owned()),
        _ if facts.traits.fixed_address => Ok(String::new()),
        _ if facts.traits.address == Address::Device => {
            Err(nowhere("reachable.no_device", "the recipient has no active device"))
        }
        _ => {
            let reason = "the recipient has no address for this channel";
            Err(nowhere("reachable.no_address", reason))
        }
    }
}

/// A person who retries a message by hand knows better than an answer of long ago.
fn bounced(planned: &Planned, to: &str) -> bool {
    if planned.message.forgiven > 0 {
        return false;
    }
    let bounces = planned.recipient.person.as_ref().map(|person| person.bounces.as_slice());
    match bounces.unwrap_or_default() {
        [] => false,
        bounces => bounces.contains(&Bounce::of(&planned.message.channel, to)),
    }
}

fn nowhere(code: &'static str, reason: &'static str) -> Box<Reason> {
    Box::new(Reason { code, reason: reason.into(), rule: None })
}
