//! Who calls: services with API keys, end users with JSON Web Tokens.
//!
//! A key's text exists once, when it is made; the store holds its hash. A token is verified with
//! the operator's key and this process's [`Clock`](crate::clock::Clock), never remembered.

mod key;
mod scope;
mod token;

pub use key::{Caller, KeyRing, held, issue};
pub use scope::{Scope, Scopes, UnknownScope};
pub use token::{AuthError, Claims, Grant, KeyMaterial, TokenError, Verifier, mint};
