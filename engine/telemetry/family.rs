//! A metric with its series. A series' handle is made once and found again without an allocation.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use super::table;

/// Series of one metric; what would be one more is counted under the label `other`.
const MOST_SERIES: usize = 1000;

/// Seconds: from a commit to a slow provider's deadline.
const BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

const ABOUT_US: Metadata<'static> = Metadata::new("nuncio", Level::INFO, None);

/// What all metrics of this process are kept in.
pub(super) static RECORDER: LazyLock<PrometheusRecorder> = LazyLock::new(|| {
    let mut builder = PrometheusBuilder::new();
    for about in table::ALL {
        if let Some(buckets) = about.kind.buckets() {
            let of = Matcher::Full(about.name.to_owned());
            builder = builder.set_buckets_for_metric(of, buckets).expect("buckets are not empty");
        }
    }
    let recorder = builder.build_recorder();
    for about in table::ALL {
        let (name, help) = (about.name.into(), about.help.into());
        match about.kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
        }
    }
    recorder
});

/// What is said of a metric: a line of docs/reference/metrics.md.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    /// One sentence, with the unit where the name holds none.
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram(Buckets),
}

#[derive(Clone, Copy, Debug)]
pub enum Buckets {
    /// Up to half a minute.
    Seconds,
    /// Of what may take days, since it may wait for the morning.
    LongSeconds,
    /// Up to a plugin's largest memory.
    Bytes,
    /// Up to a transaction's rows.
    Rows,
}

/// A metric with `N` labels.
pub(super) struct Family<H, const N: usize> {
    about: &'static About,
    series: RwLock<Series<H, N>>,
}

/// Handles with their labels, by the hash of these.
type Series<H, const N: usize> = BTreeMap<u64, ([Box<str>; N], H)>;

/// A series of some kind.
pub(super) trait Handle: Sized {
    fn of(key: &Key) -> Self;
}

impl Kind {
    /// As Prometheus says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    fn buckets(self) -> Option<&'static [f64]> {
        match self {
            Self::Counter | Self::Gauge => None,
            Self::Histogram(Buckets::Seconds) => Some(&BUCKETS),
            Self::Histogram(Buckets::LongSeconds) => Some(&[
                0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0,
                86400.0,
            ]),
            Self::Histogram(Buckets::Bytes) => {
                Some(&[262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 33_554_432.0])
            }
            Self::Histogram(Buckets::Rows) => {
                Some(&[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 1000.0, 5000.0])
            }
        }
    }
}

impl<H: Handle, const N: usize> Family<H, N> {
    pub const fn new(about: &'static About) -> Self {
        assert!(about.labels.len() == N, "a family has the labels of its line");
        Self { about, series: RwLock::new(BTreeMap::new()) }
    }

    /// Hands the series with these labels to `tell`.
    pub fn with(&self, labels: [&str; N], tell: impl Fn(&H)) {
        let hash = hash(&labels);
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((kept, handle)) = known.get(&hash)
            && same(kept, &labels)
        {
            return tell(handle);
        }
        let full = known.len() >= MOST_SERIES;
        drop(known);
        if full && labels.iter().any(|label| *label != OTHER) {
            return self.with([OTHER; N], tell);
        }
        let handle = H::of(&self.key(&labels));
        tell(&handle);
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(hash).or_insert_with(|| (labels.map(Box::from), handle));
    }

    fn key(&self, labels: &[&str; N]) -> Key {
        let pairs = self.about.labels.iter().zip(labels);
        let labels: Vec<_> =
            pairs.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
        Key::from_parts(self.about.name, labels)
    }
}

const OTHER: &str = "other";

fn hash(labels: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    hasher.finish()
}

fn same(kept: &[Box<str>], labels: &[&str]) -> bool {
    kept.iter().zip(labels).all(|(kept, label)| **kept == **label)
}

impl Handle for Counter {
    fn of(key: &Key) -> Self {
        RECORDER.register_counter(key, &ABOUT_US)
    }
}

impl Handle for Gauge {
    fn of(key: &Key) -> Self {
        RECORDER.register_gauge(key, &ABOUT_US)
    }
}

impl Handle for Histogram {
    fn of(key: &Key) -> Self {
        RECORDER.register_histogram(key, &ABOUT_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static MANY: About =
        About { name: "nuncio_many_total", kind: Kind::Counter, labels: &["of"], help: "Tests." };

    #[test]
    fn a_label_with_ever_new_values_is_bounded() {
        let family = Family::<Counter, 1>::new(&MANY);
        for number in 0..2 * MOST_SERIES {
            family.with([&number.to_string()], |counter| counter.increment(1));
        }
        let kept = family.series.read().expect("nobody panicked");
        assert_eq!(kept.len(), MOST_SERIES + 1);
        let text = RECORDER.handle().render();
        assert!(text.contains(r#"nuncio_many_total{of="other"} 1000"#), "{text}");
    }
}
