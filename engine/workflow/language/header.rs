use super::{Construct, Field, Kind, field};

const PRIORITIES: &[&str] = &["critical", "high", "medium", "low"];

pub const WORKFLOW: Construct = Construct {
    name: "workflow",
    noun: "a workflow",
    about: "When an event comes, these people hear of it, in this way.",
    value: Kind::Own,
    fields: WORKFLOW_FIELDS,
};

const WORKFLOW_FIELDS: &[Field] = &[
    field("workflow", Kind::Text, "the file's name without its ending; unique over all packs").required(),
    field(
        "on",
        Kind::Many(&Kind::Event),
        "the events that start it: a name, a list, or a glob (`order.*`, where `*` stands for any letters, dots too)",
    )
    .required(),
    field("if", Kind::Expression, "false: no run, and the event's record says why").default("`true`"),
    field("category", Kind::Text, "the notification type that preferences speak of")
        .default("the workflow's name"),
    field(
        "priority",
        Kind::Many(&Kind::Either(&[Kind::Words(PRIORITIES), Kind::Rule(PRIORITIES)])),
        "one word, or rules of which the first that holds is taken; the last may be a word alone",
    )
    .default("`medium`"),
    field(
        "critical",
        Kind::Flag,
        "`true`: passes preferences, quiet hours and frequency limits, which is recorded",
    )
    .default("`false`"),
    field(
        "sensitive",
        Kind::Flag,
        "`true`: stored encrypted; short texts say only that there is something new",
    )
    .default("`false`"),
    field(
        "key",
        Kind::Expression,
        "the business key of a run, which `cancel_on` and `restart_on` look up",
    ),
    field(
        "cancel_on",
        Kind::Many(&Kind::Event),
        "events that stop what this workflow has under way with the same `key`",
    ),
    field("restart_on", Kind::Many(&Kind::Event), "the same, and then it runs with the new event"),
    field("dedupe", Kind::Map(&DEDUPE), "the same thing again within a window is not sent")
        .default("off"),
    field(
        "required",
        Kind::Either(&[Kind::Flag, Kind::Many(&Kind::Text)]),
        "channels, or `true` for all of them, that preferences do not turn off",
    ),
    field("defaults", Kind::Switches, "channels on or off where the user has said nothing"),
    field("expires", Kind::Duration, "a message that could not leave so long after it was planned is dropped"),
    field(
        "recipients",
        Kind::Many(&Kind::Map(&RECIPIENT)),
        "who hears of it; absent: one run that speaks to nobody",
    ),
    field("steps", Kind::Steps, "what is done, in order").required(),
];

pub const DEDUPE: Construct = Construct {
    name: "dedupe",
    noun: "dedupe",
    about: "",
    value: Kind::Own,
    fields: &[
        field("key", Kind::Expression, "what makes two messages the same").required(),
        field("window", Kind::Duration, "for how long").required(),
    ],
};

pub const RECIPIENT: Construct = Construct {
    name: "recipient",
    noun: "a recipient",
    about: "Exactly one of `user`, `topic`, `role`, `everyone`, `list` and `contact`.",
    value: Kind::Own,
    fields: &[
        field("user", Kind::Expression, "one user's id"),
        field("topic", Kind::Expression, "everyone subscribed to a topic"),
        field("role", Kind::Text, "every user with this role"),
        field("everyone", Kind::Flag, "`true`: every user there is"),
        field("list", Kind::Expression, "a list of users' ids"),
        field(
            "contact",
            Kind::Expression,
            "`{email, phone, name, locale, time_zone}` of somebody who is stored nowhere",
        ),
        field("as", Kind::Text, "what `recipient.as` says in expressions and templates"),
        field("if", Kind::Expression, "asked of each recipient; false: they hear nothing"),
    ],
};
