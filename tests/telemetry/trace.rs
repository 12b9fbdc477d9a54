//! One trace from the request to the provider, at a real collector.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::harness::node::{Installation, Node};
use crate::harness::sink::Sink;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// One webhook, and a collector for what is traced.
struct House {
    hook: Sink,
    collector: Sink,
    installation: Installation,
}

impl House {
    async fn with(otlp: &str) -> Self {
        let (hook, collector) = (Sink::start().await, Sink::start().await);
        let config = format!(
            "[auth]\nsecret = \"only tests know\"\n[telemetry.otlp]\nendpoint = \"{}\"\n{otlp}\n\
             headers = {{ x-team = \"shop\" }}\n\
             [channels.webhook]\nproviders = [\"hook\"]\n\
             [providers.hook]\nplugin = \"webhook\"\nsettings = {{ url = \"{}\" }}\n",
            collector.url(""),
            hook.url("/hook"),
        );
        let workflow = "workflow: order\non: order.placed\ncategory: system\n\
            recipients: [{ user: event.data.customer }]\n\
            steps: [{ send: webhook, template: order }]\n";
        let installation = Installation::empty()
            .file("nuncio.toml", &config)
            .file("workflows/order.yaml", workflow)
            .file("templates/order/webhook.hbs", "{ \"thanks\": true }\n");
        Self { hook, collector, installation }
    }

    /// What the collector has, once the node has told all.
    async fn spans(&self, node: Node) -> Vec<Span> {
        assert_eq!(node.stop().await, Some(0));
        let requests = self.collector.requests();
        assert!(requests.iter().all(|request| request.uri.path() == "/v1/traces"));
        assert!(requests.iter().all(|request| request.headers["x-team"] == "shop"));
        let decoded = requests.iter().map(|request| {
            ExportTraceServiceRequest::decode(request.body.clone()).expect("it is OTLP")
        });
        let resources = decoded.flat_map(|request| request.resource_spans);
        resources.flat_map(|one| one.scope_spans).flat_map(|one| one.spans).collect()
    }
}

async fn emit(node: &Node, traceparent: &str) {
    node.put_user("42", json!({"email": "nadia@example.com"})).await;
    let sent = reqwest::Client::new()
        .post(format!("{}/v1/events", node.url))
        .bearer_auth(&node.api_key)
        .header("traceparent", traceparent)
        .json(&json!({"name": "order.placed", "data": {"customer": 42}}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(sent.status(), 202);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn one_trace_leads_from_the_request_to_the_provider() {
    let house = House::with("propagate = true").await;
    let node = house.installation.run().await;
    emit(&node, &format!("00-{TRACE}-{PARENT}-01")).await;
    house.hook.reached(1).await;
    let told = house.hook.requests()[0].headers["traceparent"].to_str().expect("text").to_owned();
    let spans = house.spans(node).await;
    let ours: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    let by_name: BTreeMap<&str, &Span> =
        ours.iter().map(|span| (span.name.as_str(), *span)).collect();
    let expected =
        ["POST /v1/events", "deliver", "dispatch", "gate", "http", "provider", "render", "store"];
    assert_eq!(by_name.keys().copied().collect::<Vec<_>>(), expected);
    let parent = |name: &str| hex(&by_name[name].parent_span_id);
    let id = |name: &str| hex(&by_name[name].span_id);
    assert_eq!(parent("POST /v1/events"), PARENT);
    for (child, of) in [
        ("store", "POST /v1/events"),
        ("deliver", "POST /v1/events"),
        ("gate", "deliver"),
        ("render", "deliver"),
        ("dispatch", "deliver"),
        ("provider", "dispatch"),
        ("http", "provider"),
    ] {
        assert_eq!(parent(child), id(of), "{child}");
    }
    assert_eq!(told, format!("00-{TRACE}-{}-01", id("http")));
    let all = format!("{spans:?}");
    assert!(!all.contains("nadia"), "{all}");
}

#[tokio::test]
async fn a_sender_that_does_not_trace_is_not_traced() {
    let house = House::with("propagate = true").await;
    let node = house.installation.run().await;
    emit(&node, &format!("00-{TRACE}-{PARENT}-00")).await;
    house.hook.reached(1).await;
    assert!(!house.hook.requests()[0].headers.contains_key("traceparent"));
    let spans = house.spans(node).await;
    // The user was put by a request of its own.
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["PUT /v1/users/{id}"]);
}

#[tokio::test]
async fn providers_are_told_nothing_unless_the_operator_says_so() {
    let house = House::with("sample = 0.0").await;
    let node = house.installation.run().await;
    emit(&node, &format!("00-{TRACE}-{PARENT}-01")).await;
    house.hook.reached(1).await;
    assert!(!house.hook.requests()[0].headers.contains_key("traceparent"));
    let spans = house.spans(node).await;
    // Its sender decided for its trace; ours begin with a chance of nothing.
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
    assert!(spans.iter().any(|span| span.name == "http"), "{spans:?}");
}
