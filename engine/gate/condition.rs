//! Gate 2: does the step's `if` hold now?

use super::{Facts, Reason, Says};
use crate::model::Planned;

pub(super) fn ask(planned: &Planned, facts: &Facts<'_>) -> Says {
    let Some(condition) = &facts.step.condition else { return Says::Pass };
    if facts.left_before {
        return Says::Pass;
    }
    let rule = || Some(facts.step.place.to_string());
    match condition.evaluate_bool(&facts.scope(planned)) {
        Ok(true) => Says::Pass,
        Ok(false) => Says::skip(Reason {
            code: "condition.false",
            reason: format!("`if: {}` does not hold", condition.text()).into(),
            rule: rule(),
        }),
        Err(error) => Says::drop(Reason {
            code: "expression.failed",
            reason: error.to_string().into(),
            rule: rule(),
        }),
    }
}
