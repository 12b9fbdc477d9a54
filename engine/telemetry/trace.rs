//! Traces: an event's way from the request that brought it to the provider that took it.
//!
//! A [`Traced`] is nothing where nobody traces, and costs a look at one static. The trace goes on
//! through the store as the event's `trace`, a W3C `traceparent`, kept of sampled events alone.

mod export;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{
    FutureExt, Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

pub use export::{Export, Exporting};

use super::TelemetryError;
use crate::clock::Clock;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();
/// Providers are told the trace too.
static PROPAGATES: AtomicBool = AtomicBool::new(false);

/// Starts tracing. Once a process; the spans go out until [`Exporting::stop`].
pub fn trace(export: &Export, clock: Clock) -> Result<Exporting, TelemetryError> {
    let (queue, exporting) = export::start(export, clock)?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(export.sample)));
    let provider =
        SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(queue).build();
    TRACER.set(provider.tracer("nuncio")).map_err(|_| TelemetryError::Installed)?;
    PROPAGATES.store(export.propagate, Ordering::Relaxed);
    Ok(exporting)
}

/// The place of what goes on now in a sampled trace, to be kept: a `traceparent`.
pub fn traceparent() -> Option<String> {
    TRACER.get()?;
    let context = Context::current();
    let context = context.span().span_context().clone();
    context.is_sampled().then(|| written(&context))
}

/// The same for a provider, if the operator lets it be told.
pub fn propagated() -> Option<String> {
    if PROPAGATES.load(Ordering::Relaxed) { traceparent() } else { None }
}

/// What may be said of a stretch of work.
#[derive(Clone, Copy, Debug)]
pub enum Fact {
    Channel,
    Message,
    Workflow,
    Provider,
    Plugin,
    Attempt,
    Method,
    Status,
}

impl Fact {
    fn key(self) -> &'static str {
        match self {
            Self::Channel => "nuncio.channel",
            Self::Message => "nuncio.message",
            Self::Workflow => "nuncio.workflow",
            Self::Provider => "nuncio.provider",
            Self::Plugin => "nuncio.plugin",
            Self::Attempt => "nuncio.attempt",
            Self::Method => "http.request.method",
            Self::Status => "http.response.status_code",
        }
    }
}

/// A stretch of work. It ends when it, and all that goes on inside of it, is dropped.
pub struct Traced(Option<Context>);

impl Traced {
    /// No part of any trace.
    pub fn none() -> Self {
        Self(None)
    }

    /// Of a request, which may be part of its sender's trace.
    pub fn of_request(name: impl FnOnce() -> String, traceparent: Option<&str>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let parent = match traceparent.and_then(read) {
            Some(remote) => Context::new().with_remote_span_context(remote),
            None => Context::new(),
        };
        Self::start(tracer, name(), SpanKind::Server, &parent)
    }

    /// Goes on with a trace that was kept; nothing where none was.
    pub fn of_event(name: &'static str, kept: Option<&str>) -> Self {
        let (Some(tracer), Some(kept)) = (TRACER.get(), kept.and_then(read)) else {
            return Self(None);
        };
        let parent = Context::new().with_remote_span_context(kept);
        Self::start(tracer, name, SpanKind::Consumer, &parent)
    }

    /// A part of what goes on now.
    pub fn part(name: &'static str) -> Self {
        Self::of_current(name, SpanKind::Internal)
    }

    /// A call to the outside.
    pub fn call(name: &'static str) -> Self {
        Self::of_current(name, SpanKind::Client)
    }

    fn of_current(name: &'static str, kind: SpanKind) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let current = Context::current();
        if !current.span().span_context().is_sampled() {
            return Self(None);
        }
        Self::start(tracer, name, kind, &current)
    }

    fn start(
        tracer: &SdkTracer,
        name: impl Into<std::borrow::Cow<'static, str>>,
        kind: SpanKind,
        parent: &Context,
    ) -> Self {
        let span = tracer.span_builder(name).with_kind(kind).start_with_context(tracer, parent);
        Self(Some(parent.with_span(span)))
    }

    /// Says more: never what is personal.
    pub fn set<V: Into<Value>>(&self, fact: Fact, value: impl FnOnce() -> V) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(fact.key(), value()));
        }
    }

    /// Points at another trace that this has to do with.
    pub fn link(&self, kept: Option<&str>) {
        if let Some(context) = &self.0
            && let Some(other) = kept.and_then(read)
        {
            let Link { span_context, attributes, .. } = Link::with_context(other);
            context.span().add_link(span_context, attributes);
        }
    }

    pub fn failed(&self, why: &'static str) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(why));
        }
    }

    /// Runs `work` inside.
    pub async fn around<F: Future>(&self, work: F) -> F::Output {
        match &self.0 {
            None => work.await,
            Some(context) => work.with_context(context.clone()).await,
        }
    }

    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(|context| context.clone().attach());
        work()
    }
}

/// `00-<trace>-<span>-<flags>`, as W3C Trace Context has it.
fn written(context: &SpanContext) -> String {
    let (trace, span) = (context.trace_id(), context.span_id());
    format!("00-{trace}-{span}-{:02x}", context.trace_flags())
}

fn read(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let known =
        is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !known || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_it_is_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(written(&read(text).expect("it is one")), text);
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes";
        assert!(read(later).is_some());
        for other in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(read(other).is_none(), "{other}");
        }
    }

    #[test]
    fn nothing_is_traced_where_nobody_asked() {
        let span = Traced::of_request(|| unreachable!("nobody reads a name"), None);
        span.set(Fact::Status, || -> i64 { unreachable!("nobody reads a value") });
        assert_eq!(span.inside(traceparent), None);
        assert_eq!(propagated(), None);
    }
}
