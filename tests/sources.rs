//! Events that come in beside HTTP: written in a service's own transaction, or into a stream.

mod configured;
mod ground;
mod outbox;
mod rejected;
mod stream;
mod trouble;
mod watch;
