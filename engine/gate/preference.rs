//! Gate 3: has the recipient, or a default, allowed this category on this channel?
//!
//! From the general to the special (docs/reference/gates.md, "Preferences"): the last that says
//! something counts. `required` beats all but an opt-out from marketing.

use std::borrow::Cow;

use super::{Defaults, Facts, Reason, Says, preferences};
use crate::model::{Category, ChannelName, Planned, Preferences, TopicName};
use crate::workflow::Workflow;

/// What a preference is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub category: &'a Category,
    pub channel: &'a ChannelName,
    /// Empty: none.
    pub tenant: &'a str,
    /// `None`: of no workflow in particular, as the inbox API shows it.
    pub workflow: Option<&'a Workflow>,
    /// The topic by which the run came, if it came by one.
    pub topic: Option<&'a TopicName>,
}

/// Who may say something, from the general to the special.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    BuiltIn,
    Configuration,
    Tenant,
    /// The workflow's `defaults`.
    Workflow,
    /// The user, of the category.
    Category,
    /// The user, of the category on this channel.
    Channel,
    /// The user, of the workflow or of the topic.
    Choice,
}

/// What each layer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved([Option<bool>; 7]);

/// What is said of `asked`, layer by layer.
pub fn resolve(asked: &Asked<'_>, defaults: &Defaults, said: Option<&Preferences>) -> Resolved {
    let Asked { category, channel, tenant, workflow, topic } = *asked;
    let row = said.and_then(|said| said.notification_types.get(category));
    let of_workflow = said
        .zip(workflow)
        .and_then(|(said, workflow)| said.workflows.get(&workflow.name)?.allows(channel));
    let of_topic =
        said.zip(topic).and_then(|(said, topic)| said.topics.get(topic)?.allows(channel));
    // Of a workflow and a topic that disagree, the no counts.
    let choice = match (of_workflow, of_topic) {
        (Some(workflow), Some(topic)) => Some(workflow && topic),
        (one, other) => one.or(other),
    };
    Resolved([
        Some(true),
        defaults.preference(category, channel),
        defaults.tenant_preference(tenant, category, channel),
        workflow.and_then(|workflow| workflow.defaults.get(channel).copied()),
        row.and_then(|row| row.every()),
        row.and_then(|row| row.of(channel)),
        choice,
    ])
}

impl Resolved {
    pub fn is_allowed(&self) -> bool {
        self.0.iter().rev().find_map(|said| *said).unwrap_or(true)
    }

    /// The most special layer that says something.
    pub fn decided_by(&self) -> Layer {
        let said = Layer::ALL.into_iter().zip(&self.0).rev();
        let mut said = said.filter_map(|(layer, said)| said.map(|_| layer));
        said.next().unwrap_or(Layer::BuiltIn)
    }

    /// `built-in on < workflow off < user's category on`.
    pub fn text(&self) -> String {
        let said = Layer::ALL.into_iter().zip(&self.0);
        let said = said.filter_map(|(layer, said)| {
            Some(format!("{} {}", layer.word(), if (*said)? { "on" } else { "off" }))
        });
        said.collect::<Vec<_>>().join(" < ")
    }
}

impl Layer {
    pub const ALL: [Self; 7] = [
        Self::BuiltIn,
        Self::Configuration,
        Self::Tenant,
        Self::Workflow,
        Self::Category,
        Self::Channel,
        Self::Choice,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Configuration => "configuration",
            Self::Tenant => "tenant",
            Self::Workflow => "workflow",
            Self::Category => "user's category",
            Self::Channel => "user's channel",
            Self::Choice => "user's workflow or topic",
        }
    }
}

pub(super) fn ask(planned: &Planned, facts: &Facts<'_>) -> Says {
    let message = &planned.message;
    let said = preferences(planned);
    let unsubscribed = said.is_some_and(|said| said.unsubscribed.contains(&message.category));
    if unsubscribed && facts.marketing {
        return Says::drop(unsubscribed_from(planned));
    }
    if facts.workflow.required.binds(&message.channel) {
        return Says::Pass;
    }
    let refused =
        if unsubscribed { Some(unsubscribed_from(planned)) } else { refused(planned, facts, said) };
    match refused {
        None => Says::Pass,
        Some(reason) if facts.critical(planned) => Says::Waived(Reason {
            reason: format!("critical: passes a preference ({})", reason.reason).into(),
            ..reason
        }),
        Some(reason) => Says::drop(reason),
    }
}

fn unsubscribed_from(planned: &Planned) -> Reason {
    Reason {
        code: "preference.unsubscribed",
        reason: format!("the recipient unsubscribed from `{}`", planned.message.category).into(),
        rule: Some(format!("user {}: unsubscribed", user(planned))),
    }
}

fn refused(planned: &Planned, facts: &Facts<'_>, said: Option<&Preferences>) -> Option<Reason> {
    let message = &planned.message;
    let asked = Asked {
        category: &message.category,
        channel: &message.channel,
        tenant: &planned.event.tenant,
        workflow: Some(facts.workflow),
        topic: planned.run.topic.as_ref(),
    };
    let resolved = resolve(&asked, facts.defaults, said);
    if resolved.is_allowed() {
        return None;
    }
    let (category, channel) = (&message.category, &message.channel);
    let user = user(planned);
    let (code, who, rule) = match resolved.decided_by() {
        Layer::Choice => {
            let choice = choice(&asked, said);
            let who = format!("the recipient turned {} off", choice.replace('.', " "));
            ("preference.workflow_off", who, format!("user {user}: {choice}"))
        }
        Layer::Workflow => (
            "preference.workflow_off",
            format!("{channel} is off by default in this workflow"),
            format!("{}: defaults.{channel}", facts.workflow.path),
        ),
        layer => {
            let rule = match layer {
                Layer::Tenant => {
                    format!("tenants.{}.preferences.notification_types.{category}", asked.tenant)
                }
                Layer::Configuration | Layer::BuiltIn | Layer::Workflow | Layer::Choice => {
                    format!("engine.preferences.{category}")
                }
                Layer::Category => format!("user {user}: notification_types.{category}"),
                Layer::Channel => format!("user {user}: notification_types.{category}.{channel}"),
            };
            let row = said.and_then(|said| said.notification_types.get(category));
            let whole = layer == Layer::Category || row.is_some_and(|row| row.is_all_off());
            let by_user = layer >= Layer::Category;
            let code =
                if by_user && whole { "preference.category_off" } else { "preference.channel_off" };
            let what = match (by_user, whole) {
                (true, true) => format!("the recipient turned category `{category}` off"),
                (true, false) => {
                    format!("the recipient turned {channel} off for category `{category}`")
                }
                (false, _) => format!("{channel} is off by default for category `{category}`"),
            };
            (code, what, rule)
        }
    };
    let reason = Cow::Owned(format!("{who}; {}", resolved.text()));
    Some(Reason { code, reason, rule: Some(rule) })
}

/// The choice that says no: `workflows.order-paid` or `topics.shop:1`.
fn choice(asked: &Asked<'_>, said: Option<&Preferences>) -> String {
    let topic = said.zip(asked.topic).and_then(|(said, topic)| {
        let refused = said.topics.get(topic)?.allows(asked.channel) == Some(false);
        refused.then(|| format!("topics.{topic}"))
    });
    let workflow = || asked.workflow.map_or("", |workflow| workflow.name.as_str());
    topic.unwrap_or_else(|| format!("workflows.{}", workflow()))
}

fn user(planned: &Planned) -> &str {
    planned.message.recipient.as_ref().map_or("", |user| user.as_str())
}
