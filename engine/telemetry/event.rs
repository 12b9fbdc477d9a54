use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// Events were stored, and answered 202.
pub struct EventsAccepted {
    pub count: u64,
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
        counter!("nuncio_accepted_events_total").increment(self.count);
    }
}

impl EventsRefused {
    pub fn emit(&self) {
        tracing::debug!(count = self.count, code = self.code, "events refused");
        counter!("nuncio_refused_events_total", "code" => self.code).increment(self.count);
    }
}

impl RequestAnswered<'_> {
    pub fn emit(&self) {
        tracing::debug!(
            method = self.method,
            route = self.route,
            status = self.status,
            "request answered"
        );
        counter!(
            "nuncio_answered_requests_total",
            "method" => self.method,
            "route" => self.route.to_owned(),
            "status" => status_class(self.status),
        )
        .increment(1);
    }
}

impl HandlerPanicked<'_> {
    pub fn emit(&self) {
        tracing::error!(stage = "api", what = self.what, "a handler panicked");
        counter!("nuncio_handler_panics_total").increment(1);
    }
}

impl StoreFailed<'_> {
    pub fn emit(&self) {
        tracing::error!(stage = self.stage, error = self.error, "the store could not answer");
        counter!("nuncio_store_errors_total", "stage" => self.stage).increment(1);
    }
}

impl FramesFetched {
    pub fn emit(&self) {
        counter!("nuncio_fetched_frames_total").increment(self.count);
    }
}

impl RedisChanged<'_> {
    pub fn emit(&self) {
        match self.down {
            None => tracing::info!("redis is there: rates and the relay's bus are shared"),
            Some(why) => tracing::warn!(why, "redis is not there: this node goes on alone"),
        }
        gauge!("nuncio_redis_up").set(f64::from(u8::from(self.down.is_none())));
    }
}

impl RedisFailed<'_> {
    pub fn emit(&self) {
        tracing::debug!(why = self.why, "redis did not answer");
        counter!("nuncio_redis_errors_total").increment(1);
    }
}

impl ConnectionOpened {
    pub fn emit(&self) {
        counter!("nuncio_opened_connections_total").increment(1);
        gauge!("nuncio_open_connections").increment(1);
    }
}

impl ConnectionClosed {
    pub fn emit(&self) {
        tracing::debug!(reason = self.reason, code = self.code, "connection closed");
        counter!("nuncio_closed_connections_total", "reason" => self.reason).increment(1);
        gauge!("nuncio_open_connections").decrement(1);
    }
}

impl MessageAttempted<'_> {
    pub fn emit(&self) {
        counter!(
            "nuncio_attempted_messages_total",
            "channel" => self.channel.to_owned(),
            "provider" => self.provider.to_owned(),
            "outcome" => self.outcome,
        )
        .increment(1);
        histogram!("nuncio_attempt_seconds", "channel" => self.channel.to_owned())
            .record(self.took.as_secs_f64());
    }
}

impl MessageDecided<'_> {
    pub fn emit(&self) {
        counter!(
            "nuncio_decided_messages_total",
            "verdict" => self.verdict,
            "code" => self.code.to_owned(),
        )
        .increment(1);
    }
}

impl SourceDrained {
    pub fn emit(&self) {
        counter!("nuncio_drained_events_total", "source" => self.source).increment(self.count);
        gauge!("nuncio_source_lag_seconds", "source" => self.source).set(self.lag.as_secs_f64());
    }
}

impl EventsSetAside<'_> {
    pub fn emit(&self) {
        tracing::warn!(source = self.source, id = %self.id, code = self.code, "event set aside");
        counter!(
            "nuncio_set_aside_events_total",
            "source" => self.source,
            "code" => self.code,
        )
        .increment(1);
    }
}

impl SourceFound {
    pub fn emit(&self) {
        tracing::info!(source = self.source, "the source is drained");
        gauge!("nuncio_source_up", "source" => self.source).set(1);
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
        gauge!("nuncio_source_up", "source" => self.source).set(0);
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
        counter!(
            "nuncio_reported_messages_total",
            "provider" => self.provider.to_owned(),
            "state" => self.state,
            "outcome" => self.outcome
        )
        .increment(1);
    }
}
