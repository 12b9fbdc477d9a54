use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Secret;

/// Traces, by OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// The collector (`http://127.0.0.1:4318`). Default none: nothing is traced.
    pub endpoint: Option<url::Url>,
    /// Sent with every request to it.
    pub headers: BTreeMap<String, Secret>,
    /// The share of traces that begin here and are kept, from 0 to 1; a sender's `traceparent`
    /// decides for its own. Default 1.
    pub sample: f64,
    /// Tells providers the trace: requests of plugins get a `traceparent`. Default false.
    pub propagate: bool,
}

impl Default for Otlp {
    fn default() -> Self {
        Self { endpoint: None, headers: BTreeMap::new(), sample: 1.0, propagate: false }
    }
}
