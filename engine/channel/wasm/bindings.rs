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
