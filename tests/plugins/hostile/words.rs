//! What a plugin says: to the log, in its outcome, and of the secrets it knows.

use std::io;
use std::sync::{Arc, Mutex};

use nuncio::channel::Outcome;
use serde_json::json;

use super::Scene;
use crate::harness::sink::Sink;
use crate::plugins::hosting::{DEADLINE, code, host, hostile, parcel, provider, secret, setup};

#[tokio::test]
async fn words_of_a_plugin_are_cut_and_cleaned() {
    let scene = Scene::new().await;
    let outcome = scene.act("long error").await;
    let failure = outcome.failure().expect("a failure");
    assert_eq!(failure.code, "long  code");
    assert_eq!(failure.message, "é".repeat(256));
}

#[tokio::test]
async fn a_secret_is_revealed_by_both_hands_alone() {
    let scene = Scene::new().await;
    let outcome = scene.act("steal").await;
    assert_eq!(code(&outcome), "reveal");
    assert_eq!(outcome.failure().unwrap().message, "denied");
}

#[tokio::test]
async fn a_secret_leaves_by_no_word() {
    let sink = Sink::start().await;
    let mut settings = secret(setup(json!({"url": sink.url("/")})), "token", "hunter2-hunter2");
    settings.reveal.insert("token".into());
    let channel = provider(&host(), &hostile(), settings).await;
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone())
        .finish();

    let guard = tracing::subscriber::set_default(subscriber);
    let outcome = channel.send(&parcel("hostile", "", "steal"), DEADLINE).await;
    drop(guard);

    let failure = outcome.failure().expect("a failure");
    assert_eq!(failure.code, "code-***");
    assert!(failure.message.starts_with("***: ") && failure.message.contains("egress.secret"));
    let log = log.text();
    assert!(log.contains("the token is ***") && log.contains("token=***"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn a_secret_is_put_where_it_belongs_alone() {
    let sink = Sink::start().await;
    let settings = secret(setup(json!({"url": sink.url("/")})), "key", "hunter2-hunter2");
    let channel = provider(&host(), &hostile(), settings).await;
    let scene = Scene { sink, channel };

    for header in ["host", "Content-Length", "transfer-encoding", "connection"] {
        let outcome = scene.act(&format!("secret as {header}")).await;
        assert_eq!(code(&outcome), "egress.header", "{header}");
    }
    assert_eq!(scene.sink.count(), 0);

    assert_eq!(code(&scene.act("secret as x-key").await), "accepted");
    assert_eq!(code(&scene.act("secret in the body").await), "accepted");
    let requests = scene.sink.requests();
    assert_eq!(requests[0].headers["x-key"], "0 hunter2-hunter2");
    assert!(requests.iter().all(|request| request.body == "{key}"));
}

#[tokio::test]
async fn a_log_past_its_budget_is_dropped() {
    let scene = Scene::new().await;
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || written.clone()).finish();

    let guard = tracing::subscriber::set_default(subscriber);
    for act in ["log a little", "log fields of nothing"] {
        let outcome = scene.act(act).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{act}: {outcome:?}");
    }
    drop(guard);

    let log = log.text();
    assert!(log.contains("line 199") && !log.contains("line 200"));
    assert!(!log.contains("many"), "a field costs its marks, too");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
