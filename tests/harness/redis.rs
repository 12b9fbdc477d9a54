//! A real Redis for one test, which may flush it, stall it, end it and start it again.

use std::sync::Mutex;

use nix::sys::signal::Signal;

use super::daemon::{Daemon, free_port};

/// A server that keeps nothing on the disk.
pub struct Redis {
    port: u16,
    server: Mutex<Option<Daemon>>,
}

impl Redis {
    pub async fn start() -> Self {
        let redis = Self { port: free_port(), server: Mutex::new(None) };
        redis.resume().await;
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends it at once; what it held is gone.
    pub fn crash(&self) {
        drop(self.server.lock().expect("nobody panicked here").take());
    }

    /// Starts it again, empty, on the same port; returns once it takes connections.
    pub async fn resume(&self) {
        let port = self.port.to_string();
        let arguments =
            ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let arguments = arguments.into_iter().map(Into::into).collect();
        let ready = "Ready to accept connections";
        let server = Daemon::start("redis-server", None, arguments, ready).await;
        *self.server.lock().expect("nobody panicked here") = Some(server);
    }

    /// It takes connections and answers nothing, until [`Redis::go_on`].
    pub fn stall(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Forgets all it held.
    pub async fn flush(&self) {
        self.command::<()>("FLUSHALL").await;
    }

    /// One command without arguments, on a connection of its own.
    pub async fn command<T: redis::FromRedisValue>(&self, name: &str) -> T {
        let client = redis::Client::open(self.url()).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await;
        let mut connection = connection.expect("redis takes us");
        redis::cmd(name).query_async(&mut connection).await.expect("redis answers")
    }

    fn signal(&self, signal: Signal) {
        let server = self.server.lock().expect("nobody panicked here");
        server.as_ref().expect("it runs").signal(signal);
    }
}
