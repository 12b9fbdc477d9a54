use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What the sinks took: a line for each, on the disk before it is answered.
#[derive(Clone)]
pub struct Receipts(Arc<Shared>);

struct Shared {
    taken: Mutex<Taken>,
    count: watch::Sender<usize>,
}

struct Taken {
    file: File,
    by_message: BTreeMap<(&'static str, String), usize>,
    /// The numbers of the events that arrived by HTTP.
    numbers: BTreeSet<usize>,
}

impl Receipts {
    pub fn open(path: &Path) -> Self {
        let file = File::options().create(true).append(true).open(path).expect("a file");
        let taken = Taken { file, by_message: BTreeMap::new(), numbers: BTreeSet::new() };
        Self(Arc::new(Shared { taken: Mutex::new(taken), count: watch::Sender::new(0) }))
    }

    /// Writes a receipt down; returns once it is on the disk.
    pub async fn take(&self, sink: &'static str, message: String, number: Option<usize>) {
        let receipts = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut taken = receipts.taken();
            writeln!(taken.file, "{sink} {message}").expect("a line");
            taken.file.sync_data().expect("it is on the disk");
            *taken.by_message.entry((sink, message)).or_default() += 1;
            taken.numbers.extend(number);
        });
        written.await.expect("it is written");
        self.0.count.send_modify(|count| *count += 1);
    }

    /// How often each message came to a sink.
    pub fn of(&self, sink: &str) -> BTreeMap<String, usize> {
        let taken = self.taken();
        let of = taken.by_message.iter().filter(|((of, _), _)| *of == sink);
        of.map(|((_, message), times)| (message.clone(), *times)).collect()
    }

    pub fn count(&self) -> usize {
        *self.0.count.borrow()
    }

    /// Returns once so many were taken.
    pub async fn reached(&self, count: usize) {
        let mut counted = self.0.count.subscribe();
        counted.wait_for(|now| *now >= count).await.expect("the sender is ours");
    }

    /// Returns once the event of that number has arrived by HTTP.
    pub async fn arrived(&self, number: usize) {
        let mut counted = self.0.count.subscribe();
        let here = |_: &usize| self.taken().numbers.contains(&number);
        counted.wait_for(here).await.expect("the sender is ours");
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
