use std::collections::BTreeMap;

use super::{AllowPrivate, Config, ConfigError, Origin, Secret, Span};
use crate::diagnostic::did_you_mean;

/// Every signature that tokens may bear.
const ALGORITHMS: [&str; 4] = ["HS256", "RS256", "ES256", "EdDSA"];
/// A shorter lease would end under a worker that only waited for the disk.
const LEASE: Span = Span::seconds(5);
/// A repetition of an event within it counts once, whatever is set.
const LEAST_KEPT: Span = Span::seconds(60 * 60);
/// What the address of a store begins with.
const STORES: [&str; 3] = ["sqlite:", "postgres://", "postgresql://"];
/// A shorter time would claim from nodes that only waited for the store.
const CLAIM_AFTER: Span = Span::seconds(5);
/// The provider that needs no configuration.
const CAPTURE: &str = "capture";

/// What no value shows by itself.
pub(super) fn check(
    config: &Config,
    origins: &BTreeMap<Vec<String>, Origin>,
    errors: &mut Vec<ConfigError>,
) {
    let mut check = Check { origins, errors };
    check.auth(config);
    check.channels(config);
    check.redis(config);
    check.sources(config);
    check.engine(config);
    check.egress(config);
    check.limits(config);
    check.retention(config);
    if !(0.0..=1.0).contains(&config.telemetry.otlp.sample) {
        let message = "a share is from 0 to 1".into();
        check.conflict(&["telemetry", "otlp", "sample"], message, None);
    }
    if !STORES.iter().any(|scheme| config.store.url.starts_with(scheme)) {
        let hint = "write `sqlite:path/to/nuncio.db` or `postgres://user@host/database`";
        check.conflict(&["store", "url"], "the store is none that is known".into(), Some(hint));
    }
}

struct Check<'c> {
    origins: &'c BTreeMap<Vec<String>, Origin>,
    errors: &'c mut Vec<ConfigError>,
}

impl Check<'_> {
    fn conflict(&mut self, path: &[&str], message: String, hint: Option<&str>) {
        let owned: Vec<String> = path.iter().map(|&key| key.into()).collect();
        let at = self.origins.get(&owned).cloned().unwrap_or(Origin::Default);
        let message = format!("`{}`: {message}", super::setting::dotted(&owned));
        let hint = hint.map(str::to_owned);
        self.errors.push(ConfigError { code: "config.conflict", at, message, hint });
    }

    fn auth(&mut self, config: &Config) {
        let auth = &config.auth;
        if !ALGORITHMS.contains(&&*auth.algorithm) {
            let hint = format!("one of {}", ALGORITHMS.join(", "));
            let message = format!("`{}` is no algorithm that is known", auth.algorithm);
            self.conflict(&["auth", "algorithm"], message, Some(&hint));
        } else if auth.algorithm != "HS256" && auth.public_key.is_none() {
            let message = format!("`{}` needs `auth.public_key`, a PEM file", auth.algorithm);
            self.conflict(&["auth", "algorithm"], message, None);
        }
    }

    fn channels(&mut self, config: &Config) {
        for (channel, order) in &config.channels {
            if order.retry.as_ref().is_some_and(Vec::is_empty) {
                let hint = "the waits before each further attempt: `retry = [\"10s\", \"1m\"]`";
                let path = ["channels", channel.as_str(), "retry"];
                self.conflict(&path, "no wait is named".into(), Some(hint));
            }
            for provider in &order.providers {
                if config.providers.contains_key(provider) || provider.as_str() == CAPTURE {
                    continue;
                }
                let known = config.providers.keys().map(|name| name.as_str());
                let hint = match did_you_mean(provider.as_str(), known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write a `[providers.{provider}]`"),
                };
                let message = format!("there is no provider `{provider}`");
                self.conflict(&["channels", channel.as_str(), "providers"], message, Some(&hint));
            }
        }
    }

    fn redis(&mut self, config: &Config) {
        let Some(Secret::Text(url)) = &config.redis.url else { return };
        let known = |scheme: &str| ["redis", "rediss", "unix"].contains(&scheme);
        if !url::Url::parse(url).is_ok_and(|url| known(url.scheme())) {
            let hint = "as `redis://host:6379/`, or `env:NAME` where it holds a password";
            self.conflict(&["redis", "url"], "this is no URL of a Redis".into(), Some(hint));
        }
    }

    fn sources(&mut self, config: &Config) {
        let (outbox, stream) = (&config.sources.outbox, &config.sources.stream);
        let known = |scheme: &str| ["postgres", "postgresql"].contains(&scheme);
        if let Some(Secret::Text(url)) = &outbox.url
            && !url::Url::parse(url).is_ok_and(|url| known(url.scheme()))
        {
            let hint = "as `postgres://user@host:5432/name`, or `env:NAME`";
            let message = "this is no URL of a PostgreSQL database".into();
            self.conflict(&["sources", "outbox", "url"], message, Some(hint));
        }
        if stream.claim_after < CLAIM_AFTER {
            let message =
                format!("`{}` is too short; {CLAIM_AFTER} is the least", stream.claim_after);
            self.conflict(&["sources", "stream", "claim_after"], message, None);
        }
    }

    fn engine(&mut self, config: &Config) {
        let engine = &config.engine;
        if engine.retry.is_empty() {
            let hint = "the waits before each further attempt: `retry = [\"1m\", \"5m\"]`";
            self.conflict(&["engine", "retry"], "no wait is named".into(), Some(hint));
        }
        if engine.lease < LEASE {
            let message = format!("`{}` is too short; {LEASE} is the least", engine.lease);
            self.conflict(&["engine", "lease"], message, None);
        }
        if engine.attempt_timeout == Span::default() {
            let message = "an attempt without time cannot succeed".into();
            self.conflict(&["engine", "attempt_timeout"], message, None);
        }
        self.zone(&["engine", "time_zone"], &engine.time_zone);
        let Some(quiet) = &engine.quiet_hours else { return };
        if quiet.start_time == quiet.end_time {
            let message = "quiet hours end at another time than they start".into();
            self.conflict(&["engine", "quiet_hours", "end_time"], message, None);
        }
        if let Some(zone) = &quiet.timezone {
            self.zone(&["engine", "quiet_hours", "timezone"], zone);
        }
    }

    fn zone(&mut self, path: &[&str], zone: &str) {
        let known = jiff::tz::TimeZone::get(zone).is_ok_and(|zone| !zone.is_unknown());
        if !known {
            let hint = "an IANA name: `Africa/Tunis`";
            self.conflict(path, format!("there is no time zone `{zone}`"), Some(hint));
        }
    }

    fn egress(&mut self, config: &Config) {
        let AllowPrivate::Some(allowed) = &config.egress.allow_private else { return };
        for entry in allowed.iter().filter(|entry| entry.contains('/')) {
            if entry.parse::<ipnet::IpNet>().is_err() {
                let message = format!("`{entry}` is no CIDR");
                self.conflict(&["egress", "allow_private"], message, Some("as `10.0.0.0/8`"));
            }
        }
    }

    /// What is younger than that may still be looked at by what waits for it.
    fn retention(&mut self, config: &Config) {
        let kept = &config.store.retention;
        for (name, keep) in [
            ("events", kept.events),
            ("messages", kept.messages),
            ("attempts", kept.attempts),
            ("decisions", kept.decisions),
            ("dead_letters", kept.dead_letters),
            ("inbox", kept.inbox),
            ("frames", kept.frames),
            ("sayings", kept.sayings),
        ] {
            if keep.span().is_some_and(|span| span < LEAST_KEPT.0) {
                let message = format!("`{keep}` is too short; {LEAST_KEPT} is the least");
                let hint = "`never` keeps it without an end";
                self.conflict(&["store", "retention", name], message, Some(hint));
            }
        }
    }

    /// Limits that would let nothing through at all.
    fn limits(&mut self, config: &Config) {
        let (server, relay) = (&config.server, &config.relay);
        for (path, value) in [
            (["server", "max_body"], server.max_body),
            (["server", "max_event"], server.max_event),
            (["server", "max_intake"], server.max_intake),
            (["server", "max_connections"], server.max_connections),
            (["server", "requests_per_second"], server.requests_per_second as usize),
            (["server", "request_burst"], server.request_burst as usize),
            (["engine", "workers"], config.engine.workers),
            (["relay", "max_connections"], relay.max_connections),
            (["relay", "max_connections_per_user"], relay.max_connections_per_user),
            (["relay", "max_connections_per_address"], relay.max_connections_per_address),
            (["relay", "frames_per_second"], relay.frames_per_second as usize),
            (["relay", "max_frame_bytes"], relay.max_frame_bytes),
            (["relay", "buffer_bytes"], relay.buffer_bytes),
            (["relay", "buffer_frames"], relay.buffer_frames),
        ] {
            if value == 0 {
                self.conflict(&path, "0 would let nothing through".into(), Some("at least 1"));
            }
        }
        for (name, timeout) in
            [("header_timeout", server.header_timeout), ("body_timeout", server.body_timeout)]
        {
            if timeout == Span::default() {
                self.conflict(&["server", name], "0 would let nothing through".into(), None);
            }
        }
        for (name, provider) in &config.providers {
            if provider.concurrency == 0 {
                let path = ["providers", name.as_str(), "concurrency"];
                self.conflict(&path, "0 would let nothing through".into(), Some("at least 1"));
            }
            for (key, span) in
                [("window", provider.breaker.window), ("rest", provider.breaker.rest)]
            {
                if span == Span::default() {
                    let path = ["providers", name.as_str(), "breaker", key];
                    let message = "a breaker without it would never be one".into();
                    self.conflict(&path, message, Some("`failures = 0` turns it off"));
                }
            }
        }
        if relay.ping_interval >= relay.idle_timeout {
            let message = "a ping must come before `relay.idle_timeout` ends".into();
            self.conflict(&["relay", "ping_interval"], message, None);
        }
    }
}
