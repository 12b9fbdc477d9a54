use std::time::Duration;

use super::table;

/// Events were stored, or had been before.
pub struct EventsAccepted {
    /// The way they came: one of a closed set.
    pub source: &'static str,
    pub accepted: u64,
    pub duplicates: u64,
}

/// Events were not taken. `code` is the refusal's.
pub struct EventsRefused {
    pub count: u64,
    pub code: &'static str,
}

/// An HTTP request got its answer. `route` is the pattern, never the path: ids stay out.
pub struct RequestAnswered<'a> {
    pub method: &'static str,
    pub route: &'a str,
    pub status: u16,
}

/// A handler failed in a way that it should not be able to.
pub struct HandlerPanicked<'a> {
    pub what: &'a str,
}

/// The store could not answer; the caller was told to come again.
pub struct StoreFailed<'a> {
    pub stage: &'static str,
    pub error: &'a (dyn std::error::Error + 'static),
}

/// The relay read from the store what other nodes published and their bus did not bring.
pub struct FramesFetched {
    pub count: u64,
}

/// Redis is there again, or, for that reason, is not there any more.
pub struct RedisChanged<'a> {
    pub down: Option<&'a str>,
}

/// Redis did not do what it was asked to; the node went on without it.
pub struct RedisFailed<'a> {
    pub why: &'a str,
}

/// A client connected to the relay.
pub struct ConnectionOpened;

/// A connection ended. `reason` is a word of a closed set.
pub struct ConnectionClosed {
    pub reason: &'static str,
    pub code: u16,
}

/// One try at one provider ended.
pub struct MessageAttempted<'a> {
    pub channel: &'a str,
    pub provider: &'a str,
    pub outcome: &'static str,
    pub took: Duration,
}

/// A gate, or a step, decided something other than to send. `code` is one of docs/reference/gates.md's.
pub struct MessageDecided<'a> {
    pub verdict: &'static str,
    pub code: &'a str,
}

/// A provider, or a host behind it, is left alone from now on, or is well again.
pub struct BreakerChanged<'a> {
    pub provider: &'a str,
    /// Empty: the provider itself.
    pub host: &'a str,
    /// `open` or `closed`.
    pub to: &'static str,
    pub code: &'a str,
}

/// How it stands with one provider.
pub struct BreakerStands<'a> {
    pub provider: &'a str,
    /// 0 closed, 1 half-open, 2 open.
    pub state: u8,
    /// Hosts behind it whose own breakers are open.
    pub hosts: usize,
}

/// A provider took a message.
pub struct MessageSent<'a> {
    pub channel: &'a str,
    /// From the event's receipt.
    pub after: Duration,
    /// From the message's moment to the attempt.
    pub waited: Duration,
}

/// A step decided something of a run.
pub struct RunDecided<'a> {
    pub verdict: &'static str,
    pub code: &'a str,
}

/// A claimer took rows, or found none.
pub struct RowsClaimed {
    pub queue: &'static str,
    pub rows: usize,
    pub took: Duration,
}

/// A transaction that calls shared was committed.
pub struct RowsCommitted {
    pub store: &'static str,
    pub rows: usize,
    pub took: Duration,
}

/// Rows past their retention are gone.
pub struct RowsPruned {
    pub table: &'static str,
    pub rows: u64,
}

/// What waits, at the moment of being asked.
pub struct BacklogSeen {
    pub events: u64,
    pub runs: u64,
    pub messages: u64,
    pub oldest: Duration,
}

/// A plugin's call ended, in whatever way.
pub struct PluginCalled<'a> {
    pub plugin: &'a str,
    pub took: Duration,
    pub cpu: Duration,
    pub memory_bytes: usize,
    /// Requests and mails that it asked for.
    pub requests: u32,
}

/// A plugin was stopped. `cause` is the fault's code.
pub struct PluginStopped<'a> {
    pub plugin: &'a str,
    pub cause: &'static str,
}

/// Frames were written to a connection of the relay.
pub struct FramesSent {
    pub count: u64,
}

/// A client of the relay sent one.
pub struct FrameReceived;

/// Spans that nobody will see: too many, or the collector was not there.
pub struct SpansDropped {
    pub count: u64,
}

/// A TCP connection was one too many.
pub struct ConnectionRefused;

/// How many TCP connections there are.
pub struct ConnectionsCounted {
    pub open: usize,
}

/// A provider told what became of a message. `outcome` is `moved`, `unchanged` or `unknown`.
pub struct MessageReported<'a> {
    pub provider: &'a str,
    pub state: &'static str,
    pub outcome: &'static str,
}

/// Events were taken from a source, accepted or set aside. `lag`: of the first of them.
pub struct SourceDrained {
    pub source: &'static str,
    pub count: u64,
    pub lag: Duration,
}

/// A source's event was refused, and is kept with the reason. `id` names it in its source.
pub struct EventsSetAside<'a> {
    pub source: &'static str,
    pub id: &'a dyn std::fmt::Display,
    pub code: &'static str,
}

/// A source's server answers.
pub struct SourceFound {
    pub source: &'static str,
}

/// A source cannot be drained. It is tried again; `first`: it could be until now.
pub struct SourceLost<'a> {
    pub source: &'static str,
    pub error: &'a (dyn std::error::Error + 'static),
    pub first: bool,
}

impl EventsAccepted {
    pub fn emit(&self) {
        for (outcome, count) in [("accepted", self.accepted), ("duplicate", self.duplicates)] {
            if count > 0 {
                let labels = [self.source, outcome];
                table::ACCEPTED_EVENTS.with(labels, |counter| counter.increment(count));
            }
        }
    }
}

impl EventsRefused {
    pub fn emit(&self) {
        tracing::debug!(count = self.count, code = self.code, "events refused");
        table::REFUSED_EVENTS.with([self.code], |counter| counter.increment(self.count));
    }
}

impl RequestAnswered<'_> {
    pub fn emit(&self) {
        let Self { method, route, status } = *self;
        tracing::debug!(method, route, status, "request answered");
        let labels = [method, route, status_class(status)];
        table::ANSWERED_REQUESTS.with(labels, |counter| counter.increment(1));
    }
}

impl HandlerPanicked<'_> {
    pub fn emit(&self) {
        tracing::error!(stage = "api", what = self.what, "a handler panicked");
        table::HANDLER_PANICS.with([], |counter| counter.increment(1));
    }
}

impl StoreFailed<'_> {
    pub fn emit(&self) {
        tracing::error!(stage = self.stage, error = self.error, "the store could not answer");
        table::STORE_ERRORS.with([self.stage], |counter| counter.increment(1));
    }
}

impl FramesFetched {
    pub fn emit(&self) {
        table::FETCHED_FRAMES.with([], |counter| counter.increment(self.count));
    }
}

impl RedisChanged<'_> {
    pub fn emit(&self) {
        match self.down {
            None => tracing::info!("redis is there: rates and the relay's bus are shared"),
            Some(why) => tracing::warn!(why, "redis is not there: this node goes on alone"),
        }
        let up = f64::from(u8::from(self.down.is_none()));
        table::REDIS_UP.with([], |gauge| gauge.set(up));
    }
}

impl RedisFailed<'_> {
    pub fn emit(&self) {
        tracing::debug!(why = self.why, "redis did not answer");
        table::REDIS_ERRORS.with([], |counter| counter.increment(1));
    }
}

impl ConnectionOpened {
    pub fn emit(&self) {
        table::OPENED_CONNECTIONS.with([], |counter| counter.increment(1));
        table::OPEN_CONNECTIONS.with([], |gauge| gauge.increment(1));
    }
}

impl ConnectionClosed {
    pub fn emit(&self) {
        let Self { reason, code } = *self;
        tracing::debug!(reason, code, "connection closed");
        let labels = [reason, &code.to_string()];
        table::CLOSED_CONNECTIONS.with(labels, |counter| counter.increment(1));
        table::OPEN_CONNECTIONS.with([], |gauge| gauge.decrement(1));
    }
}

impl MessageAttempted<'_> {
    pub fn emit(&self) {
        let labels = [self.channel, self.provider, self.outcome];
        table::ATTEMPTED_MESSAGES.with(labels, |counter| counter.increment(1));
        let took = self.took.as_secs_f64();
        table::ATTEMPT_SECONDS.with([self.channel], |histogram| histogram.record(took));
    }
}

impl MessageSent<'_> {
    pub fn emit(&self) {
        let (after, waited) = (self.after.as_secs_f64(), self.waited.as_secs_f64());
        table::ACCEPTED_TO_SENT.with([self.channel], |histogram| histogram.record(after));
        table::DUE_TO_ATTEMPT.with([self.channel], |histogram| histogram.record(waited));
    }
}

impl BreakerChanged<'_> {
    pub fn emit(&self) {
        let Self { provider, host, to, code } = *self;
        if code == "provider.misconfigured" {
            tracing::error!(
                provider,
                "a provider refuses the account or its settings, and is paused: mend them"
            );
        } else {
            tracing::warn!(provider, host, to, code, "a provider's breaker changed");
        }
        table::BREAKER_CHANGES.with([provider, to], |counter| counter.increment(1));
        if host.is_empty() {
            let state = if to == "open" { 2 } else { 0 };
            table::BREAKER_STATE.with([provider], |gauge| gauge.set(state));
        }
    }
}

impl BreakerStands<'_> {
    pub fn emit(&self) {
        table::BREAKER_STATE.with([self.provider], |gauge| gauge.set(self.state));
        table::OPEN_HOSTS.with([self.provider], |gauge| gauge.set(self.hosts as f64));
    }
}

impl MessageDecided<'_> {
    pub fn emit(&self) {
        let labels = [self.verdict, self.code];
        table::DECIDED_MESSAGES.with(labels, |counter| counter.increment(1));
    }
}

impl RunDecided<'_> {
    pub fn emit(&self) {
        table::DECIDED_RUNS.with([self.verdict, self.code], |counter| counter.increment(1));
    }
}

impl RowsClaimed {
    pub fn emit(&self) {
        let took = self.took.as_secs_f64();
        table::CLAIMED_ROWS.with([self.queue], |histogram| histogram.record(self.rows as f64));
        table::CLAIM_SECONDS.with([self.queue], |histogram| histogram.record(took));
    }
}

impl RowsCommitted {
    pub fn emit(&self) {
        let took = self.took.as_secs_f64();
        table::COMMIT_ROWS.with([self.store], |histogram| histogram.record(self.rows as f64));
        table::COMMIT_SECONDS.with([self.store], |histogram| histogram.record(took));
    }
}

impl RowsPruned {
    pub fn emit(&self) {
        tracing::debug!(table = self.table, rows = self.rows, "rows past their retention are gone");
        table::PRUNED_ROWS.with([self.table], |counter| counter.increment(self.rows));
    }
}

impl BacklogSeen {
    pub fn emit(&self) {
        let queues = [("events", self.events), ("runs", self.runs), ("messages", self.messages)];
        for (queue, count) in queues {
            table::DUE_JOBS.with([queue], |gauge| gauge.set(count as f64));
        }
        table::OLDEST_DUE.with([], |gauge| gauge.set(self.oldest.as_secs_f64()));
    }
}

impl PluginCalled<'_> {
    pub fn emit(&self) {
        let (took, cpu) = (self.took.as_secs_f64(), self.cpu.as_secs_f64());
        table::PLUGIN_SECONDS.with([self.plugin], |histogram| histogram.record(took));
        table::PLUGIN_CPU.with([self.plugin], |histogram| histogram.record(cpu));
        let bytes = self.memory_bytes as f64;
        table::PLUGIN_MEMORY.with([self.plugin], |histogram| histogram.record(bytes));
        let requests = u64::from(self.requests);
        table::PLUGIN_REQUESTS.with([self.plugin], |counter| counter.increment(requests));
    }
}

impl PluginStopped<'_> {
    pub fn emit(&self) {
        table::PLUGIN_FAULTS.with([self.plugin, self.cause], |counter| counter.increment(1));
    }
}

impl FramesSent {
    pub fn emit(&self) {
        table::SENT_FRAMES.with([], |counter| counter.increment(self.count));
    }
}

impl FrameReceived {
    pub fn emit(&self) {
        table::RECEIVED_FRAMES.with([], |counter| counter.increment(1));
    }
}

impl SpansDropped {
    pub fn emit(&self) {
        table::DROPPED_SPANS.with([], |counter| counter.increment(self.count));
    }
}

impl ConnectionRefused {
    pub fn emit(&self) {
        table::REFUSED_CONNECTIONS.with([], |counter| counter.increment(1));
    }
}

impl ConnectionsCounted {
    pub fn emit(&self) {
        table::HTTP_CONNECTIONS.with([], |gauge| gauge.set(self.open as f64));
    }
}

impl SourceDrained {
    pub fn emit(&self) {
        let lag = self.lag.as_secs_f64();
        table::DRAINED_EVENTS.with([self.source], |counter| counter.increment(self.count));
        table::SOURCE_LAG.with([self.source], |gauge| gauge.set(lag));
    }
}

impl EventsSetAside<'_> {
    pub fn emit(&self) {
        tracing::warn!(source = self.source, id = %self.id, code = self.code, "event set aside");
        table::SET_ASIDE_EVENTS.with([self.source, self.code], |counter| counter.increment(1));
    }
}

impl SourceFound {
    pub fn emit(&self) {
        tracing::info!(source = self.source, "the source is drained");
        table::SOURCE_UP.with([self.source], |gauge| gauge.set(1));
    }
}

impl SourceLost<'_> {
    pub fn emit(&self) {
        if self.first {
            tracing::warn!(
                source = self.source,
                error = self.error,
                "the source cannot be drained: it is tried until it can"
            );
        }
        table::SOURCE_UP.with([self.source], |gauge| gauge.set(0));
    }
}

/// A class, not a status: labels multiply.
fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

impl MessageReported<'_> {
    pub fn emit(&self) {
        let labels = [self.provider, self.state, self.outcome];
        table::REPORTED_MESSAGES.with(labels, |counter| counter.increment(1));
    }
}
