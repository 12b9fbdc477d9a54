use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Secret, Span};

/// One account at one provider: a plugin with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// A built-in plugin's name (`email`, `webhook`), or a path to a `.nuncio.wasm`.
    pub plugin: String,
    /// The plugin's own, checked against its manifest.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// By the manifest's names.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// Sends in a time (`50/s`, `600/m`). Default none.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Sends at once. Default 64.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// What to do with a message that may have been sent. Default: `retry` where the manifest
    /// says idempotent, and for e-mail; else `hold`.
    #[serde(default)]
    pub on_unknown: Option<OnUnknown>,
    /// When it is left alone for a while.
    #[serde(default)]
    pub breaker: Breaker,
}

/// When a provider that fails is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Failures in a row. Default 10; 0: whatever happens, it is asked.
    pub failures: u32,
    /// The time within which they must come. Default 1m.
    pub window: Span,
    /// How long it is left alone before one message tries it. Default 30s; doubled each time the
    /// try fails, up to 5m.
    pub rest: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    Retry,
    Hold,
}

/// `count` in each `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub per: Duration,
}

fn default_concurrency() -> usize {
    64
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 10, window: Span::seconds(60), rest: Span::seconds(30) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_rate(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is no rate: write it as `50/s`, `600/m` or `10/h`"
            ))
        })
    }
}

fn parse_rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/')?;
    let per = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some(Rate { count: count.trim().parse().ok()?, per: Duration::from_secs(per) })
}
