//! What brings work to a node, and what does it.

use std::sync::Arc;

use super::neighbours::Neighbours;
use super::{GRACE, Roles, StartError, sources};
use crate::config::{Config, Environment};
use crate::job::{Jobs, Settings};
use crate::pipeline::Pipeline;
use crate::source::Sources;
use crate::store::Installation;

pub(super) struct Work {
    /// Of a worker alone.
    done: Option<(Sources, Jobs)>,
    _neighbours: Neighbours,
}

impl Work {
    pub fn begin(
        config: &Config,
        environment: &Environment,
        roles: Roles,
        store: &Arc<dyn Installation>,
        pipeline: &Arc<Pipeline>,
    ) -> Result<Self, StartError> {
        let node: uuid::Uuid = pipeline.clock().id();
        let name = format!("node-{}", node.simple());
        let sources = sources::configured(config, environment, &name)?;
        let settings = Settings {
            workers: config.engine.workers,
            takeover: config.engine.lease.0,
            grace: GRACE,
        };
        let done = roles.worker.then(|| {
            let jobs = Jobs::start(&name, pipeline, settings);
            (sources.start(pipeline, config), jobs)
        });
        let neighbours = Neighbours::meet(store, pipeline.wake(), pipeline.clock());
        Ok(Self { done, _neighbours: neighbours })
    }

    /// Takes nothing more, finishes what goes on, and gives back what was not begun.
    pub async fn stop(self) {
        if let Some((sources, jobs)) = self.done {
            sources.stop().await;
            jobs.stop().await;
        }
    }
}
