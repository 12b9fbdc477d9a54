use std::marker::PhantomData;
use std::panic;

use serde::de::DeserializeOwned;

use crate::bindings::exports::nuncio::channel::sender::Guest;
use crate::{Level, Message, Receipt, SendError, log};

/// A channel: what a plugin's author writes.
pub trait Channel {
    /// The provider's settings, as the manifest's `config` describes them.
    type Settings: DeserializeOwned;

    /// What is wrong with settings that fit the manifest's schema: every problem, one sentence
    /// each. Asked once, when the provider is set up. Default: nothing.
    fn check(settings: &Self::Settings) -> Vec<String> {
        let _ = settings;
        Vec::new()
    }

    /// Makes one attempt. Must not try again by itself: the engine does, by its own plan.
    fn send(message: Message, settings: Self::Settings) -> Result<Receipt, SendError>;
}

/// Carries a [`Channel`] over the component's edge. Made by [`channel!`](crate::channel!).
pub struct Component<C>(PhantomData<C>);

impl<C: Channel> Guest for Component<C> {
    fn validate_config(config: String) -> Result<(), Vec<String>> {
        log_panics();
        let settings = settings::<C>(&config).map_err(|why| vec![why])?;
        let problems = C::check(&settings);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn send(message: Message, config: String) -> Result<Receipt, SendError> {
        log_panics();
        let settings = settings::<C>(&config)
            .map_err(|why| SendError::misconfigured("config.settings", why))?;
        C::send(message, settings)
    }
}

pub(crate) fn settings<C: Channel>(config: &str) -> Result<C::Settings, String> {
    serde_json::from_str(config).map_err(|why| why.to_string())
}

/// Without this, nothing of a panic is seen outside but `unreachable`.
pub(crate) fn log_panics() {
    panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
}
