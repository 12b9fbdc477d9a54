use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// What came of one scene.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub scene: &'static str,
    pub nodes: usize,
    pub faults: usize,
    pub accepted: usize,
    /// Requests without an answer, and with one that was no 202.
    pub lost: usize,
    pub refused: usize,
    pub messages: usize,
    /// By HTTP, by mail, and to apps.
    pub arrivals: [usize; 3],
    /// Arrivals beyond the first, each of them with an attempt of unknown outcome.
    pub repeated: usize,
    pub unknown: usize,
    pub leases: usize,
    pub recoveries: Vec<Duration>,
    pub took: Duration,
    /// What the disk had acknowledged was taken from it: sinks may know what the store does not.
    pub forgets: bool,
    /// Promises that were not kept.
    pub broken: Vec<String>,
}

/// The scenes of a run, one after the other.
#[derive(Debug, Default)]
pub struct Report(pub Vec<Line>);

impl Line {
    pub fn of(scene: &'static str, nodes: usize) -> Self {
        Self { scene, nodes, ..Self::default() }
    }

    /// # Panics
    /// A promise is broken.
    pub fn holds(&self) {
        assert!(self.broken.is_empty(), "{}:\n{}", self.scene, self.broken.join("\n"));
    }

    fn longest(&self) -> Duration {
        self.recoveries.iter().max().copied().unwrap_or_default()
    }

    fn as_json(&self) -> Value {
        let millis: Vec<_> = self.recoveries.iter().map(Duration::as_millis).collect();
        json!({
            "scene": self.scene,
            "nodes": self.nodes,
            "faults": self.faults,
            "accepted": self.accepted,
            "requests_lost": self.lost,
            "requests_refused": self.refused,
            "messages": self.messages,
            "arrivals": { "http": self.arrivals[0], "smtp": self.arrivals[1], "websocket": self.arrivals[2] },
            "repeated": self.repeated,
            "unknown": self.unknown,
            "leases_left": self.leases,
            "recovery_ms": millis,
            "took_ms": self.took.as_millis(),
            "broken": self.broken,
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [http, smtp, apps] = self.arrivals;
        write!(
            f,
            "{:<28} {:>5} {:>6} {:>8} {:>6} {:>7} {:>8} {:>6} {:>6} {:>6} {:>8} {:>7} {:>6} {:>8.1} {:>6.0}",
            self.scene,
            self.nodes,
            self.faults,
            self.accepted,
            self.lost,
            self.refused,
            self.messages,
            http,
            smtp,
            apps,
            self.repeated,
            self.unknown,
            self.leases,
            self.longest().as_secs_f64(),
            self.took.as_secs_f64(),
        )
    }
}

impl Report {
    /// Prints the table, and writes it as JSON beside the build; answers where.
    pub fn publish(&self) -> PathBuf {
        println!(
            "{:<28} {:>5} {:>6} {:>8} {:>6} {:>7} {:>8} {:>6} {:>6} {:>6} {:>8} {:>7} {:>6} {:>8} {:>6}",
            "scene",
            "nodes",
            "faults",
            "accepted",
            "lost",
            "refused",
            "messages",
            "http",
            "smtp",
            "apps",
            "repeated",
            "unknown",
            "leases",
            "back (s)",
            "(s)"
        );
        for line in &self.0 {
            println!("{line}");
        }
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rig.json");
        let all: Vec<_> = self.0.iter().map(Line::as_json).collect();
        std::fs::write(&path, format!("{:#}\n", Value::from(all))).expect("a report");
        path
    }
}
