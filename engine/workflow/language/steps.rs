use super::{Construct, Field, Kind, field};

const HELD: &[&str] = &["defer", "batch", "drop", "ignore"];
const CONTINUE_OR_STOP: Kind = Kind::Either(&[Kind::Words(&["continue", "stop"]), Kind::Steps]);
const MOMENT_OR_EXPRESSION: Kind = Kind::Either(&[Kind::Expression, Kind::Map(&MOMENT)]);
const ONCE: Field =
    field("once", Kind::Flag, "`true`: once for an event and workflow, not for each recipient")
        .default("`false`");

/// What every step may say.
pub const STEP: Construct = Construct {
    name: "step",
    noun: "a step",
    about: "",
    value: Kind::Own,
    fields: &[
        field("id", Kind::Text, "a name for `steps.<id>`; unique in its file"),
        field("if", Kind::Expression, "false: the step is skipped, which is recorded")
            .default("`true`"),
        field(
            "on_error",
            Kind::Words(&["fail", "skip", "continue"]),
            "what becomes of the run when the step fails: it ends; it goes on as if `if` were false; it goes on and `steps.<id>.status` says so",
        )
        .default("`fail`"),
    ],
};

pub static STEPS: [Construct; 15] = [
    Construct {
        name: "send",
        noun: "a `send` step",
        about: "A channel or a list of them: one message on each, each tried on its own. Its `if` is asked when the message is due.",
        value: Kind::Many(&Kind::Text),
        fields: &[
            field("template", Kind::Text, "a folder under `templates/`"),
            field("providers", Kind::Many(&Kind::Text), "failover, in this order")
                .default("the configuration's"),
            field("retry", Kind::Many(&Kind::Duration), "the waits before further attempts")
                .default("the configuration's"),
            field("quiet_hours", Kind::Words(HELD), "what becomes of it in quiet hours")
                .default("`defer`"),
            field("over_limit", Kind::Words(HELD), "what becomes of it past a frequency limit")
                .default("`defer`"),
            field("expires", Kind::Duration, "beats the workflow's"),
            field("to", Kind::Expression, "an address instead of the recipient's own"),
            field(
                "data",
                Kind::Expressions,
                "what the template sees as `data`; an inbox entry's `metadata` too",
            ),
        ],
    },
    Construct {
        name: "publish",
        noun: "a `publish` step",
        about: "A message of the relay that is no inbox entry, to one of `topic`, `room` and `user`; no gate but expiry.",
        value: Kind::Own,
        fields: &[
            field("topic", Kind::Expression, "everyone who follows the topic"),
            field("room", Kind::Expression, "everyone in the room"),
            field("user", Kind::Expression, "one user's connections"),
            field("type", Kind::Text, "the frame's `type`"),
            field("template", Kind::Text, "its content from a template"),
            field("data", Kind::Expressions, "or from expressions"),
            ONCE,
        ],
    },
    Construct {
        name: "route",
        noun: "a `route` step",
        about: "One channel after another, until one succeeds.",
        value: Kind::Own,
        fields: &[
            field("channels", Kind::Many(&Kind::Text), "in this order").required(),
            field("template", Kind::Text, "a folder under `templates/`"),
            field(
                "success",
                Kind::Words(&["accepted", "delivered", "seen", "read"]),
                "what has to be reported of a message",
            )
            .default("`accepted`"),
            field("within", Kind::Duration, "how long one channel has for it"),
            field("providers", Kind::Many(&Kind::Text), "failover, in this order")
                .default("the configuration's"),
            field("retry", Kind::Many(&Kind::Duration), "the waits before further attempts")
                .default("the configuration's"),
            field("quiet_hours", Kind::Words(HELD), "what becomes of it in quiet hours")
                .default("`defer`"),
            field("over_limit", Kind::Words(HELD), "what becomes of it past a frequency limit")
                .default("`defer`"),
            field("expires", Kind::Duration, "beats the workflow's"),
            field("to", Kind::Expression, "an address instead of the recipient's own"),
            field(
                "data",
                Kind::Expressions,
                "what the template sees as `data`; an inbox entry's `metadata` too",
            ),
        ],
    },
    Construct {
        name: "delay",
        noun: "a `delay` step",
        about: "A duration, or one of `for`, `until`, `before`, `after`. A moment that has passed goes on at once.",
        value: Kind::Either(&[Kind::Duration, Kind::Own]),
        fields: &[
            field("for", Kind::Duration, "so long"),
            field(
                "until",
                Kind::Expression,
                "until a timestamp; local time without an offset is the recipient's",
            ),
            field("before", MOMENT_OR_EXPRESSION, "so long before a moment"),
            field("after", MOMENT_OR_EXPRESSION, "so long after a moment"),
            field("by", Kind::Duration, "how long, where `before` or `after` is an expression"),
        ],
    },
    Construct {
        name: "schedule",
        noun: "a `schedule` step",
        about: "A loop over moments `before` or `after` another; those already past are skipped, and say so.",
        value: Kind::Own,
        fields: &[
            field("before", Kind::Expression, "the moments lie before this one"),
            field("after", Kind::Expression, "the moments lie after this one"),
            field("by", Kind::Many(&Kind::Duration), "how far from it each moment lies").required(),
            field("steps", Kind::Steps, "done at each moment").required(),
        ],
    },
    Construct {
        name: "batch",
        noun: "a `batch` step",
        about: "The events of a window become one message: templates see `count` and `items`.",
        value: Kind::Own,
        fields: &[
            field(
                "window",
                Kind::Duration,
                "from the first event, or from the last with `max_window`",
            )
            .required(),
            field(
                "max_window",
                Kind::Duration,
                "each event moves the end, at most so far from the first",
            ),
            field("max_items", Kind::Count, "so many end it at once"),
            field("key", Kind::Expression, "one batch for each value").default("the run's key"),
            field("flush_leading", Kind::Flag, "`true`: the first event leaves at once")
                .default("`false`"),
        ],
    },
    Construct {
        name: "digest",
        noun: "a `digest` step",
        about: "Events are collected until a moment that comes round; templates see `count` and `items`.",
        value: Kind::Own,
        fields: &[
            field(
                "cron",
                Kind::Cron,
                "minute, hour, day of the month, month, day of the week; or `@daily` and its like",
            )
            .required(),
            field("time_zone", Kind::Zone, "whose clocks are meant").default("the recipient's"),
            field("min_items", Kind::Count, "fewer are not sent, and wait for the next moment"),
            field("key", Kind::Expression, "one digest for each value").default("the run's key"),
        ],
    },
    Construct {
        name: "throttle",
        noun: "a `throttle` step",
        about: "At most `limit` runs in a window, of a recipient unless `key` says otherwise.",
        value: Kind::Own,
        fields: &[
            field("limit", Kind::Count, "so many").required(),
            field("window", Kind::Duration, "in so long").required(),
            field("key", Kind::Expression, "what is counted together").default("the recipient"),
            field("excess", Kind::Words(&["skip", "defer", "batch"]), "what becomes of the rest")
                .default("`skip`"),
        ],
    },
    Construct {
        name: "wait_for",
        noun: "a `wait_for` step",
        about: "A wait for an `event`, or for a `message` of this run, with an end.",
        value: Kind::Own,
        fields: &[
            field("event", Kind::Many(&Kind::Event), "the events that may end it"),
            field("match", Kind::Expression, "asked of each, as `incoming`")
                .default("its `key` is the run's"),
            field("message", Kind::Map(&MESSAGE), "a step's message reaches a state"),
            field("timeout", Kind::Duration, "the wait's end"),
            field("on_match", CONTINUE_OR_STOP, "what then").default("`continue`"),
            field("on_timeout", CONTINUE_OR_STOP, "what at its end").default("`continue`"),
        ],
    },
    Construct {
        name: "branch",
        noun: "a `branch` step",
        about: "A list of `{if, steps}`, of which the first that holds is taken; the last may be `{else}`.",
        value: Kind::List(&Kind::Map(&ARM)),
        fields: &[],
    },
    Construct {
        name: "fetch",
        noun: "a `fetch` step",
        about: "Data for later steps from an HTTP server. Private addresses are refused unless the configuration allows them.",
        value: Kind::Own,
        fields: &[
            field("url", Kind::Expression, "the address").required(),
            field("method", Kind::Words(&["GET", "POST", "PUT", "PATCH", "DELETE"]), "the method")
                .default("`GET`"),
            field("headers", Kind::Expressions, "further headers"),
            field("body", Kind::Expression, "sent as JSON"),
            field("into", Kind::Text, "the variable that takes the answer"),
            field("timeout", Kind::Duration, "how long it may take"),
            field("cache", Kind::Duration, "how long an answer is used again"),
            ONCE,
        ],
    },
    Construct {
        name: "emit",
        noun: "an `emit` step",
        about: "A further event, which may start other workflows.",
        value: Kind::Either(&[Kind::Text, Kind::Own]),
        fields: &[
            field("event", Kind::Text, "its name; required unless it stands behind `emit`"),
            field("data", Kind::Expressions, "its data"),
            field("to", Kind::Expression, "the user it is about, where its workflows ask for one"),
            ONCE,
        ],
    },
    Construct {
        name: "cancel",
        noun: "a `cancel` step",
        about: "Stops other runs.",
        value: Kind::Own,
        fields: &[
            field("workflow", Kind::Text, "whose runs").default("every workflow's"),
            field("key", Kind::Expression, "those with this key").required(),
        ],
    },
    Construct {
        name: "set",
        noun: "a `set` step",
        about: "`name: expression`: `vars.<name>` from the next step on.",
        value: Kind::Expressions,
        fields: &[],
    },
    Construct {
        name: "stop",
        noun: "a `stop` step",
        about: "Ends the run.",
        value: Kind::Either(&[Kind::Yes, Kind::Map(&STOP)]),
        fields: &[],
    },
];

pub const MOMENT: Construct = Construct {
    name: "moment",
    noun: "a moment",
    about: "",
    value: Kind::Own,
    fields: &[
        field("at", Kind::Expression, "the moment").required(),
        field("by", Kind::Duration, "how long before or after it").required(),
    ],
};

pub const MESSAGE: Construct = Construct {
    name: "message",
    noun: "message",
    about: "",
    value: Kind::Own,
    fields: &[
        field("step", Kind::Text, "the step's `id`").required(),
        field("state", Kind::Words(&["delivered", "seen", "read"]), "the state")
            .default("`delivered`"),
    ],
};

pub const ARM: Construct = Construct {
    name: "arm",
    noun: "an arm of `branch`",
    about: "",
    value: Kind::Own,
    fields: &[
        field("if", Kind::Expression, "asked in order"),
        field(
            "else",
            Kind::Either(&[Kind::Yes, Kind::Steps]),
            "the last, taken where none before holds",
        ),
        field("steps", Kind::Steps, "what is done"),
    ],
};

pub const STOP: Construct = Construct {
    name: "stop",
    noun: "stop",
    about: "",
    value: Kind::Own,
    fields: &[field("if", Kind::Expression, "the same as an `if` beside `stop`")],
};
