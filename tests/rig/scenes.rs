//! What is broken, one thing a scene.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nuncio::clock::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use super::disk::Disk;
use super::ground::{LEASE_SECONDS, Place};
use super::journal::Journal;
use super::report::Line;
use super::stand::{Rig, seed};

/// The queue runs empty every so many lives: a message whose worker dies with it twenty times is
/// given up, and that is another test's matter.
const BREATH: usize = 5;
/// SQLite waits so long for whoever has the file, and a little longer.
const BUSY: Duration = Duration::from_millis(6_500);

pub fn sqlite(folder: &Path) -> Place {
    sqlite_at(folder.join("nuncio.db"))
}

fn sqlite_at(path: std::path::PathBuf) -> Place {
    Place { url: format!("sqlite:{}", path.display()), journal: Journal::Sqlite(path), redis: None }
}

/// SIGKILL again and again, in the middle of everything.
pub async fn kills(rounds: usize, events: usize) -> Line {
    let mut rig = Rig::raise("kill -9", 1, sqlite).await;
    let mut random = StdRng::seed_from_u64(seed());
    for round in 1..=rounds {
        rig.pour(events);
        rig.arrivals(random.random_range(1..events)).await;
        rig.kill(0).await;
        rig.start(0).await;
        rig.recovered().await;
        if round % BREATH == 0 {
            rig.drained().await;
        }
    }
    rig.end().await
}

/// SIGSTOP for longer than a lease, then SIGCONT: its leases have ended under it.
pub async fn sleeps(rounds: usize, events: usize) -> Line {
    let mut rig = Rig::raise("SIGSTOP past the lease", 1, sqlite).await;
    for _ in 0..rounds {
        rig.pour(events);
        rig.arrivals(events / 4).await;
        rig.signal(0, Signal::SIGSTOP);
        Clock::system().sleep(Duration::from_secs(LEASE_SECONDS + 1)).await;
        rig.signal(0, Signal::SIGCONT);
        rig.line.faults += 1;
        rig.recovered().await;
    }
    rig.end().await
}

/// No room on the disk: nothing is accepted, nothing is lost, and it goes on by itself.
pub async fn disk_full(rounds: usize, events: usize) -> Line {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::make(folder.path());
    let database = disk.path("nuncio.db");
    let mut rig = Rig::raise("disk full", 1, |_| sqlite_at(database)).await;
    for _ in 0..rounds {
        rig.pour(events);
        rig.arrivals(events / 4).await;
        disk.fill(rig.id(0));
        rig.line.faults += 1;
        let refused = rig.poster.state().refused;
        rig.pour(events);
        let poster = rig.poster.clone();
        rig.awaited("a refusal", poster.refused(refused + 3)).await;
        disk.free(rig.id(0));
        rig.recovered().await;
    }
    rig.end().await
}

/// Another process has the write lock for longer than SQLite waits.
pub async fn busy(rounds: usize, events: usize) -> Line {
    let mut rig = Rig::raise("SQLITE_BUSY", 1, sqlite).await;
    let Journal::Sqlite(path) = rig.ground.journal.clone() else { unreachable!("it is SQLite") };
    for _ in 0..rounds {
        rig.pour(events);
        rig.arrivals(events / 4).await;
        let options = SqliteConnectOptions::new().filename(&path).busy_timeout(BUSY);
        let mut other = SqliteConnection::connect_with(&options).await.expect("it opens");
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("it has the lock");
        rig.line.faults += 1;
        Clock::system().sleep(BUSY).await;
        sqlx::query("ROLLBACK").execute(&mut other).await.expect("it lets go");
        other.close().await.expect("it closes");
        rig.recovered().await;
    }
    rig.end().await
}

/// The machine loses its power in the middle of a write: behind the last commit stands half of
/// something. Nothing that was acknowledged is lost.
pub async fn torn_write(rounds: usize, events: usize) -> Line {
    let mut rig = Rig::raise("torn write in the WAL", 1, sqlite).await;
    let mut random = StdRng::seed_from_u64(seed());
    for round in 1..=rounds {
        rig.pour(events);
        rig.arrivals(random.random_range(1..events)).await;
        rig.kill(0).await;
        let mut half = vec![0; random.random_range(1..20_000)];
        random.fill(&mut half[..]);
        let wal = wal(&rig);
        let end = wal.metadata().expect("it is there").len();
        wal.write_all_at(&half, end).expect("it is written");
        rig.start(0).await;
        rig.recovered().await;
        if round % BREATH == 0 {
            rig.drained().await;
        }
    }
    rig.end().await
}

/// A disk that lied: the end of what it had acknowledged is gone. What was in it can not be kept;
/// but the node starts, the file is sound, and whoever posts again with the same keys is served.
pub async fn lost_end(rounds: usize, events: usize) -> Line {
    let mut rig = Rig::raise("lost end of the WAL", 1, sqlite).await;
    let mut random = StdRng::seed_from_u64(seed());
    rig.line.forgets = true;
    for _ in 0..rounds {
        rig.pour(events);
        rig.drained().await;
        rig.kill(0).await;
        let wal = wal(&rig);
        let end = wal.metadata().expect("it is there").len();
        let cut = random.random_range(1..200_000.min(end));
        if random.random_bool(0.5) {
            wal.set_len(end - cut).expect("it is cut");
        } else {
            let mut noise = vec![0; 4_096];
            random.fill(&mut noise[..]);
            wal.write_all_at(&noise, end - cut).expect("it is written");
        }
        rig.start(0).await;
        rig.poster.post_all_again().await;
        rig.recovered().await;
    }
    rig.end().await
}

/// The wall clock goes forth and back under the process.
pub async fn clock_steps(rounds: usize, events: usize) -> Line {
    let mut rig = Rig::raise("clock forth and back", 1, sqlite).await;
    let mut ahead = Duration::ZERO;
    for _ in 0..rounds {
        for (by, back) in [(ahead + Duration::from_secs(900), false), (ahead / 2, true)] {
            rig.pour(events);
            rig.arrivals(events / 4).await;
            rig.ground.clock.shift(by, back);
            rig.line.faults += 1;
            rig.recovered().await;
        }
        ahead += Duration::from_secs(900);
    }
    // What was put off while the clock was ahead, is due once it is there again.
    rig.ground.clock.shift(ahead + Duration::from_secs(900), false);
    rig.end().await
}

fn wal(rig: &Rig) -> File {
    let Journal::Sqlite(path) = &rig.ground.journal else { unreachable!("it is SQLite") };
    let path = format!("{}-wal", path.display());
    File::options().read(true).write(true).open(path).expect("it is there")
}
