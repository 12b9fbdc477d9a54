//! Generated from `plugins/wit/channel.wit`: the raw interface, for what the rest does not cover.

wit_bindgen::generate!({
    path: "../wit",
    world: "channel",
    pub_export_macro: true,
    export_macro_name: "export_component",
    additional_derives: [Clone, PartialEq],
});

/// The optional export of channels whose providers call back.
pub mod reporting {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package nuncio:sdk;
            world reporting { export nuncio:channel/callbacks@1.0.0; }",
        world: "nuncio:sdk/reporting",
        pub_export_macro: true,
        export_macro_name: "export_callbacks",
        additional_derives: [Clone, PartialEq],
        with: { "nuncio:channel/types@1.0.0": crate::bindings::nuncio::channel::types },
    });
}
