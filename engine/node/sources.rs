//! What a node takes events from beside HTTP, as configured.

use std::sync::Arc;

use super::StartError;
use crate::config::{Config, Environment, Secret};
use crate::pipeline::Pipeline;
use crate::source::{Intake, Sources, outbox, stream};

/// Read, and not begun.
pub(super) struct Configured {
    outbox: Option<outbox::Settings>,
    stream: Option<stream::Settings>,
}

/// `node` names this one in the stream's group.
pub(super) fn configured(
    config: &Config,
    environment: &Environment,
    node: &str,
) -> Result<Configured, StartError> {
    Ok(Configured {
        outbox: outbox_of(config, environment)?,
        stream: stream_of(config, environment, node)?,
    })
}

/// The outbox that is configured, or that the store's database has.
pub fn outbox_of(
    config: &Config,
    environment: &Environment,
) -> Result<Option<outbox::Settings>, StartError> {
    let outbox = &config.sources.outbox;
    if !outbox.enabled {
        return Ok(None);
    }
    let url = match &outbox.url {
        Some(url) => resolve("sources.outbox.url", url, environment)?,
        None if config.store.url.starts_with("postgres") => config.store.url.clone(),
        None => return Ok(None),
    };
    Ok(Some(outbox::Settings::new(&url)?))
}

fn stream_of(
    config: &Config,
    environment: &Environment,
    node: &str,
) -> Result<Option<stream::Settings>, StartError> {
    let stream = &config.sources.stream;
    let Some(url) = config.redis.url.as_ref().filter(|_| stream.enabled) else { return Ok(None) };
    let url = resolve("redis.url", url, environment)?;
    let mut settings = stream::Settings::new(&url, &config.redis.prefix, node.to_owned())?;
    settings.claim_after = stream.claim_after.0;
    settings.max_length = stream.max_length;
    Ok(Some(settings))
}

fn resolve(key: &str, url: &Secret, environment: &Environment) -> Result<String, StartError> {
    url.resolve(environment).map_err(|source| StartError::Secret { key: key.into(), source })
}

impl Configured {
    pub fn start(self, pipeline: &Arc<Pipeline>, config: &Config) -> Sources {
        let intake = Intake {
            pipeline: pipeline.clone(),
            clock: pipeline.clock().clone(),
            max_event: config.server.max_event,
        };
        Sources::start(intake, self.outbox, self.stream)
    }
}
