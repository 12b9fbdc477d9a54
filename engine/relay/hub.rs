use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::buffer::{Buffer, Waiting, buffer};
use super::protocol::Encoded;
use crate::channel::Publish;
use crate::clock::Clock;
use crate::config;
use crate::model::{Frame, Presence, Stream, UserId};

/// Publishers of different users rarely meet at one lock.
const SHARDS: usize = 64;

/// Users whose last connection's end is remembered; the longest unseen are forgotten first.
const REMEMBERED_USERS: usize = 100_000;

/// How long after the last connection was told to close the process waits for it.
const CLOSING: Duration = Duration::from_secs(5);

/// Who is connected, and the way to them.
pub struct Hub {
    shards: [RwLock<HashMap<Stream, Vec<Reader>>>; SHARDS],
    hasher: RandomState,
    /// Attached readers: zero is the fast way out of `publish`.
    attached: AtomicUsize,
    readers: AtomicU64,
    seats: Mutex<Seats>,
    last_seen: Cache<UserId, Timestamp>,
    closing: CancellationToken,
    /// Over how long connections are closed.
    spread: Mutex<Duration>,
    vacated: Notify,
    clock: Clock,
    limits: config::Relay,
}

/// Connections by whom they count against.
#[derive(Default)]
struct Seats {
    all: usize,
    by_user: HashMap<UserId, usize>,
    by_address: HashMap<IpAddr, usize>,
}

struct Reader {
    id: u64,
    user: UserId,
    buffer: Buffer,
    /// It is the user's own, not an admin's look at their inbox.
    own: bool,
}

/// Why nobody more may connect now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("this user has too many connections")]
    User,
    #[error("this address has too many connections")]
    Address,
    #[error("there are too many connections")]
    All,
    #[error("the relay is closing")]
    Closing,
}

/// One connection's place, from before its upgrade to its end.
pub struct Seat {
    hub: Arc<Hub>,
    user: UserId,
    address: Option<IpAddr>,
}

/// A seat that gets the frames of its streams, until it is dropped.
pub struct Attached {
    seat: Seat,
    streams: Vec<Stream>,
    id: u64,
    own: bool,
}

impl Hub {
    pub fn new(limits: &config::Relay, clock: Clock) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            attached: AtomicUsize::new(0),
            readers: AtomicU64::new(0),
            seats: Mutex::default(),
            last_seen: Cache::new(REMEMBERED_USERS),
            closing: CancellationToken::new(),
            spread: Mutex::default(),
            vacated: Notify::new(),
            clock,
            limits: limits.clone(),
        }
    }

    /// Takes a seat for `user` within the limits.
    pub(super) fn sit(
        self: &Arc<Self>,
        user: &UserId,
        address: Option<IpAddr>,
    ) -> Result<Seat, Full> {
        if self.closing.is_cancelled() {
            return Err(Full::Closing);
        }
        let mut seats = self.seats();
        let by_user = seats.by_user.get(user).copied().unwrap_or_default();
        let at_address = address.and_then(|address| seats.by_address.get(&address).copied());
        if seats.all >= self.limits.max_connections {
            return Err(Full::All);
        }
        if by_user >= self.limits.max_connections_per_user {
            return Err(Full::User);
        }
        if at_address.unwrap_or_default() >= self.limits.max_connections_per_address {
            return Err(Full::Address);
        }
        seats.all += 1;
        *seats.by_user.entry(user.clone()).or_default() += 1;
        if let Some(address) = address {
            *seats.by_address.entry(address).or_default() += 1;
        }
        drop(seats);
        Ok(Seat { hub: self.clone(), user: user.clone(), address })
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.seats().all
    }

    /// Lets nobody in any more and closes every connection with 1012, at moments spread over
    /// `spread`. Returns when all are gone, or five seconds after the last was told to go.
    pub async fn close(&self, spread: Duration) {
        *self.spread.lock().unwrap_or_else(PoisonError::into_inner) = spread;
        self.closing.cancel();
        let late = self.clock.sleep(spread + CLOSING);
        tokio::pin!(late);
        loop {
            let vacated = self.vacated.notified();
            if self.connections() == 0 {
                return;
            }
            tokio::select! {
                () = vacated => {}
                () = &mut late => return,
            }
        }
    }

    /// Resolves when this connection is to close.
    pub(super) async fn closed(&self) {
        self.closing.cancelled().await;
        let spread = *self.spread.lock().unwrap_or_else(PoisonError::into_inner);
        let most = i64::try_from(spread.as_millis()).unwrap_or(i64::MAX);
        let wait = self.clock.random_between(0, most);
        self.clock.sleep(Duration::from_millis(wait.unsigned_abs())).await;
    }

    /// Hands a frame that is kept nowhere to a stream's connections, `except` one.
    pub(super) fn whisper(&self, stream: &Stream, text: Utf8Bytes, except: u64) {
        let encoded =
            Encoded { stream: stream.clone(), seq: None, category: None, said: None, text };
        let encoded = Arc::new(encoded);
        let shard = self.shard(stream).read().unwrap_or_else(PoisonError::into_inner);
        for reader in shard.get(stream).into_iter().flatten().filter(|one| one.id != except) {
            reader.buffer.offer(&encoded);
        }
    }

    /// Whether `user` has another connection to the stream than `except`.
    pub(super) fn is_there(&self, stream: &Stream, user: &UserId, except: u64) -> bool {
        let shard = self.shard(stream).read().unwrap_or_else(PoisonError::into_inner);
        let mut readers = shard.get(stream).into_iter().flatten();
        readers.any(|one| one.user == *user && one.id != except)
    }

    fn shard(&self, stream: &Stream) -> &RwLock<HashMap<Stream, Vec<Reader>>> {
        &self.shards[self.hasher.hash_one(stream) as usize % SHARDS]
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publish for Hub {
    fn publish(&self, frames: &[Frame]) {
        if self.attached.load(Ordering::SeqCst) == 0 {
            return;
        }
        for frame in frames {
            let shard = self.shard(&frame.stream).read().unwrap_or_else(PoisonError::into_inner);
            let Some(readers) = shard.get(&frame.stream) else { continue };
            let Some(encoded) = Encoded::of(frame).map(Arc::new) else { continue };
            for reader in readers {
                reader.buffer.offer(&encoded);
            }
        }
    }

    fn presence(&self, user: &UserId) -> Presence {
        if self.attached.load(Ordering::SeqCst) > 0 {
            let stream = Stream::User(user.clone());
            let shard = self.shard(&stream).read().unwrap_or_else(PoisonError::into_inner);
            if shard.get(&stream).is_some_and(|readers| readers.iter().any(|one| one.own)) {
                return Presence { online: true, last_seen: Some(self.clock.now()) };
            }
        }
        let last_seen = if self.last_seen.is_empty() { None } else { self.last_seen.get(user) };
        Presence { online: false, last_seen }
    }

    fn knock(&self, stream: &Stream, user: &UserId) {
        let knock = Arc::new(Encoded::knock(stream));
        let shard = self.shard(stream).read().unwrap_or_else(PoisonError::into_inner);
        for reader in shard.get(stream).into_iter().flatten().filter(|one| one.user == *user) {
            reader.buffer.offer(&knock);
        }
    }
}

impl Seat {
    /// From here on, the streams' frames wait in the returned buffer. Attach first, then read a
    /// stream's head: what is committed after the head was read is published to this buffer.
    pub fn attach(self, streams: Vec<Stream>) -> (Attached, Waiting) {
        let hub = &self.hub;
        let (buffer, waiting) = buffer(hub.limits.buffer_frames, hub.limits.buffer_bytes);
        let id = hub.readers.fetch_add(1, Ordering::Relaxed);
        let own = streams.contains(&Stream::User(self.user.clone()));
        for stream in &streams {
            let reader = Reader { id, user: self.user.clone(), buffer: buffer.clone(), own };
            let mut shard = hub.shard(stream).write().unwrap_or_else(PoisonError::into_inner);
            shard.entry(stream.clone()).or_default().push(reader);
        }
        hub.attached.fetch_add(1, Ordering::SeqCst);
        (Attached { seat: self, streams, id, own }, waiting)
    }
}

impl Attached {
    /// Tells this connection from the others of its streams.
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let hub = &self.seat.hub;
        for stream in &self.streams {
            let mut shard = hub.shard(stream).write().unwrap_or_else(PoisonError::into_inner);
            if let Some(readers) = shard.get_mut(stream) {
                readers.retain(|reader| reader.id != self.id);
                if readers.is_empty() {
                    shard.remove(stream);
                }
            }
        }
        hub.attached.fetch_sub(1, Ordering::SeqCst);
        if self.own {
            hub.last_seen.insert(self.seat.user.clone(), hub.clock.now());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.hub.seats();
        seats.all -= 1;
        release(&mut seats.by_user, &self.user);
        if let Some(address) = &self.address {
            release(&mut seats.by_address, address);
        }
        drop(seats);
        self.hub.vacated.notify_waiters();
    }
}

fn release<Key: std::hash::Hash + Eq>(counts: &mut HashMap<Key, usize>, key: &Key) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
