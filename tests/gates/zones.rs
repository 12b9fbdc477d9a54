//! Quiet hours against another library's knowledge of the world's clocks: every zone, and every
//! turn of the clock from 2000 to 2040.

use chrono::{Offset, TimeZone as _};
use chrono_tz::Tz;
use jiff::civil::{Time, time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use nuncio::gate::Window;

use super::scene::at;

/// How far around a turn of the clock instants are asked about.
const AROUND: i64 = 3 * 3600;
/// What a quiet window may take at most: a day, and what a turn of the clock puts on top.
const LONGEST: i64 = 50 * 3600;

/// The other library's clock of one zone.
struct Oracle {
    zone: Tz,
    window: (Time, Time),
}

impl Oracle {
    fn offset(zone: Tz, second: i64) -> i64 {
        let moment = chrono::DateTime::from_timestamp(second, 0).expect("a moment");
        i64::from(zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc())
    }

    /// Seconds of the local day, by the other library.
    fn is_quiet(&self, second: i64) -> bool {
        let local = (second + Self::offset(self.zone, second)).rem_euclid(24 * 3600);
        let (start, end) = (seconds(self.window.0), seconds(self.window.1));
        if start < end { (start..end).contains(&local) } else { local >= start || local < end }
    }
}

impl Oracle {
    /// When a clock that is never turned, and goes as the zone's does at `like`, shows the night's
    /// end for the first time from `start` on.
    fn next_end(&self, start: i64, like: i64) -> i64 {
        let local = start + Self::offset(self.zone, like);
        start + (seconds(self.window.1) - local).rem_euclid(86_400)
    }
}

fn seconds(time: Time) -> i64 {
    time.duration_since(Time::midnight()).as_secs()
}

/// The local time that is `second` after midnight, or before it.
fn local(second: i64) -> Time {
    let second = second.rem_euclid(24 * 3600);
    let part = |value: i64| i8::try_from(value).expect("a part of a time");
    time(part(second / 3600), part(second / 60 % 60), part(second % 60), 0)
}

/// Windows that begin, end, or lie inside what a turn of the clock leaves out or repeats: `before`
/// and `after` are the local times on both sides of it.
fn windows(before: i64, after: i64) -> Vec<(Time, Time)> {
    let (low, high) = (before.min(after), before.max(after));
    let middle = i64::midpoint(low, high);
    let edges = [
        (low - 3600, middle),
        (middle, high + 3600),
        (low, high),
        (low - 1, low),
        (middle - 60, middle + 60),
        (high, low),
        (middle, middle - 60),
        (high + 60, middle),
    ];
    let edges = edges.map(|(start, end)| (local(start), local(end)));
    edges.into_iter().filter(|(start, end)| start != end).collect()
}

#[derive(Default)]
struct Count {
    zones: u64,
    turns: u64,
    asked: u64,
    skipped: u64,
}

/// Asks about one window around one turn of the clock.
fn around(zone: &TimeZone, oracle: &Oracle, turn: i64, offsets: &[i64], count: &mut Count) {
    let window = Window::new(oracle.window.0, oracle.window.1).expect("the two are different");
    // From the turn itself, from both sides of it, and from a day before.
    for start in offsets.iter().map(|offset| turn + offset) {
        let now = Timestamp::from_second(start).expect("a moment");
        let release = window.release(zone, now).as_second();
        count.asked += 1;
        assert!(release >= start && release - start <= LONGEST, "{now}: {release}");
        assert!(!oracle.is_quiet(release), "{now} is let go into the night; {}", oracle.zone);
        assert_eq!(window.is_quiet(zone, now), oracle.is_quiet(start), "{now}, {}", oracle.zone);
        // None earlier. The night can end where the clock shows its end, by the offset before the
        // turn or by the one after it, or at the turn itself, and nowhere else.
        let ends = [start, turn - 1, turn, release].map(|at| oracle.next_end(start, at));
        let ends = ends.into_iter().flat_map(|end| [end, end + 86_400, end + 2 * 86_400]);
        for edge in ends.chain([turn, turn + 1, start, release - 1]) {
            let held = start <= edge && edge < release;
            assert!(!held || oracle.is_quiet(edge), "{now} could leave at {edge}, {}", oracle.zone);
        }
    }
}

#[test]
fn no_release_is_quiet_too_late_or_lost_in_any_zone_at_any_turn_of_the_clock() {
    let (from, to) = (at("2000-01-01T00:00:00Z"), at("2040-01-01T00:00:00Z"));
    let mut count = Count::default();
    for name in TimeZoneDatabase::bundled().available() {
        let zone = TimeZone::get(name.as_str()).expect("it was listed");
        let Ok(other) = name.as_str().parse::<Tz>() else {
            count.skipped += 1;
            continue;
        };
        count.zones += 1;
        for turn in zone.following(from) {
            if turn.timestamp() >= to {
                break;
            }
            one_turn(&zone, other, turn.timestamp().as_second(), &mut count);
        }
    }
    println!(
        "{} zones, {} turns, {} releases, {} skipped",
        count.zones, count.turns, count.asked, count.skipped
    );
    assert!(count.zones > 400 && count.turns > 10_000, "{} turns", count.turns);
    let all = count.zones + count.turns + count.skipped;
    assert!(count.skipped * 100 < all, "{} of {all} were skipped", count.skipped);
}

/// Where the two libraries' editions of the database tell of different offsets nearby, nothing can
/// be compared.
fn one_turn(zone: &TimeZone, other: Tz, turn: i64, count: &mut Count) {
    let own = |second: i64| {
        let moment = Timestamp::from_second(second).expect("a moment");
        i64::from(zone.to_offset(moment).seconds())
    };
    let nearby = [-LONGEST, -86_400, -AROUND, -1, 0, AROUND, 86_400, LONGEST];
    if nearby.iter().any(|by| own(turn + by) != Oracle::offset(other, turn + by)) {
        count.skipped += 1;
        return;
    }
    count.turns += 1;
    let (before, after) = (turn + own(turn - 1), turn + own(turn));
    for window in windows(before, after) {
        let oracle = Oracle { zone: other, window };
        around(zone, &oracle, turn, &[-86_400, -AROUND, -1, 0, 3599], count);
    }
}

#[test]
fn where_the_clock_is_set_back_a_window_may_end_twice() {
    let zone = TimeZone::get("Europe/Paris").expect("it is known");
    let window = Window::new(time(2, 0, 0, 0), time(2, 30, 0, 0)).expect("a window");
    let release = |text: &str| window.release(&zone, at(text));
    // 2026-10-25: 03:00 summer time is 02:00 winter time again, at 01:00 in UTC.
    assert_eq!(release("2026-10-25T00:10:00Z"), at("2026-10-25T00:30:00Z"));
    assert_eq!(release("2026-10-25T00:30:00Z"), at("2026-10-25T00:30:00Z"));
    assert_eq!(release("2026-10-25T01:00:00Z"), at("2026-10-25T01:30:00Z"));
    let longer = Window::new(time(22, 0, 0, 0), time(2, 30, 0, 0)).expect("a window");
    assert_eq!(longer.release(&zone, at("2026-10-24T21:00:00Z")), at("2026-10-25T00:30:00Z"));
    // It would end at 03:00, and the clock shows 02:00 again at that instant.
    let whole = Window::new(time(22, 0, 0, 0), time(3, 0, 0, 0)).expect("a window");
    assert_eq!(whole.release(&zone, at("2026-10-24T21:00:00Z")), at("2026-10-25T02:00:00Z"));
}

#[test]
fn where_the_clock_is_set_on_a_window_ends_with_the_hours_that_are_left_out() {
    let zone = TimeZone::get("Europe/Paris").expect("it is known");
    // 2026-03-29: 02:00 winter time is 03:00 summer time, at 01:00 in UTC.
    let window = Window::new(time(22, 0, 0, 0), time(2, 30, 0, 0)).expect("a window");
    assert_eq!(window.release(&zone, at("2026-03-28T22:00:00Z")), at("2026-03-29T01:00:00Z"));
    let inside = Window::new(time(2, 10, 0, 0), time(2, 50, 0, 0)).expect("a window");
    let before = at("2026-03-29T00:59:59Z");
    assert_eq!(inside.release(&zone, before), before, "it never comes that night");
    let day = SignedDuration::from_hours(24);
    assert!(inside.is_quiet(&zone, at("2026-03-29T01:15:00Z") - day));
}
