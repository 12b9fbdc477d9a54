use std::path::Path;

use serde_json::json;

use super::*;
use crate::channel::{Address, Traits};
use crate::config::Config;
use crate::ingest::person;
use crate::model::{AttemptOutcome, ChannelName, Span, Verdict};
use crate::pipeline::Rules;
use crate::{check, config};

const WORKFLOW: &str = "workflow: order
on: order.paid
recipients:
  - user: event.data.buyer
steps:
  - send: in_app
    template: order
  - send: email
    template: order
";

fn world() -> World {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write("workflows/order.yaml", WORKFLOW);
    write("templates/order/in_app.hbs", "---\ntitle: Paid\n---\nThank you.\n");
    write("templates/order/email.hbs", "---\nsubject: Paid\n---\nThank you.\n");
    let email =
        Traits { interrupts: true, idempotent: false, address: Address::Email, ..Traits::INBOX };
    let channels = BTreeMap::from([(ChannelName::from("email"), email)]);
    let catalog = check::load(folder.path(), &channels).catalog.expect("the files are right");
    let Config { engine: config::Engine { retry, strict_events, .. }, .. } = Config::default();
    World::new(
        catalog,
        &channels,
        BTreeMap::new(),
        Rules { retry, strict_events, ..Rules::of(&Config::default()) },
        1,
    )
}

async fn begun(world: &World) -> Simulation {
    let start = "2026-03-01T09:00:00Z".parse().expect("an instant");
    let simulation = world.begin(start, "order".into());
    let ada = json!({"id": 42, "email": "ada@example.com"});
    let ada = person::parse(ada, &world.known(), start).expect("she fits");
    simulation.know(&[ada]).await.expect("the store is there");
    simulation
}

fn event() -> Incoming {
    let event = json!({"name": "order.paid", "data": {"buyer": 42}});
    Incoming::parse(event, usize::MAX).expect("it fits")
}

fn fault(outcome: AttemptOutcome, after: u64) -> Fault {
    Fault {
        channel: None,
        provider: None,
        outcome,
        code: "scripted".into(),
        message: "so it is".into(),
        after: Some(Span::seconds(after)),
        times: None,
        from: None,
        until: None,
        channel_span: 0..0,
        provider_span: 0..0,
    }
}

#[test]
fn what_is_read_is_read_in_the_inbox() {
    let (world, user) = (world(), UserId::from("42"));
    let unread = at_once(async {
        let mut simulation = begun(&world).await;
        assert!(simulation.accept(event()).await?.is_ok());
        let before = simulation.store.unread(&user).await?;
        let workflow = Some(WorkflowName::from("another"));
        simulation.read(&Reading { user: user.clone(), workflow }).await?;
        let of_another = simulation.store.unread(&user).await?;
        simulation.read(&Reading { user: user.clone(), workflow: None }).await?;
        Ok::<_, Halt>((before, of_another, simulation.store.unread(&user).await?))
    });
    assert_eq!(unread.expect("it ends"), (1, 1, 0));
}

#[test]
fn time_goes_to_the_next_moment_and_no_further() {
    let world = world();
    let moments = at_once(async {
        let mut simulation = begun(&world).await;
        let start = simulation.now();
        simulation.fail(fault(AttemptOutcome::Retry, 60));
        assert!(simulation.accept(event()).await?.is_ok());
        simulation.settle().await?;
        let due = simulation.next_due().await?.map(|due| due.duration_since(start).as_secs());
        simulation.come_to(start + Duration::from_secs(60)).await?;
        let sends = sends(&simulation).await?;
        simulation.live(Some(start + Duration::from_secs(90))).await?;
        Ok::<_, Halt>((due, sends, self::sends(&simulation).await?, simulation.now() - start))
    });
    let (due, before, after, stands) = moments.expect("it ends");
    assert_eq!((due, before, after), (Some(60), 2, 3));
    assert_eq!(stands.get_seconds(), 90);
}

async fn sends(simulation: &Simulation) -> Result<usize, Halt> {
    let rows = simulation.rows().await?;
    Ok(rows.iter().filter(|row| row.decision == Verdict::Send).count())
}

#[test]
fn work_without_an_end_ends() {
    let world = world();
    let halted = at_once(async {
        let mut simulation = begun(&world).await;
        simulation.instants = MOST_INSTANTS;
        simulation.fail(fault(AttemptOutcome::Retry, 60));
        assert!(simulation.accept(event()).await?.is_ok());
        simulation.live(None).await
    });
    assert_eq!(halted.expect_err("it is stopped").code(), "simulate.endless");
}

#[test]
fn what_waits_for_the_world_outside_is_told_so() {
    let waited = at_once::<(), Halt>(std::future::pending());
    assert_eq!(waited.expect_err("it never ends").code(), "simulate.waiting");
}

#[test]
fn providers_keep_what_they_are_given() {
    let world = world();
    let sent = at_once(async {
        let mut simulation = begun(&world).await;
        assert!(simulation.accept(event()).await?.is_ok());
        simulation.live(None).await?;
        let rows = simulation.rows().await?;
        Ok::<_, Halt>(simulation.sent(&rows).await?)
    });
    let sent: Vec<_> = sent.expect("it ends").into_values().collect();
    let told = |at: usize| (sent[at].to.as_str(), sent[at].title.as_deref());
    assert_eq!((told(0), told(1)), (("42", Some("Paid")), ("ada@example.com", Some("Paid"))));
}

#[test]
fn the_clock_stands_at_whole_milliseconds_not_before_the_instant() {
    let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
    assert_eq!(whole(at("2026-03-01T09:00:00.001Z")), at("2026-03-01T09:00:00.001Z"));
    assert_eq!(whole(at("2026-03-01T09:00:00.0010001Z")), at("2026-03-01T09:00:00.002Z"));
}
