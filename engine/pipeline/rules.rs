use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::config::Config;
use crate::gate;
use crate::model::{ChannelName, Span};
use crate::workflow::step::Send;

/// The operator's part in it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The waits before each further attempt, where neither step nor channel names any.
    pub retry: Vec<Span>,
    /// …and where the channel does.
    pub channel_retry: BTreeMap<ChannelName, Vec<Span>>,
    /// Refuse events that no `events.yaml` declares.
    pub strict_events: bool,
    /// What holds for recipients who said nothing.
    pub gates: Arc<gate::Defaults>,
    /// A message's end, where neither step nor workflow names one.
    pub expiry: Option<Span>,
    /// For recipients who name none.
    pub time_zone: TimeZone,
}

impl Rules {
    pub fn of(config: &Config) -> Self {
        Self {
            retry: config.engine.retry.clone(),
            channel_retry: config
                .channels
                .iter()
                .filter_map(|(name, channel)| Some((name.clone(), channel.retry.clone()?)))
                .collect(),
            strict_events: config.engine.strict_events,
            gates: Arc::new(gate::Defaults::of(config)),
            expiry: config.engine.expiry,
            // The configuration was checked: it names a zone.
            time_zone: TimeZone::get(&config.engine.time_zone).unwrap_or(TimeZone::UTC),
        }
    }
}

impl Rules {
    /// The waits before each further attempt of one channel's messages: the step's, else the
    /// channel's, else everybody's.
    pub(super) fn schedule<'a>(
        &'a self,
        channel: &ChannelName,
        step: Option<&'a Send>,
    ) -> &'a [Span] {
        let own = step.and_then(|step| step.retry.as_ref());
        own.or_else(|| self.channel_retry.get(channel)).unwrap_or(&self.retry)
    }
}
