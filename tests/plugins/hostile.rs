mod answers;
mod files;
mod guest;
mod names;
mod sums;
mod words;

use std::sync::Arc;
use std::time::Duration;

use nuncio::channel::wasm::{Limits, Setup};
use nuncio::channel::{Channel, Outcome};
use nuncio::egress::Policy;
use serde_json::json;
use tokio::sync::Notify;

use super::hosting::{DEADLINE, code, host, host_with, hostile, parcel, provider, secret, setup};
use crate::harness::sink::{Answer, Sink};

/// One provider of the hostile plugin, and the sink it may reach.
struct Scene {
    sink: Sink,
    channel: Arc<dyn Channel>,
}

impl Scene {
    async fn new() -> Self {
        let sink = Sink::start().await;
        let settings = secret(setup(json!({"url": sink.url("/")})), "token", "hunter2-hunter2");
        let channel = provider(&host(), &hostile(), settings).await;
        Self { sink, channel }
    }

    async fn act(&self, act: &str) -> Outcome {
        self.channel.send(&parcel("hostile", "", act), DEADLINE).await
    }

    async fn act_at(&self, act: &str, to: &str) -> Outcome {
        self.channel.send(&parcel("hostile", to, act), DEADLINE).await
    }

    /// Whatever was done before, the next send works.
    async fn is_unharmed(&self) {
        let outcome = self.act("good").await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_fault_is_named_and_the_next_send_works() {
    let scene = Scene::new().await;
    for (act, expected) in [
        ("loop", "plugin.cpu"),
        ("allocate", "plugin.memory"),
        ("recurse", "plugin.stack"),
        ("recurse with frames", "plugin.trap"),
        ("panic", "plugin.trap"),
        ("index", "plugin.trap"),
        ("log", "plugin.log"),
        ("log nothing", "plugin.log"),
        ("answer", "plugin.size"),
    ] {
        let outcome = scene.act(act).await;
        assert!(matches!(outcome, Outcome::PluginFault { .. }), "{act}: {outcome:?}");
        assert_eq!(code(&outcome), expected, "{act}");
        scene.is_unharmed().await;
    }
}

/// With fewer places than faults: one that was not given back would be missed.
#[tokio::test]
async fn a_thousand_faults_leave_nothing_behind() {
    let sink = Sink::start().await;
    let host = host_with(Policy::default(), Limits { slots: 2, ..Limits::default() });
    let setup = Setup { concurrency: 2, ..setup(json!({"url": sink.url("/")})) };
    let scene = Scene { channel: provider(&host, &hostile(), setup).await, sink };
    let faults = [
        ("panic", "plugin.trap"),
        ("index", "plugin.trap"),
        ("recurse", "plugin.stack"),
        ("recurse with frames", "plugin.trap"),
        ("answer", "plugin.size"),
    ];
    for (act, expected) in faults.into_iter().cycle().take(1000) {
        assert_eq!(code(&scene.act(act).await), expected, "{act}");
        scene.is_unharmed().await;
    }
    assert_eq!(scene.sink.count(), 1000);
}

#[tokio::test]
async fn other_tasks_go_on_beside_a_loop() {
    let scene = Scene::new().await;
    let looping = scene.act("loop");
    let beside = async {
        for _ in 0..20 {
            scene.is_unharmed().await;
        }
    };
    // On one thread: the loop gives way at each tick, else nothing beside it would run.
    let (outcome, ()) = tokio::join!(looping, beside);
    assert_eq!(code(&outcome), "plugin.cpu");
}

#[tokio::test]
async fn a_fault_after_a_request_leaves_the_outcome_open() {
    let scene = Scene::new().await;

    let outcome = scene.act("post then loop").await;

    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(code(&outcome), "plugin.cpu");
    assert_eq!(scene.sink.count(), 1);
}

#[tokio::test]
async fn a_wait_costs_no_processor_time() {
    let scene = Scene::new().await;
    let answer = Arc::new(Notify::new());
    scene.sink.answer(Answer::status(200).after(&answer));
    let sending = scene.act("good");
    let beside = async {
        scene.sink.reached(1).await;
        // 600 ms on the processor, more than a plugin has, pass while it waits.
        assert_eq!(code(&scene.act("loop").await), "plugin.cpu");
        answer.notify_one();
    };
    let (outcome, ()) = tokio::join!(sending, beside);
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_send_may_make_so_many_requests() {
    let scene = Scene::new().await;
    let outcome = scene.act("requests").await;
    let Outcome::Accepted { receipt, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(receipt.as_deref(), Some("16"));
    assert_eq!(scene.sink.count(), 16);
}

#[tokio::test]
async fn only_what_both_hands_granted_is_reached() {
    let scene = Scene::new().await;
    let other = Sink::start().await;
    let port = other.address.port();
    for (to, expected) in [
        ("http://elsewhere.example/".to_owned(), "egress.host"),
        (other.url("/"), "egress.private"),
        (format!("http://localhost:{port}/"), "egress.private"),
        (format!("http://[::1]:{port}/"), "egress.host"),
        ("file:///etc/passwd".to_owned(), "egress.scheme"),
        ("nonsense".to_owned(), "egress.url"),
    ] {
        let outcome = scene.act_at("good", &to).await;
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{to}: {outcome:?}");
        assert_eq!(code(&outcome), expected, "{to}");
    }
    assert_eq!(other.count(), 0);
    scene.is_unharmed().await;
}

#[tokio::test]
async fn a_redirect_is_checked_like_any_request() {
    let scene = Scene::new().await;
    let other = Sink::start().await;

    scene.sink.answer(Answer::status(302).header("location", other.url("/")));
    assert_eq!(code(&scene.act("good").await), "http.302", "the engine does not follow");

    scene.sink.answer(Answer::status(302).header("location", other.url("/")));
    assert_eq!(code(&scene.act("follow").await), "egress.private");
    scene.sink.answer(Answer::status(302).header("location", "http://elsewhere.example/"));
    assert_eq!(code(&scene.act("follow").await), "egress.host");
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn requests_and_answers_have_bounds() {
    let scene = Scene::new().await;
    assert_eq!(code(&scene.act("large").await), "http.too_large");
    assert_eq!(code(&scene.act("header").await), "egress.header");
    assert_eq!(code(&scene.act("host header").await), "egress.header");
    assert_eq!(scene.sink.count(), 0);

    scene.sink.answer(Answer::status(200).body(vec![b'x'; 3 << 20]));
    let outcome = scene.act("good").await;
    let Outcome::Accepted { receipt, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(receipt.as_deref(), Some("1048576 true"));
}

#[tokio::test]
async fn a_silent_server_ends_with_the_deadline() {
    let scene = Scene::new().await;
    scene.sink.answer(Answer::status(200).after(&Arc::new(Notify::new())));
    let parcel = parcel("hostile", "", "good");
    let outcome = scene.channel.send(&parcel, Duration::from_secs(1)).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    scene.is_unharmed().await;
}

#[tokio::test]
async fn state_is_kept_apart_and_bounded() {
    let scene = Scene::new().await;
    let run = async |tenant: &str| {
        let mut parcel = parcel("hostile", "", "state");
        parcel.tenant = tenant.into();
        match scene.channel.send(&parcel, DEADLINE).await {
            Outcome::Accepted { receipt: Some(receipt), .. } => receipt,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(run("a").await, "1 Some(64) Ok(())");
    assert_eq!(run("a").await, "2 Some(0) Ok(())");
    assert_eq!(run("b").await, "1 Some(64) Ok(())");

    let outcome = scene.act("large state").await;
    let Outcome::Accepted { receipt, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(receipt.as_deref(), Some("[true, false, true, false]"));
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_there() {
    let scene = Scene::new().await;
    assert_eq!(code(&scene.act("mail").await), "smtp.refused");
    let outcome = scene.act("random").await;
    assert!(matches!(&outcome, Outcome::Accepted { receipt: Some(bytes), .. } if bytes == "256"));
}
