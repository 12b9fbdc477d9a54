use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::input::Input;

/// One input takes at most this, on a slow machine and without optimization.
const MOST: Duration = Duration::from_secs(5);
const SECONDS: u64 = 4;

/// Asks `property` of one input after another until the time is up; the seed of the first that
/// fails is told with it.
pub fn fuzz(what: &str, seeds: &Input, property: impl Fn(&str)) {
    let (seconds, first) = (setting("NUNCIO_FUZZ_SECONDS"), setting("NUNCIO_FUZZ_SEED"));
    let first = first.unwrap_or_else(fresh);
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(SECONDS));
    let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz {what}.txt"));
    let mut count = 0_u64;
    while count == 0 || Instant::now() < end {
        let seed = first.wrapping_add(count);
        let text = seeds.make(&mut StdRng::seed_from_u64(seed));
        // A stack that overflows leaves no word: its input is found here.
        std::fs::write(&last, &text).expect("a file for the input under way");
        let began = Instant::now();
        let held = catch_unwind(AssertUnwindSafe(|| property(&text)));
        let took = began.elapsed();
        assert!(held.is_ok(), "{what}, NUNCIO_FUZZ_SEED={seed}: it panicked on\n{text:?}");
        assert!(took < MOST, "{what}, NUNCIO_FUZZ_SEED={seed}: {took:?} for\n{text:?}");
        count += 1;
    }
    println!("{what}: {count} inputs from seed {first}");
}

#[expect(clippy::disallowed_methods, reason = "how a person asks for a longer run")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn fresh() -> u64 {
    let mut bytes = [0; 8];
    nuncio::clock::Clock::system().fill_random(&mut bytes);
    u64::from_le_bytes(bytes)
}
