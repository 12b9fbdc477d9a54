use std::path::PathBuf;

use clap::Args;

use super::{Done, Failure};
use crate::auth::{Grant, mint};
use crate::clock::Clock;
use crate::config::{Environment, Span};

/// A token for an end user, signed with the development secret.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio token --sub 42 --role customer --for 8h")]
pub(super) struct Token {
    /// The user's id
    #[arg(long)]
    sub: String,
    #[arg(long)]
    role: Option<String>,
    /// Organisations, parted by commas
    #[arg(long, value_delimiter = ',')]
    orgs: Vec<String>,
    /// How long it is valid
    #[arg(long = "for", default_value = "24h")]
    lifetime: Span,
    /// The folder where `nuncio dev` keeps its data
    #[arg(long, default_value = ".nuncio")]
    data: PathBuf,
    #[command(flatten)]
    config: super::config::Source,
}

impl Token {
    /// The secret: NUNCIO_JWT_SECRET, else the configuration's, else the development node's.
    pub fn run(self) -> Done {
        let environment = Environment::process();
        let auth = self.config.load()?.config.auth;
        let configured = match &auth.secret {
            Some(secret) => Some(secret.resolve(&environment).map_err(Failure::input)?),
            None => None,
        };
        let secret =
            environment.get("NUNCIO_JWT_SECRET").map(str::to_owned).or(configured).or_else(|| {
                super::dev::read_env(&self.data.join("dev.env")).remove("NUNCIO_JWT_SECRET")
            });
        let secret = secret.ok_or_else(|| {
            Failure::Input("no secret is known: start `nuncio dev` here, or set auth.secret".into())
        })?;
        let grant =
            Grant { sub: self.sub, role: self.role, orgs: self.orgs, lifetime: self.lifetime.0 };
        let token = mint(&grant, &secret, &auth, &Clock::system());
        println!(
            "{}",
            token.ok_or_else(|| Failure::Input("the token could not be signed".into()))?
        );
        Ok(())
    }
}
