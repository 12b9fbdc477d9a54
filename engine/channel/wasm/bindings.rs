//! Generated from `plugins/wit/channel.wit`.

wasmtime::component::bindgen!({
    path: "plugins/wit",
    world: "channel",
    imports: {
        "nuncio:channel/http.send": async | trappable,
        "nuncio:channel/mail.submit": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});

/// The optional export of plugins whose providers call back.
pub(super) mod reporting {
    wasmtime::component::bindgen!({
        path: "plugins/wit",
        inline: "package nuncio:engine;
            world reporting { export nuncio:channel/callbacks@1.0.0; }",
        world: "nuncio:engine/reporting",
        exports: { default: async },
    });
}
