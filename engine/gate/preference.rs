//! Gate 3: has the recipient, or a default, allowed this category on this channel?
//!
//! From the general to the special (docs/reference/gates.md, "Preferences"): on < the workflow's default
//! < the user's category × channel < the user's choice for the workflow. `required` beats all.

use super::{Facts, Reason, Says, preferences};
use crate::model::Planned;

pub(super) fn ask(planned: &Planned, facts: &Facts<'_>) -> Says {
    let message = &planned.message;
    if facts.workflow.required.binds(&message.channel) {
        return Says::Pass;
    }
    match refused(planned, facts) {
        None => Says::Pass,
        Some(reason) if facts.critical(planned) => Says::Waived(Reason {
            code: reason.code,
            reason: "critical: passes the recipient's preference".into(),
            rule: reason.rule,
        }),
        Some(reason) => Says::Drop(reason),
    }
}

/// The most special choice there is, where it is a no.
fn refused(planned: &Planned, facts: &Facts<'_>) -> Option<Reason> {
    let message = &planned.message;
    let said = preferences(planned);
    let user = message.recipient.as_ref().map_or("", |user| user.as_str());
    if let Some(switch) = said.and_then(|said| said.workflows.get(&message.workflow))
        && let Some(allowed) = switch.allows(&message.channel)
    {
        return (!allowed).then(|| Reason {
            code: "preference.workflow_off",
            reason: format!("the recipient turned workflow `{}` off", message.workflow).into(),
            rule: Some(format!("user {user}: workflows.{}", message.workflow)),
        });
    }
    let chosen = said
        .and_then(|said| said.notification_types.get(&message.category))
        .and_then(|channels| channels.get(&message.channel));
    if let Some(&allowed) = chosen {
        return (!allowed).then(|| Reason {
            code: "preference.channel_off",
            reason: format!(
                "the recipient turned {} off for category `{}`",
                message.channel, message.category
            )
            .into(),
            rule: Some(format!(
                "user {user}: notification_types.{}.{}",
                message.category, message.channel
            )),
        });
    }
    let default = facts.workflow.defaults.get(&message.channel).copied().unwrap_or(true);
    (!default).then(|| Reason {
        code: "preference.workflow_off",
        reason: format!("{} is off by default in this workflow", message.channel).into(),
        rule: Some(format!("{}: defaults.{}", facts.workflow.path, message.channel)),
    })
}
