use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::door::Door;
use crate::model::ProviderName;

/// Who is kept so long from its provider, or longer, goes to the next one.
const LONG: Duration = Duration::from_secs(10);

/// Why a provider was not asked.
pub(super) struct Refusal {
    pub provider: ProviderName,
    pub why: Why,
    /// Not before.
    pub from: Timestamp,
    /// Between those that wait for the same.
    pub gap: Duration,
    /// Of the destination, where it is what stands in the way.
    pub door: Option<Arc<Door>>,
}

pub(super) enum Why {
    /// Its breaker is open, with that code.
    Open { code: String },
    /// Its rate is used up; `outrun`: for one that may not have to stand in line.
    Rate { outrun: bool },
    /// It asked to be left alone.
    Rests,
    /// As many calls go on as may.
    Busy,
}

impl Refusal {
    /// Whether the next provider should be asked instead.
    pub fn leads_on(&self, now: Timestamp) -> bool {
        matches!(self.why, Why::Open { .. })
            || now.saturating_add(LONG).is_ok_and(|long| self.from >= long)
    }

    pub fn code(&self) -> Cow<'static, str> {
        match &self.why {
            Why::Open { code } => code.clone().into(),
            Why::Rate { .. } => "provider.rate".into(),
            Why::Rests => "provider.rate_limited".into(),
            Why::Busy => "provider.busy".into(),
        }
    }

    /// For a reader.
    pub fn reason(&self) -> String {
        let provider = &self.provider;
        match &self.why {
            Why::Open { code } if code == "provider.misconfigured" => {
                format!("provider `{provider}` refuses the account or its settings")
            }
            Why::Open { code } if code == "plugin.quarantined" => {
                format!("the plugin of provider `{provider}` failed too often")
            }
            Why::Open { .. } => format!("provider `{provider}` failed too often and is left alone"),
            Why::Rate { .. } => format!("provider `{provider}` has no sends left until then"),
            Why::Rests => format!("provider `{provider}` asked for fewer"),
            Why::Busy => format!("provider `{provider}` has as many sends under way as it may"),
        }
    }
}
