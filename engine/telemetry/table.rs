//! Every metric there is: what /metrics prints, and docs/reference/metrics.md shows.

use std::fmt::Write;

use metrics::{Counter, Gauge, Histogram};

use super::family::{About, Buckets, Family, Kind};

const SECONDS: Kind = Kind::Histogram(Buckets::Seconds);
const LONG_SECONDS: Kind = Kind::Histogram(Buckets::LongSeconds);
const BYTES: Kind = Kind::Histogram(Buckets::Bytes);
const ROWS: Kind = Kind::Histogram(Buckets::Rows);

macro_rules! table {
    ($($place:ident<$handle:ident, $labels:literal>:
        $name:literal, $kind:expr, $label:expr, $help:literal;)*) => {
        $(pub(super) static $place: Family<$handle, $labels> =
            Family::new(&About { name: $name, kind: $kind, labels: &$label, help: $help });)*

        /// In the order of the reference.
        pub const ALL: &[About] =
            &[$(About { name: $name, kind: $kind, labels: &$label, help: $help }),*];
    };
}

table! {
    ACCEPTED_EVENTS<Counter, 2>: "nuncio_accepted_events_total", Kind::Counter,
        ["source", "outcome"],
        "Events that were stored, or known already (`accepted`, `duplicate`), by the way they came \
         (`http`, `source`).";
    REFUSED_EVENTS<Counter, 1>: "nuncio_refused_events_total", Kind::Counter, ["code"],
        "Events that were not taken, by the refusal's code.";
    DRAINED_EVENTS<Counter, 1>: "nuncio_drained_events_total", Kind::Counter, ["source"],
        "Events taken from an outbox or a stream, accepted or set aside.";
    SET_ASIDE_EVENTS<Counter, 2>: "nuncio_set_aside_events_total", Kind::Counter,
        ["source", "code"],
        "Events of a source that were refused, and are kept with the reason.";
    SOURCE_UP<Gauge, 1>: "nuncio_source_up", Kind::Gauge, ["source"],
        "1 while a source can be drained.";
    SOURCE_LAG<Gauge, 1>: "nuncio_source_lag_seconds", Kind::Gauge, ["source"],
        "The age of what was drained last.";
    DUE_JOBS<Gauge, 1>: "nuncio_due_jobs", Kind::Gauge, ["queue"],
        "Rows whose moment has come and that nobody works on, up to 100,000 a queue.";
    OLDEST_DUE<Gauge, 0>: "nuncio_oldest_due_seconds", Kind::Gauge, [],
        "For how long the oldest due message has been waiting; 0 where none waits.";
    CLAIMED_ROWS<Histogram, 1>: "nuncio_claimed_rows", ROWS, ["queue"],
        "Rows of one claim.";
    CLAIM_SECONDS<Histogram, 1>: "nuncio_claim_seconds", SECONDS, ["queue"],
        "What a claim took, its commit included.";
    DUE_TO_ATTEMPT<Histogram, 1>: "nuncio_due_to_attempt_seconds", LONG_SECONDS, ["channel"],
        "From a message's moment to its attempt: how far the queue is behind.";
    ACCEPTED_TO_SENT<Histogram, 1>: "nuncio_accepted_to_sent_seconds", LONG_SECONDS, ["channel"],
        "From an event's receipt to the provider's yes, with all that was meant to wait.";
    ATTEMPTED_MESSAGES<Counter, 3>: "nuncio_attempted_messages_total", Kind::Counter,
        ["channel", "provider", "outcome"],
        "Attempts, by how they ended.";
    ATTEMPT_SECONDS<Histogram, 1>: "nuncio_attempt_seconds", SECONDS, ["channel"],
        "What an attempt took.";
    BREAKER_STATE<Gauge, 1>: "nuncio_provider_breaker_state", Kind::Gauge, ["provider"],
        "0 closed, 1 half-open, 2 open: then it is left alone until a message tries it.";
    BREAKER_CHANGES<Counter, 2>: "nuncio_provider_breaker_changes_total", Kind::Counter,
        ["provider", "to"],
        "Openings and closings, of providers and of hosts behind them.";
    OPEN_HOSTS<Gauge, 1>: "nuncio_provider_open_hosts", Kind::Gauge, ["provider"],
        "Hosts behind a provider that are left alone by themselves.";
    REPORTED_MESSAGES<Counter, 3>: "nuncio_reported_messages_total", Kind::Counter,
        ["provider", "state", "outcome"],
        "What providers reported of messages that they had taken.";
    DECIDED_MESSAGES<Counter, 2>: "nuncio_decided_messages_total", Kind::Counter,
        ["verdict", "code"],
        "Decisions about messages. Errors of expressions and templates are `expression.failed` \
         and `render.failed`.";
    DECIDED_RUNS<Counter, 2>: "nuncio_decided_runs_total", Kind::Counter, ["verdict", "code"],
        "Decisions about runs and events, by their steps.";
    COMMIT_SECONDS<Histogram, 1>: "nuncio_commit_seconds", SECONDS, ["store"],
        "What a shared transaction took, from its first statement to its commit.";
    COMMIT_ROWS<Histogram, 1>: "nuncio_commit_rows", ROWS, ["store"],
        "Rows of one shared transaction, about.";
    STORE_ERRORS<Counter, 1>: "nuncio_store_errors_total", Kind::Counter, ["stage"],
        "Calls that the store could not answer.";
    REDIS_UP<Gauge, 0>: "nuncio_redis_up", Kind::Gauge, [],
        "1 while Redis is used, 0 while this node goes on without it.";
    REDIS_ERRORS<Counter, 0>: "nuncio_redis_errors_total", Kind::Counter, [],
        "Calls that Redis did not answer.";
    PRUNED_ROWS<Counter, 1>: "nuncio_pruned_rows_total", Kind::Counter, ["table"],
        "Rows that were past their retention.";
    PLUGIN_SECONDS<Histogram, 1>: "nuncio_plugin_seconds", SECONDS, ["plugin"],
        "What a call of a plugin took on the wall; its count is that of the calls.";
    PLUGIN_CPU<Histogram, 1>: "nuncio_plugin_cpu_seconds", SECONDS, ["plugin"],
        "What a call of a plugin took of a processor.";
    PLUGIN_MEMORY<Histogram, 1>: "nuncio_plugin_memory_bytes", BYTES, ["plugin"],
        "What a call of a plugin held at most, all its memories together.";
    PLUGIN_REQUESTS<Counter, 1>: "nuncio_plugin_requests_total", Kind::Counter, ["plugin"],
        "Requests and mails that plugins asked for.";
    PLUGIN_FAULTS<Counter, 2>: "nuncio_plugin_faults_total", Kind::Counter, ["plugin", "cause"],
        "Calls of plugins that were stopped, by the reason.";
    OPENED_CONNECTIONS<Counter, 0>: "nuncio_opened_connections_total", Kind::Counter, [],
        "Connections of the relay that began.";
    OPEN_CONNECTIONS<Gauge, 0>: "nuncio_open_connections", Kind::Gauge, [],
        "Connections of the relay that are open.";
    CLOSED_CONNECTIONS<Counter, 2>: "nuncio_closed_connections_total", Kind::Counter,
        ["reason", "code"],
        "Connections of the relay that ended, by a word and their close code.";
    SENT_FRAMES<Counter, 0>: "nuncio_sent_frames_total", Kind::Counter, [],
        "Frames written to connections of the relay.";
    RECEIVED_FRAMES<Counter, 0>: "nuncio_received_frames_total", Kind::Counter, [],
        "Frames that clients of the relay sent.";
    FETCHED_FRAMES<Counter, 0>: "nuncio_fetched_frames_total", Kind::Counter, [],
        "Frames that the relay read from the store, since no bus brought them.";
    ANSWERED_REQUESTS<Counter, 3>: "nuncio_answered_requests_total", Kind::Counter,
        ["method", "route", "status"],
        "HTTP requests, by the pattern of their path and the class of their status.";
    HTTP_CONNECTIONS<Gauge, 0>: "nuncio_http_connections", Kind::Gauge, [],
        "TCP connections that are open, the relay's among them.";
    REFUSED_CONNECTIONS<Counter, 0>: "nuncio_refused_connections_total", Kind::Counter, [],
        "TCP connections past `server.max_connections`, answered 503.";
    HANDLER_PANICS<Counter, 0>: "nuncio_handler_panics_total", Kind::Counter, [],
        "Requests whose handler failed in a way that it should not be able to.";
    DROPPED_SPANS<Counter, 0>: "nuncio_dropped_spans_total", Kind::Counter, [],
        "Spans of traces that were too many, or that no collector took.";
    RESIDENT_BYTES<Gauge, 0>: "nuncio_resident_bytes", Kind::Gauge, [],
        "Memory of the process.";
    OPEN_FILES<Gauge, 0>: "nuncio_open_files", Kind::Gauge, [],
        "Files and sockets that the process has open.";
}

/// The table of docs/reference/metrics.md.
pub fn reference() -> String {
    let mut page = String::from("| metric | kind | labels | |\n| --- | --- | --- | --- |\n");
    for About { name, kind, labels, help } in ALL {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (kind.word(), labels.join(", "));
        // Memory takes everything.
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
    }
    page
}
