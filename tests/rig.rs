//! The fault rig: real processes under load, in front of sinks that write down what they take and
//! make trouble; what can break is broken, and then every promise is asked for
//! (docs/reference/faults.md).
//!
//! Each scene runs with the tests in a short form. `NUNCIO_RIG=long` runs all of them at length, one
//! after the other, and prints a table; the names of some, with commas between, run those.

mod disk;
mod ground;
mod http;
mod journal;
mod mail;
mod many;
mod mischief;
mod poster;
mod promises;
mod reader;
mod receipts;
mod report;
mod scenes;
mod stand;
mod wall_clock;

use report::Report;

/// A scene in its short form, unless all of them run at length.
macro_rules! scenes {
    ($($name:ident: $scene:path, $short:expr, at length $long:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if asked("NUNCIO_RIG").is_none() {
                    let (rounds, events) = $short;
                    $scene(rounds, events).await.holds();
                }
            }
        )*

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn everything_at_length() {
            let Some(wanted) = asked("NUNCIO_RIG") else { return };
            let mut report = Report::default();
            $(
                if wanted == "long" || wanted.split(',').any(|name| name == stringify!($name)) {
                    let (rounds, events) = $long;
                    report.0.push($scene(rounds, events).await);
                }
            )*
            assert!(!report.0.is_empty(), "no scene is called `{wanted}`");
            println!("rig: the report is {}", report.publish().display());
            report.0.iter().for_each(report::Line::holds);
        }
    };
}

// Rounds, and events poured in each.
scenes! {
    kills_lose_nothing: scenes::kills, (3, 20), at length (60, 60);
    a_process_that_stood_still_does_no_harm: scenes::sleeps, (1, 40), at length (10, 100);
    a_full_disk_refuses_and_goes_on: scenes::disk_full, (1, 40), at length (10, 200);
    a_locked_file_refuses_and_goes_on: scenes::busy, (1, 20), at length (5, 100);
    half_a_write_is_no_write: scenes::torn_write, (2, 20), at length (30, 60);
    a_lost_end_leaves_a_sound_file: scenes::lost_end, (1, 20), at length (20, 60);
    a_clock_that_jumps_loses_nothing: scenes::clock_steps, (1, 20), at length (5, 60);
    the_others_take_over_from_a_killed_node: many::kills, (2, 20), at length (40, 60);
    a_node_that_stood_still_writes_nothing_of_anothers: many::sleeps, (1, 40), at length (9, 100);
    a_database_that_crashes_is_waited_for: many::database_crashes, (1, 20), at length (10, 60);
    redis_is_helpful_and_never_needed: many::redis_fails, (1, 20), at length (5, 60);
}

#[expect(clippy::disallowed_methods, reason = "what whoever runs the tests asks of them")]
fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
