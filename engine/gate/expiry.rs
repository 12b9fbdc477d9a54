//! Gate 1: is it too late?

use super::{Facts, Reason, Says};
use crate::model::Planned;

pub(super) fn ask(planned: &Planned, facts: &Facts<'_>) -> Says {
    match planned.message.expires_at {
        Some(expires_at) if expires_at <= facts.now => Says::drop(Reason {
            code: "expired",
            reason: format!("could not leave before {expires_at}").into(),
            rule: Some(facts.step.place.to_string()),
        }),
        _ => Says::Pass,
    }
}
