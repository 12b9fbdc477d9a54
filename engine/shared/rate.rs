use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use super::link::Link;
use super::{CALL, Rate};

static GCRA: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("rate.lua")));

pub(super) async fn take(link: &Link, key: &str, rate: Rate) -> Option<Result<(), Duration>> {
    let key = link.name(&format!("rate:{key}"));
    let (gap, room) = spacing(rate);
    let mut asked = GCRA.key(key);
    asked.arg(gap).arg(room);
    let wait: u64 = link
        .call(CALL, |mut connection| async move { asked.invoke_async(&mut connection).await })
        .await?;
    Some(if wait == 0 { Ok(()) } else { Err(Duration::from_micros(wait)) })
}

/// Between two, and how much of it may be taken ahead, in microseconds.
fn spacing(rate: Rate) -> (u64, u64) {
    const SECOND: u64 = 1_000_000;
    let per = u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX);
    let gap = (per / u64::from(rate.count.max(1))).max(1);
    let burst = (SECOND / gap).max(1);
    (gap, gap.saturating_mul(burst - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_share_may_be_taken_at_once() {
        let rate = |count, seconds| Rate { count, per: Duration::from_secs(seconds) };
        assert_eq!(spacing(rate(50, 1)), (20_000, 49 * 20_000));
        assert_eq!(spacing(rate(600, 60)), (100_000, 9 * 100_000));
        assert_eq!(spacing(rate(10, 3600)), (360_000_000, 0));
        assert_eq!(spacing(rate(0, 1)), (1_000_000, 0));
    }
}
