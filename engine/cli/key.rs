use clap::Subcommand;
use serde_json::json;

use super::migrate::in_full;
use super::{Done, Failure, Format, block_on};
use crate::auth::{Scopes, issue};
use crate::clock::Clock;
use crate::model::{AuditRecord, Deed};
use crate::seal::Sealer;
use crate::store::{self, Installation};

/// Keys for services.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Makes a key and shows it, this once
    #[command(
        after_help = "Example:\n  nuncio key new --name shop --scopes events:write,users:write"
    )]
    New {
        #[arg(long)]
        name: String,
        /// What the key may do, parted by commas; `*` for everything
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        #[command(flatten)]
        config: super::config::Source,
    },
    /// All keys, without their texts
    List {
        #[command(flatten)]
        config: super::config::Source,
    },
    /// Ends a key
    Revoke {
        name: String,
        #[command(flatten)]
        config: super::config::Source,
    },
}

impl Key {
    pub fn run(self, format: Format) -> Done {
        let config = match &self {
            Self::New { config, .. } | Self::List { config } | Self::Revoke { config, .. } => {
                config
            }
        };
        let url = config.load()?.config.store.url;
        block_on(Some(1), async {
            let clock = Clock::system();
            let store = store::open(&url, clock.clone(), Sealer::none(clock.clone())).await;
            let store = store.map_err(|error| Failure::Service(in_full(&error)))?;
            let done = self.on(&*store, &clock, format).await;
            store.close().await;
            done
        })?
    }

    async fn on(self, store: &dyn Installation, clock: &Clock, format: Format) -> Done {
        match self {
            Self::New { name, scopes, .. } => {
                Scopes::parse(scopes.iter().map(String::as_str)).map_err(Failure::input)?;
                let (text, key) = issue(clock, &name, scopes);
                if !store.put_key(&key).await.map_err(Failure::service)? {
                    return Err(Failure::Input(format!(
                        "there is a key `{name}` in force already"
                    )));
                }
                let scopes = json!({ "scopes": key.scopes });
                record(store, clock, Deed::KeyNew, &name, scopes).await?;
                match format {
                    Format::Json => println!("{}", json!({"name": name, "key": text})),
                    _ => println!("{text}"),
                }
                eprintln!("this is the only time that the key is shown");
            }
            Self::List { .. } => list(store, format).await?,
            Self::Revoke { name, .. } => {
                if !store.revoke_key(&name, clock.now()).await.map_err(Failure::service)? {
                    return Err(Failure::Input(format!("there is no key `{name}` in force")));
                }
                record(store, clock, Deed::KeyRevoke, &name, json!({})).await?;
                eprintln!("`{name}` opens nothing any more");
            }
        }
        Ok(())
    }
}

async fn record(
    store: &dyn Installation,
    clock: &Clock,
    what: Deed,
    name: &str,
    detail: serde_json::Value,
) -> Done {
    let (at, who) = (clock.now(), "command line".to_owned());
    let record = AuditRecord { at, who, what, about: name.to_owned(), detail };
    store.record(record).await.map_err(Failure::service)
}

async fn list(store: &dyn Installation, format: Format) -> Done {
    let keys = store.keys().await.map_err(Failure::service)?;
    if format == Format::Json {
        let keys = keys.iter().map(|key| {
            let (created, revoked) = (key.created_at, key.revoked_at);
            json!({"name": key.name, "scopes": key.scopes, "created_at": created, "revoked_at": revoked})
        });
        println!("{}", serde_json::Value::from_iter(keys));
        return Ok(());
    }
    for key in keys {
        let state = match key.revoked_at {
            Some(at) => format!("revoked {at}"),
            None => format!("since {}", key.created_at),
        };
        println!("{}  {}  {state}", key.name, key.scopes.join(","));
    }
    Ok(())
}
