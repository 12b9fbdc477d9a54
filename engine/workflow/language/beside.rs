use super::{Construct, Kind, field};

pub const TYPE: Construct = Construct {
    name: "types",
    noun: "a type",
    about: "A notification type that preferences speak of.",
    value: Kind::Own,
    fields: &[
        field("name", Kind::Text, "as `category` names it").required(),
        field(
            "marketing",
            Kind::Flag,
            "`true`: an opt-out binds even critical messages of this type",
        )
        .default("`false`"),
        field(
            "batch_template",
            Kind::Text,
            "a folder under `templates/`: what several held messages of the type become",
        )
        .default("the last message's own template"),
    ],
};

pub const ROUTE: Construct = Construct {
    name: "routes",
    noun: "a route",
    about: "A path of the relay, and who may join it: either `topics` or a `room`.",
    value: Kind::Own,
    fields: &[
        field("path", Kind::Text, "the WebSocket's path; `{…}` are parameters").required(),
        field("topics", Kind::Many(&Kind::Text), "the topics whose frames it carries"),
        field("room", Kind::Text, "the room it joins"),
        field("publish", Kind::Flag, "`true`: members may write to the room").default("`false`"),
        field("history", Kind::Flag, "`true`: what is written is kept for later readers")
            .default("`false`"),
        field("who", Kind::Expression, "who may join, over `token` and the path's parameters")
            .default("members of the room, and admins"),
    ],
};
