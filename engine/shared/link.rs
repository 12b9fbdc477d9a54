use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisResult};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{BadUrl, CALL, State};
use crate::clock::Clock;
use crate::egress;
use crate::telemetry::{RedisChanged, RedisFailed};

/// How long connecting may take. Only our own tasks wait for it.
pub(super) const CONNECT: Duration = Duration::from_secs(1);

/// How often a connection that nobody uses is tried.
pub(super) const PROBE: Duration = Duration::from_secs(1);

/// Between two attempts to connect, in milliseconds: at random, so that nodes do not all come at
/// once.
const PAUSE: (i64, i64) = (250, 750);

/// Commands that wait in one connection's pipe.
const PIPE: usize = 1024;

/// The one connection for commands, and how it is with it. Whoever finds it broken takes it away;
/// only `keep` puts one there.
pub(super) struct Link {
    pub client: Client,
    pub clock: Clock,
    prefix: String,
    connection: RwLock<Connection>,
    state: watch::Sender<State>,
    /// Something took the connection away.
    broken: Notify,
    /// Cancelled with the last `Shared`.
    pub ended: CancellationToken,
    /// That it is down was told.
    told: AtomicBool,
}

/// The how-manieth it is tells a late failure of an old one from one of this.
#[derive(Default)]
struct Connection {
    number: u64,
    current: Option<MultiplexedConnection>,
}

impl Link {
    pub fn start(url: &str, prefix: &str, clock: &Clock) -> Result<Arc<Self>, BadUrl> {
        egress::use_ring();
        let client = Client::open(url).map_err(|_| BadUrl)?;
        let link = Arc::new(Self {
            client,
            clock: clock.clone(),
            prefix: prefix.to_owned(),
            connection: RwLock::default(),
            state: watch::Sender::new(State::Down),
            broken: Notify::new(),
            ended: CancellationToken::new(),
            told: AtomicBool::new(false),
        });
        tokio::spawn(keep(link.clone()));
        Ok(link)
    }

    /// The name that a key or a channel has there.
    pub fn name(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub fn is_up(&self) -> bool {
        *self.state.borrow() == State::Up
    }

    /// Asks within `limit`. `None`: it failed, or had failed before; the caller goes on alone.
    pub async fn call<T, Answer>(
        &self,
        limit: Duration,
        ask: impl FnOnce(MultiplexedConnection) -> Answer,
    ) -> Option<T>
    where
        Answer: Future<Output = RedisResult<T>>,
    {
        let (number, connection) = self.current()?;
        match within(&self.clock, limit, ask(connection)).await {
            Ok(answer) => Some(answer),
            Err(Failed::Refused(why)) => {
                RedisFailed { why: &why }.emit();
                None
            }
            Err(Failed::Broken(why)) => {
                RedisFailed { why: &why }.emit();
                self.take_away(number, &why);
                None
            }
        }
    }

    fn current(&self) -> Option<(u64, MultiplexedConnection)> {
        let connection = self.connection.read().unwrap_or_else(PoisonError::into_inner);
        Some((connection.number, connection.current.clone()?))
    }

    fn put(&self, fresh: MultiplexedConnection) {
        let mut connection = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        connection.number += 1;
        connection.current = Some(fresh);
        drop(connection);
        self.told.store(false, Ordering::Relaxed);
        RedisChanged { down: None }.emit();
        self.tell(State::Up);
    }

    fn take_away(&self, number: u64, why: &str) {
        let mut connection = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        if connection.number != number || connection.current.take().is_none() {
            return;
        }
        drop(connection);
        self.tell_down(why);
        self.broken.notify_one();
    }

    fn tell_down(&self, why: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            RedisChanged { down: Some(why) }.emit();
        }
        self.tell(State::Down);
    }

    fn tell(&self, state: State) {
        self.state.send_if_modified(|known| std::mem::replace(known, state) != state);
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Failed> {
        // The bounds are ours, by our clock.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPE);
        let connect = async {
            let mut fresh =
                self.client.get_multiplexed_async_connection_with_config(&config).await?;
            redis::cmd("PING").query_async::<()>(&mut fresh).await?;
            Ok(fresh)
        };
        within(&self.clock, CONNECT, connect).await
    }

    /// Makes a connection, and returns when it is broken, or after a pause.
    async fn serve(&self) {
        match self.connect().await {
            Ok(fresh) => self.put(fresh),
            Err(Failed::Refused(why) | Failed::Broken(why)) => {
                RedisFailed { why: &why }.emit();
                self.tell_down(&why);
                let pause = self.clock.random_between(PAUSE.0, PAUSE.1);
                return self.clock.sleep(Duration::from_millis(pause.unsigned_abs())).await;
            }
        }
        loop {
            tokio::select! {
                () = self.broken.notified() => return,
                () = self.clock.sleep(PROBE) => {
                    self.call(CALL, |mut connection| async move {
                        redis::cmd("PING").query_async::<()>(&mut connection).await
                    })
                    .await;
                }
            }
        }
    }
}

/// Why there is no answer.
pub(super) enum Failed {
    /// The server said no: the connection is well.
    Refused(String),
    Broken(String),
}

/// Waits no longer than `limit`, by `clock`.
pub(super) async fn within<T>(
    clock: &Clock,
    limit: Duration,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T, Failed> {
    tokio::select! {
        biased;
        answer = answer => answer.map_err(|error| match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => {
                Failed::Refused(error.to_string())
            }
            _ => Failed::Broken(error.to_string()),
        }),
        () = clock.sleep(limit) => Err(Failed::Broken(format!("no answer within {limit:?}"))),
    }
}

/// Keeps a connection there until nobody needs it.
async fn keep(link: Arc<Link>) {
    loop {
        tokio::select! {
            () = link.ended.cancelled() => return,
            () = link.serve() => {}
        }
    }
}
