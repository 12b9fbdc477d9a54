//! What a guest may hold is a sum, and so is its time: many small things are a big one.

use std::time::Duration;

use nuncio::channel::Outcome;
use nuncio::channel::wasm::Limits;

use super::guest::{Guest, small_host};
use crate::plugins::hosting::{DEADLINE, code, parcel};

async fn sent(guest: &Guest, limits: Limits) -> Outcome {
    let channel = guest.channel(&small_host(limits)).await;
    channel.send(&parcel("guest", "", ""), DEADLINE).await
}

/// The length of the receipt's id, by which a guest says how much it got.
async fn got(guest: &str) -> usize {
    match sent(&Guest::new(guest), Limits::default()).await {
        Outcome::Accepted { receipt: Some(receipt), .. } => receipt.len(),
        other => panic!("{guest}: {other:?}"),
    }
}

#[tokio::test]
async fn eight_memories_have_together_what_one_may_have() {
    // 192 MiB were asked for, no more than 24 of them by one memory; eight hold a page to begin with.
    assert_eq!(got("memories").await, 31);
}

#[tokio::test]
async fn four_tables_have_together_what_one_may_have() {
    // 360,000 elements were asked for, no more than 90,000 of them by one table.
    assert_eq!(got("tables").await, 100);
}

#[tokio::test]
async fn an_answer_of_32_mib_is_not_taken_over() {
    // An operator may grant the memory to make it in.
    let limits = Limits { memory_bytes: 64 << 20, ..Limits::default() };
    let outcome = sent(&Guest::new("answer"), limits).await;
    assert!(matches!(outcome, Outcome::PluginFault { .. }), "{outcome:?}");
    assert_eq!(code(&outcome), "plugin.size");
}

#[tokio::test]
async fn handles_that_are_never_given_back_end_the_call() {
    let ten_thousand = Limits { handles: 10_000, ..Limits::default() };
    for guest in ["timers", "handles"] {
        let outcome = sent(&Guest::new(guest), Limits::default()).await;
        assert!(matches!(outcome, Outcome::PluginFault { .. }), "{guest}: {outcome:?}");
        assert_eq!(code(&outcome), "plugin.trap", "{guest}");

        // Nothing else is wrong with it.
        let outcome = sent(&Guest::new(guest), ten_thousand.clone()).await;
        assert_eq!(code(&outcome), "accepted", "{guest}");
    }
}

#[tokio::test]
async fn a_guest_that_sleeps_is_not_waited_for() {
    let channel = Guest::new("asleep").channel(&small_host(Limits::default())).await;
    let parcel = parcel("guest", "", "");
    let sending = channel.send(&parcel, Duration::from_millis(100));
    let outcome = tokio::time::timeout(DEADLINE, sending).await.expect("the send ends");
    assert!(matches!(outcome, Outcome::PluginFault { .. }), "{outcome:?}");
    assert_eq!(code(&outcome), "plugin.wall");
}
