//! What a channel plugin for Nuncio is written with.
//!
//! A plugin is a type that implements [`Channel`], a manifest beside it, and one line that makes
//! them a component, `nuncio_sdk::channel!(Chat, manifest: "../manifest.toml");`.
//!
//! ```
//! use nuncio_sdk::{Channel, Message, Receipt, SendError, http};
//!
//! struct Chat;
//!
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     url: String,
//! }
//!
//! impl Channel for Chat {
//!     type Settings = Settings;
//!
//!     fn send(message: Message, settings: Settings) -> Result<Receipt, SendError> {
//!         let answer = http::post_json(&settings.url, http::Auth::None, message.body.into())?;
//!         Ok(Receipt::new(http::field(&answer, "x-message-id")))
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! A panic is logged and then stops the instance; the engine counts it as the plugin's fault and
//! tries again later. An instance serves one send: what is left in memory is gone after it.

pub mod bindings;
pub mod callbacks;
mod channel;
mod failure;
pub mod http;

pub use bindings::nuncio::channel::types::{
    Attachment, Failure, Field, Message, Receipt, SendError,
};
pub use bindings::nuncio::channel::{kv, mail, runtime, secrets};
pub use channel::{Channel, Component};

/// How much a line of [`log`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// Writes a line into the engine's log, with the plugin's and the provider's name. Leave
/// addresses and bodies out.
pub fn log(level: Level, message: &str) {
    runtime::log(level as u8, message, &[]);
}

/// Makes `$channel` the component's sender, and embeds its manifest, whose path is relative to
/// the file that says this. With `callbacks`, it is who hears its provider's reports too
/// ([`callbacks::Reports`]).
#[macro_export]
macro_rules! channel {
    ($channel:ty, manifest: $manifest:literal, callbacks) => {
        $crate::channel!($channel, manifest: $manifest);
        const _: () = {
            use $crate::bindings::reporting;

            type Reporting = $crate::callbacks::Reporting<$channel>;
            reporting::export_callbacks!(Reporting with_types_in $crate::bindings::reporting);
        };
    };
    ($channel:ty, manifest: $manifest:literal) => {
        const _: () = {
            #[used]
            #[cfg_attr(target_family = "wasm", unsafe(link_section = "nuncio:manifest"))]
            static MANIFEST: [u8; include_bytes!($manifest).len()] = *include_bytes!($manifest);

            type Exported = $crate::Component<$channel>;
    $crate::bindings::export_component!(Exported with_types_in $crate::bindings);
        };
    };
}
