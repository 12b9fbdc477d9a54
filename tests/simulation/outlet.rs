use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nuncio::channel::{Channel, Failure, Outcome, Traits};
use nuncio::config::OnUnknown;
use nuncio::dispatch::Installed;
use nuncio::model::{ChannelName, Parcel};

use super::client::POISON;
use super::fate::Fates;
use super::log::Log;

/// A provider that writes down what it takes, and answers as the seed has it. In peace it takes
/// everything.
struct Outlet {
    traits: Traits,
    fates: Fates,
    log: Arc<Log>,
}

/// One provider a channel. What `sms` may have sent is never sent again by itself.
pub fn installed(
    known: &BTreeMap<ChannelName, Traits>,
    fates: &Fates,
    log: &Arc<Log>,
) -> BTreeMap<ChannelName, Vec<Installed>> {
    let outside = known.iter().filter(|(name, _)| !name.is_in_app());
    let install = |(name, traits): (&ChannelName, &Traits)| {
        let outlet = Outlet { traits: traits.clone(), fates: fates.clone(), log: log.clone() };
        let hold = name.as_str() == "sms";
        let provider = Installed {
            name: name.as_str().into(),
            channel: Arc::new(outlet),
            rate: None,
            concurrency: 2,
            on_unknown: if hold { OnUnknown::Hold } else { OnUnknown::Retry },
        };
        (name.clone(), vec![provider])
    };
    outside.map(install).collect()
}

#[async_trait]
impl Channel for Outlet {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn send(&self, parcel: &Parcel, _deadline: Duration) -> Outcome {
        self.fates.meanwhile("before", "the provider").await;
        if parcel.content.body.contains(POISON) {
            return self.fates.die("of", "poison").await;
        }
        let outcome = self.answer(parcel);
        self.fates.meanwhile("after", "the provider").await;
        outcome
    }
}

impl Outlet {
    fn answer(&self, parcel: &Parcel) -> Outcome {
        let failure = || Failure::new("drawn", "as the seed has it");
        let draw = if self.fates.is_peace() { 0 } else { self.fates.below(80) };
        let after = Some(Duration::from_secs([0, 3, 90][self.fates.below(3)]));
        let outcome = match draw {
            0..=47 => {
                self.log.arrived(parcel);
                Outcome::Accepted { receipt: Some(parcel.idempotency_key.clone()), detail: None }
            }
            48..=55 => Outcome::Retry { failure: failure(), after: None },
            56..=60 => Outcome::RateLimited { failure: failure(), after },
            61..=65 => {
                self.log.arrived(parcel);
                Outcome::Unknown { failure: failure() }
            }
            66..=70 => Outcome::Unknown { failure: failure() },
            71..=75 => Outcome::PluginFault { failure: failure() },
            76..=78 => Outcome::Rejected { failure: failure() },
            _ => Outcome::InvalidRecipient { failure: failure() },
        };
        self.fates.tell(|| format!("provider of {}: {outcome:?}", parcel.message));
        outcome
    }
}
