//! Several nodes over one PostgreSQL: what is broken there.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nuncio::clock::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::ground::{LEASE_SECONDS, Place};
use super::journal::Journal;
use super::report::Line;
use super::stand::{Rig, seed};
use crate::harness::postgres::Postgres;
use crate::harness::redis::Redis;

const NODES: usize = 3;

fn postgres(url: String, redis: Option<String>) -> impl FnOnce(&Path) -> Place {
    move |_| Place { journal: Journal::Postgres(url.clone()), url, redis }
}

/// SIGKILL of one of three, again and again; the others take over what it had.
pub async fn kills(rounds: usize, events: usize) -> Line {
    let url = Postgres::shared().await.database().await;
    let mut rig = Rig::raise("kill -9 of one of three", NODES, postgres(url, None)).await;
    let mut random = StdRng::seed_from_u64(seed());
    for round in 1..=rounds {
        let node = random.random_range(0..NODES);
        rig.pour(events);
        rig.arrivals(random.random_range(1..events)).await;
        rig.kill(node).await;
        rig.recovered().await;
        if round % 5 == 0 {
            // Without it: what it had is taken over by the others.
            rig.drained().await;
        }
        rig.start(node).await;
    }
    rig.end().await
}

/// SIGSTOP of one of three for longer than its leases, then SIGCONT: it goes on with what is
/// another's by then, and writes nothing of it.
pub async fn sleeps(rounds: usize, events: usize) -> Line {
    let url = Postgres::shared().await.database().await;
    let mut rig = Rig::raise("SIGSTOP of one of three", NODES, postgres(url, None)).await;
    for round in 0..rounds {
        rig.pour(events);
        rig.arrivals(events / 4).await;
        rig.signal(round % NODES, Signal::SIGSTOP);
        rig.line.faults += 1;
        Clock::system().sleep(Duration::from_secs(2 * LEASE_SECONDS)).await;
        rig.signal(round % NODES, Signal::SIGCONT);
        rig.recovered().await;
    }
    rig.end().await
}

/// The database ends as in a crash, and is there again at once.
pub async fn database_crashes(rounds: usize, events: usize) -> Line {
    let server = Postgres::start().await;
    let url = server.database().await;
    let mut rig = Rig::raise("PostgreSQL crashes", NODES, postgres(url, None)).await;
    for _ in 0..rounds {
        rig.pour(events);
        rig.arrivals(events / 4).await;
        server.crash();
        rig.line.faults += 1;
        server.resume().await;
        rig.recovered().await;
    }
    rig.end().await
}

/// Redis forgets everything, stalls, and is gone: it costs time alone.
pub async fn redis_fails(rounds: usize, events: usize) -> Line {
    let url = Postgres::shared().await.database().await;
    let redis = Redis::start().await;
    let place = postgres(url, Some(redis.url()));
    let mut rig = Rig::raise("Redis flushed, stalled, gone", NODES, place).await;
    for _ in 0..rounds {
        rig.pour(events);
        rig.arrivals(events / 4).await;
        redis.flush().await;
        rig.recovered().await;
        redis.stall();
        rig.pour(events);
        rig.recovered().await;
        redis.go_on();
        redis.crash();
        rig.pour(events);
        rig.recovered().await;
        redis.resume().await;
        rig.line.faults += 3;
    }
    rig.end().await
}
