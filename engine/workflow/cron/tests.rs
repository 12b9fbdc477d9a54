use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use proptest::prelude::*;

use super::Cron;

fn next(cron: &str, after: &str, zone: &str) -> Option<String> {
    let cron: Cron = cron.parse().unwrap();
    let after: Timestamp = after.parse().unwrap();
    let next = cron.next_after(after, &TimeZone::get(zone).unwrap())?;
    Some(next.to_string())
}

#[test]
fn the_next_moment_is_the_first_after() {
    let utc = |cron, after| next(cron, after, "UTC").unwrap();
    assert_eq!(utc("0 9 * * *", "2030-05-01T08:59:59.999Z"), "2030-05-01T09:00:00Z");
    assert_eq!(utc("0 9 * * *", "2030-05-01T09:00:00Z"), "2030-05-02T09:00:00Z");
    assert_eq!(utc("*/15 8-10 * * *", "2030-05-01T08:46:00Z"), "2030-05-01T09:00:00Z");
    assert_eq!(utc("30 23 31 dec ?", "2030-05-01T00:00:00Z"), "2030-12-31T23:30:00Z");
    assert_eq!(utc("0 0 29 2 *", "2030-05-01T00:00:00Z"), "2032-02-29T00:00:00Z");
    assert_eq!(utc("0 8 * * MON-FRI", "2030-05-03T08:00:00Z"), "2030-05-06T08:00:00Z");
    assert_eq!(utc("0 8 * * fri-sun", "2030-05-04T08:00:00Z"), "2030-05-05T08:00:00Z");
    assert_eq!(utc("0 8 * * 7", "2030-05-04T08:00:00Z"), "2030-05-05T08:00:00Z");
    assert_eq!(utc("5/20 * * * *", "2030-05-04T08:05:00Z"), "2030-05-04T08:25:00Z");
    assert_eq!(utc(" @weekly ", "2030-05-04T08:05:00Z"), "2030-05-05T00:00:00Z");
    assert_eq!(utc("@hourly", "2030-05-04T08:05:00Z"), "2030-05-04T09:00:00Z");
}

#[test]
fn of_two_days_either_will_do_unless_one_begins_with_a_star() {
    // The 13th, or a Friday: 3 May 2030 is a Friday.
    let utc = |cron, after| next(cron, after, "UTC").unwrap();
    assert_eq!(utc("0 0 13 * fri", "2030-05-01T00:00:00Z"), "2030-05-03T00:00:00Z");
    assert_eq!(utc("0 0 13 * fri", "2030-05-10T00:00:00Z"), "2030-05-13T00:00:00Z");
    // Every second day of the month that is a Friday.
    assert_eq!(utc("0 0 */2 * fri", "2030-05-04T00:00:00Z"), "2030-05-17T00:00:00Z");
}

#[test]
fn a_jumped_over_time_fires_after_the_jump_and_a_repeated_one_once() {
    // Paris jumps from 02:00 to 03:00 on 31 March 2030, and back from 03:00 on 27 October.
    let paris = |cron, after| next(cron, after, "Europe/Paris").unwrap();
    assert_eq!(paris("30 2 * * *", "2030-03-30T12:00:00Z"), "2030-03-31T01:00:00Z");
    assert_eq!(paris("30 2 * * *", "2030-03-31T01:00:00Z"), "2030-04-01T00:30:00Z");
    assert_eq!(paris("*/15 * * * *", "2030-03-31T00:45:00Z"), "2030-03-31T01:00:00Z");
    assert_eq!(paris("*/15 * * * *", "2030-03-31T01:00:00Z"), "2030-03-31T01:15:00Z");
    assert_eq!(paris("30 2 * * *", "2030-10-26T12:00:00Z"), "2030-10-27T00:30:00Z");
    assert_eq!(paris("30 2 * * *", "2030-10-27T00:30:00Z"), "2030-10-28T01:30:00Z");
    // Samoa had no 30 December 2011 at all.
    let apia = next("0 9 30 12 *", "2011-12-29T12:00:00Z", "Pacific/Apia").unwrap();
    assert_eq!(apia, "2011-12-30T10:00:00Z");
}

#[test]
fn a_day_that_is_in_no_calendar_never_comes() {
    assert_eq!(next("0 0 30 2 *", "2030-05-01T00:00:00Z", "UTC"), None);
    assert!(!"0 0 31 4,6 *".parse::<Cron>().unwrap().fires());
    assert!("0 0 29 2 *".parse::<Cron>().unwrap().fires());
    assert!("0 0 30 2 mon".parse::<Cron>().unwrap().fires(), "Mondays of February");
}

#[test]
fn what_is_wrong_is_told_where_it_is() {
    let wrong = |text: &str| {
        let error = text.parse::<Cron>().unwrap_err();
        (text[error.span.clone()].to_owned(), error.message)
    };
    let said = |at: &str, message: &str| (at.to_owned(), message.to_owned());
    assert_eq!(wrong("0 9 * *"), said("0 9 * *", "a cron has five fields, not 4"));
    assert_eq!(
        wrong("0  24 * * *"),
        said("24", "`24` is no hour: values go from 0 to 23"),
        "two spaces are one"
    );
    assert_eq!(
        wrong("0 9 * * 1,mno"),
        said("mno", "`mno` is no day of the week: values go from 0 to 7")
    );
    assert_eq!(wrong("*/0 * * * *"), said("0", "`0` is no step: values go from 0 to 59"));
    assert_eq!(wrong("0 22-5 * * *"), said("22-5", "`22-5` runs backwards"));
    assert_eq!(wrong("@reboot"), said("@reboot", "`@reboot` is no cron"));
    for text in
        ["", "+1 * * * *", "1- * * * *", "-1 * * * *", "* * L * *", "é * * * *", "1,,2 * * * *"]
    {
        text.parse::<Cron>().unwrap_err();
    }
}

/// Every moment of a stretch, found by asking each minute whether the clocks show it now, have
/// not shown it before, and what they have just jumped over.
fn by_looking_at_the_clock(
    cron: &Cron,
    zone: &TimeZone,
    from: Timestamp,
    to: Timestamp,
) -> Vec<Timestamp> {
    let minute = SignedDuration::from_mins(1);
    let named = |local| cron.next_local(local, local.date()) == Some(local);
    let mut found = Vec::new();
    let mut shown = BTreeSet::new();
    let mut expected = zone.to_datetime(from);
    let mut at = from;
    while at <= to {
        let local = zone.to_datetime(at);
        let mut fires = shown.insert(local) && named(local);
        while expected < local {
            fires |= shown.insert(expected) && named(expected);
            expected = expected.checked_add(1.minute()).unwrap();
        }
        expected = local.checked_add(1.minute()).unwrap();
        if fires {
            found.push(at);
        }
        at = at.checked_add(minute).unwrap();
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_clock_that_is_looked_at_each_minute_agrees(
        cron in prop::sample::select(vec![
            "* * * * *", "*/7 * * * *", "30 2 * * *", "0 0 * * *", "15,45 1-3 * * *", "59 23 * * *",
            "0 */3 * * sun", "1 0,1,2,3 * * *",
        ]),
        (zone, around) in prop::sample::select(vec![
            ("Europe/Paris", "2030-03-31T01:00:00Z"),
            ("Europe/Paris", "2030-10-27T01:00:00Z"),
            ("America/New_York", "2024-03-10T07:00:00Z"),
            ("America/New_York", "2024-11-03T06:00:00Z"),
            ("Australia/Lord_Howe", "2025-04-05T15:00:00Z"),
            ("Australia/Lord_Howe", "2025-10-04T15:30:00Z"),
            ("America/Santiago", "2024-09-08T04:00:00Z"),
            ("Africa/Casablanca", "2024-03-10T02:00:00Z"),
            ("Pacific/Apia", "2011-12-30T10:00:00Z"),
            ("Asia/Kolkata", "2024-01-01T00:00:00Z"),
        ]),
        hours in 3_i64..40,
    ) {
        let cron: Cron = cron.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let around: Timestamp = around.parse().unwrap();
        let from = around.checked_sub(SignedDuration::from_hours(hours)).unwrap();
        let to = around.checked_add(SignedDuration::from_hours(40)).unwrap();
        let wanted = by_looking_at_the_clock(&cron, &zone, from, to);
        let mut found = Vec::new();
        let mut at = from.checked_sub(SignedDuration::from_nanos(1)).unwrap();
        while let Some(next) = cron.next_after(at, &zone).filter(|next| *next <= to) {
            found.push(next);
            at = next;
        }
        prop_assert_eq!(found, wanted);
    }
}
