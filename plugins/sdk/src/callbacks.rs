//! For channels whose providers report what became of a message: implement [`Reports`], say so in
//! the manifest (`[callbacks]`), and export it with `channel!(…, callbacks)`.

use std::marker::PhantomData;

use crate::bindings::reporting::exports::nuncio::channel::callbacks::Guest;
use crate::channel::{log_panics, settings};
use crate::{Channel, Component, Field};

pub use crate::bindings::reporting::exports::nuncio::channel::callbacks::{
    Inbound, Incoming, Reply, Update,
};

/// A channel that is told by its provider.
pub trait Reports: Channel {
    /// Reads a request of the provider's. Make sure first that it is the provider's
    /// (`secrets::verify`): anybody may send one. An error refuses it: 401.
    ///
    /// It has 100 ms on the processor and 5 s in all, in an instance of its own. The same request
    /// may come again, late, and out of order.
    fn callback(request: Inbound, settings: Self::Settings) -> Result<Reply, String>;
}

/// Carries [`Reports`] over the component's edge. Made by [`channel!`](crate::channel!).
pub struct Reporting<C>(PhantomData<Component<C>>);

impl<C: Reports> Guest for Reporting<C> {
    fn handle_callback(request: Inbound, config: String) -> Result<Reply, String> {
        log_panics();
        C::callback(request, settings::<C>(&config)?)
    }
}

impl Inbound {
    /// A header's value; names are told without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value.as_str())
    }
}

impl Reply {
    /// Nothing but a status: 200, where the provider wants nothing special.
    pub fn status(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { status, headers, body, updates: Vec::new(), incoming: Vec::new() }
    }
}

impl Update {
    /// `receipt` is what the receipt of the send named; `state` is `delivered`, `bounced` (the
    /// address will not work any more) or `complained`. Any other state is counted alone.
    pub fn new(receipt: impl Into<String>, state: impl Into<String>) -> Self {
        Self {
            provider_id: receipt.into(),
            state: state.into(),
            at_ms: None,
            code: None,
            detail: None,
            extra: Vec::new(),
        }
    }

    /// Of a bounce: the address may work another time.
    pub fn soft(mut self) -> Self {
        self.extra.push(Field { name: "bounce".into(), value: "soft".into() });
        self
    }
}
