//! `publish`: a relay message that is no inbox entry.

use nuncio::model::{FrameBody, Stream, Verdict};
use nuncio::store::Replay;
use serde_json::{Value, json};

use super::stage::{Stage, everywhere};

const FILES: [(&str, &str); 2] = [
    (
        "workflows/board.yaml",
        "workflow: board
on: notice.posted
category: system
recipients: [{ list: event.data.readers }]
steps:
  - id: shown
    publish:
      topic: '\"board:\" + event.data.board'
      type: notice
      template: board
      data: { text: event.data.text }
      once: true
  - publish:
      user: recipient.id
      type: poke
      data: { by: event.data.by, n: '1 + 1' }
  - delay: { for: 1h }
  - publish: { room: event.data.board, type: reminder }
",
    ),
    (
        "templates/board/relay.hbs",
        "{\"message\": \"{{data.text}}\", \"urgent\": {{#if event.data.urgent}}true{{else}}false{{/if}}}\n",
    ),
];

async fn frames(stage: &Stage, stream: Stream) -> Vec<(u64, String, Value)> {
    let replay = stage.store.stream_replay(&stream, 0, 100).await.expect("the store answers");
    let Replay::Frames(frames) = replay else { panic!("nothing is gone") };
    let told = |body: &FrameBody| match body {
        FrameBody::Published { name, data } => (name.clone(), data.clone()),
        other => panic!("it was published: {other:?}"),
    };
    frames
        .iter()
        .map(|frame| {
            let (name, data) = told(&frame.body);
            (frame.seq, name, data)
        })
        .collect()
}

#[tokio::test]
async fn what_a_step_publishes_is_in_its_stream_once() {
    everywhere(&FILES, |stage| async move {
        for user in ["1", "2"] {
            stage.user(user, true).await;
        }
        let data =
            json!({"board": "7", "text": "a \"lift\"\n", "by": "Ada", "readers": ["1", "2"]});
        let event = stage.emit("notice.posted", data).await;
        let shown = json!({"message": "a \"lift\"\n", "urgent": false});
        let topic = Stream::Topic("board:7".into());
        assert_eq!(frames(&stage, topic).await, [(1, "notice".to_owned(), shown)]);
        for user in ["1", "2"] {
            let poke = (1, "poke".to_owned(), json!({"by": "Ada", "n": 2}));
            assert_eq!(frames(&stage, Stream::User(user.into())).await, [poke]);
        }
        // Without `once` each run has its own.
        stage.pass("1h").await;
        let room = frames(&stage, Stream::Room("7".into())).await;
        let numbered: Vec<_> = room.iter().map(|(seq, name, _)| (*seq, name.as_str())).collect();
        assert_eq!(numbered, [(1, "reminder"), (2, "reminder")]);
        let codes = stage.codes(event, Verdict::Send).await;
        assert_eq!(codes, ["published"; 5]);
        let rows = stage.rows(event).await;
        let row = rows.iter().find(|row| row.code == "published").expect("a row");
        assert_eq!(row.channel.as_ref().map(|channel| channel.as_str()), Some("relay"));
    })
    .await;
}

#[tokio::test]
async fn a_template_that_gives_no_json_fails_its_step() {
    let files = [
        (
            "workflows/board.yaml",
            "workflow: board
on: notice.posted
category: system
steps:
  - id: shown
    publish: { topic: '\"all\"', template: board }
    on_error: continue
  - if: steps.shown.status == 'failed'
    publish: { topic: '\"all\"', data: { sorry: 'true' } }
",
        ),
        ("templates/board/relay.hbs", "{ {{event.data.text}} }\n"),
    ];
    everywhere(&files, |stage| async move {
        let event = stage.emit("notice.posted", json!({"text": "oh"})).await;
        let all = frames(&stage, Stream::Topic("all".into())).await;
        assert_eq!(all, [(1, "send_notification".to_owned(), json!({"sorry": true}))]);
        assert_eq!(stage.codes(event, Verdict::Fail).await, ["render.failed"]);
        // Good JSON is made of a quoted field.
        let event = stage.emit("notice.posted", json!({"text": "\\\"a\\\": 1"})).await;
        assert_eq!(stage.codes(event, Verdict::Fail).await, ["render.failed"]);
    })
    .await;
}

#[tokio::test]
async fn what_comes_too_late_is_not_published() {
    let files = [(
        "workflows/board.yaml",
        "workflow: board
on: notice.posted
category: system
expires: 10m
steps:
  - delay: { for: 1h }
  - publish: { topic: event.data.board }
",
    )];
    everywhere(&files, |stage| async move {
        let after = |seconds| stage.clock.after(std::time::Duration::from_secs(seconds));
        for (board, late, published) in [("a", 3600, 1), ("b", 3600 + 600, 1), ("c", 3600 + 601, 0)]
        {
            let event = stage.emit("notice.posted", json!({ "board": board })).await;
            stage.clock.set(after(late));
            stage.settle().await;
            assert_eq!(frames(&stage, Stream::Topic(board.into())).await.len(), published);
            let dropped = stage.codes(event, Verdict::Drop).await;
            assert_eq!(dropped.len(), 1 - published, "{dropped:?}");
        }
    })
    .await;
}

#[test]
fn a_template_without_the_part_is_refused() {
    let workflow = "workflow: w
on: a.b
steps:
  - publish: { topic: '\"x\"', template: w }
  - publish: { topic: '\"x\"', template: w, room: '\"y\"' }
";
    let files = [("workflows/w.yaml", workflow), ("templates/w/email.hbs", "<p>x</p>\n")];
    let told = crate::check::load(crate::check::folder(&files).path()).diagnostics;
    let codes: Vec<_> = told.iter().map(|one| one.code).collect();
    assert!(codes.contains(&"template.missing") && codes.contains(&"publish.target"), "{told:?}");
}
