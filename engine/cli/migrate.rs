use clap::Args;

use super::{Done, Failure, block_on};
use crate::clock::Clock;
use crate::config::Environment;
use crate::seal::Sealer;
use crate::{node, source, store};

/// Brings the store's tables up to date, and makes the outbox where one is configured.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio migrate --config nuncio.toml")]
pub(super) struct Migrate {
    #[command(flatten)]
    config: super::config::Source,
}

impl Migrate {
    pub fn run(self) -> Done {
        let config = self.config.load()?.config;
        block_on(Some(1), async {
            let clock = Clock::system();
            let store = store::open(&config.store.url, clock.clone(), Sealer::none(clock)).await;
            let store = store.map_err(|error| Failure::Service(in_full(&error)))?;
            store.close().await;
            eprintln!("the store is up to date");
            let outbox = node::outbox(&config, &Environment::process()).map_err(Failure::input)?;
            if let Some(outbox) = outbox {
                let made = source::outbox::install(&outbox).await;
                made.map_err(|error| Failure::Service(in_full(&error)))?;
                eprintln!("the outbox is there");
            }
            Ok(())
        })?
    }
}

/// An error with what it came from.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
