//! Generated from `plugins/wit/channel.wit`: the raw interface, for what the rest does not cover.

wit_bindgen::generate!({
    path: "../wit",
    world: "channel",
    pub_export_macro: true,
    export_macro_name: "export_component",
    additional_derives: [Clone, PartialEq],
});
