use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

/// What one run of the benchmark found. Rates are per second.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Render and POST, with neither queue nor store, before and after the rest.
    pub bare_before: Rate,
    pub bare_after: Rate,
    pub http: Delivery,
    /// With other events accepted beside it.
    pub busy: Delivery,
    pub beside: Beside,
    pub in_app: Delivery,
    /// From the accept's request to the relay's reader.
    pub seen: Latency,
    /// Accepts, one event a request.
    pub singles: Rate,
    pub idle_rss_kib: u64,
    pub peak_rss_kib: u64,
}

/// How fast, and at what cost. The processor's time is the whole process's, sink and load
/// included, and says more than the rate on a machine that others use too.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Rate {
    pub per_second: f64,
    pub cpu_us: f64,
}

/// What a part of the benchmark took.
pub(super) struct Stopwatch {
    began: Instant,
    cpu: Duration,
}

/// Events in, messages out.
#[derive(Debug, Serialize)]
pub(super) struct Delivery {
    pub events: usize,
    /// In arrays, and over HTTP before anything is sent.
    pub accepted: f64,
    /// From the first message's arrival to the last one's.
    pub delivered: Rate,
    /// Messages in state `sent`, counted in the store afterwards.
    pub sent_rows: u64,
}

/// Accepts, one event a request, while messages leave.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    pub per_second: f64,
    pub latency: Latency,
}

/// In milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Report {
    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, rate: Rate) -> fmt::Result {
        let Rate { per_second, cpu_us } = rate;
        write!(f, "{name:<34}{per_second:>12.0}{:>12.2}{cpu_us:>12.1}", per_second / self.bare())
    }

    fn bare(&self) -> f64 {
        f64::midpoint(self.bare_before.per_second, self.bare_after.per_second)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<34}", "")?;
        for head in ["per second", "to bare", "CPU µs", "p50 ms", "p99 ms"] {
            write!(f, "{head:>12}")?;
        }
        writeln!(f)?;
        self.row(f, "bare loop, before", self.bare_before)?;
        writeln!(f)?;
        self.row(f, "bare loop, after", self.bare_after)?;
        writeln!(f)?;
        for (name, part) in
            [("HTTP", &self.http), ("HTTP, busy", &self.busy), ("in-app", &self.in_app)]
        {
            let (title, to_bare) =
                (format!("{name}: accepted, in arrays"), part.accepted / self.bare());
            writeln!(f, "{title:<34}{:>12.0}{to_bare:>12.2}", part.accepted)?;
            self.row(f, &format!("{name}: delivered"), part.delivered)?;
            if name == "in-app" {
                write!(f, "{}", self.seen)?;
            }
            let title = format!("{name}: rows sent");
            writeln!(f, "\n{title:<34}{:>12} of {}", part.sent_rows, part.events)?;
        }
        let Beside { per_second, latency } = &self.beside;
        writeln!(
            f,
            "{:<34}{per_second:>12.0}{:>24}{latency}",
            "HTTP, busy: accepted beside it", ""
        )?;
        self.row(f, "accepted, one by one", self.singles)?;
        writeln!(f)?;
        let mib = |kib: u64| kib as f64 / 1024.0;
        writeln!(f, "{:<34}{:>12.1}", "RSS before the load, MiB", mib(self.idle_rss_kib))?;
        writeln!(f, "{:<34}{:>12.1}", "RSS at its peak, MiB", mib(self.peak_rss_kib))
    }
}

impl Latency {
    pub fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { p50_ms: quantile(&latencies, 0.5), p99_ms: quantile(&latencies, 0.99) }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.1}{:>12.1}", self.p50_ms, self.p99_ms)
    }
}

impl Stopwatch {
    pub fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu() }
    }

    pub fn per_event(&self, events: usize) -> Rate {
        let events = events as f64;
        Rate {
            per_second: events / self.began.elapsed().as_secs_f64(),
            cpu_us: (cpu() - self.cpu).as_secs_f64() * 1e6 / events,
        }
    }
}

/// The processor's time that this process has had, from /proc/self/stat; zero where there is none.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the command's name, which ends in the last parenthesis: utime and stime are 14th and
    // 15th of the line, in ticks of 10 ms.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The given quantile of sorted latencies, in milliseconds.
fn quantile(sorted: &[Duration], quantile: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * quantile).round() as usize;
    sorted.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

/// A line of /proc/self/status, in KiB; 0 where there is none.
pub(super) fn rss_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
