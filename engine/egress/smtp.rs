//! Mail to an SMTP server, over connections that are kept and used again.

mod connection;
mod line_ending;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::TlsParameters;
use tokio::time::Instant;

use connection::Connection;

/// A kept connection is closed after this time without a mail: servers do it after minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a server is, and how it is spoken to.
pub struct Server {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// User name and password.
    pub login: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    None,
    /// Nothing but the greeting goes over the line before TLS stands.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// One server with its kept connections. Uses as many at once as there are calls: the caller
/// holds them to its own limit.
pub struct Transport(Arc<Pool>);

struct Pool {
    server: Server,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    kept: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    /// The one used last at the end.
    connections: Vec<Kept>,
    /// A task closes those that nobody takes any more.
    watched: bool,
}

struct Kept {
    connection: Connection,
    since: Instant,
}

/// A server's answer that is not a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    /// RFC 3463 (`5.1.1`).
    pub enhanced: Option<String>,
    pub text: String,
}

/// How a mail was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpError {
    #[error("the server answered {}", .0.code)]
    Transient(Answer),
    #[error("the server answered {}", .0.code)]
    Permanent(Answer),
    /// A permanent answer to RCPT that is about the mailbox.
    #[error("the server answered {}", .0.code)]
    BadRecipient(Answer),
    #[error("the conversation broke before the mail was handed over: {0}")]
    BeforeData(String),
    /// The server may have taken it.
    #[error("the conversation broke while the mail was handed over: {0}")]
    AfterData(String),
    #[error("the mail cannot be handed over: {0}")]
    Refused(String),
}

impl Transport {
    /// Opens no connection yet. Fails where the host cannot be a TLS name.
    pub fn new(server: Server) -> Result<Self, lettre::transport::smtp::Error> {
        // Only the first call of a process installs it, and all calls install the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = match server.security {
            Security::None => None,
            Security::StartTls | Security::Tls => Some(TlsParameters::new(server.host.clone())?),
        };
        let credentials = server.login.clone().map(Credentials::from);
        Ok(Self(Arc::new(Pool { server, tls, credentials, kept: Mutex::default() })))
    }

    /// Hands one mail over: CRLF line ends are made of whatever `message` has, and lines that
    /// begin with a dot are stuffed, so nothing in it can be taken for a command.
    ///
    /// Returns the server's text. Past `timeout` the error says whether the mail may have been
    /// taken.
    pub async fn submit(
        &self,
        from: &str,
        to: &[String],
        message: Vec<u8>,
        timeout: Duration,
    ) -> Result<String, SmtpError> {
        let from = address(from)?;
        let to = to.iter().map(|to| address(to)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(SmtpError::Refused("there is no recipient".into()));
        }
        let message = line_ending::normalize(message);
        let mut handed_over = false;
        let sending = self.0.converse(&from, &to, &message, &mut handed_over);
        match tokio::time::timeout(timeout, sending).await {
            Ok(result) => result,
            Err(_) if handed_over => Err(SmtpError::AfterData("no answer in time".into())),
            Err(_) => Err(SmtpError::BeforeData("no answer in time".into())),
        }
    }
}

impl Pool {
    async fn converse(
        self: &Arc<Self>,
        from: &Address,
        to: &[Address],
        message: &[u8],
        handed_over: &mut bool,
    ) -> Result<String, SmtpError> {
        if let Some(mut kept) = self.take() {
            // A server may have closed it meanwhile: that is no reason to fail.
            match kept.begin(from, message).await {
                Ok(()) => return self.finish(kept, to, message, handed_over).await,
                Err(SmtpError::BeforeData(_)) => {}
                Err(refused) => return self.give_back(kept, Err(refused)).await,
            }
        }
        let (server, tls, login) = (&self.server, self.tls.as_ref(), self.credentials.as_ref());
        let mut fresh = Connection::open(server, tls, login).await?;
        match fresh.begin(from, message).await {
            Ok(()) => self.finish(fresh, to, message, handed_over).await,
            Err(refused) => self.give_back(fresh, Err(refused)).await,
        }
    }

    async fn finish(
        self: &Arc<Self>,
        mut connection: Connection,
        to: &[Address],
        message: &[u8],
        handed_over: &mut bool,
    ) -> Result<String, SmtpError> {
        let result = connection.hand_over(to, message, handed_over).await;
        self.give_back(connection, result).await
    }

    /// Keeps a connection that can take another mail.
    async fn give_back(
        self: &Arc<Self>,
        mut connection: Connection,
        result: Result<String, SmtpError>,
    ) -> Result<String, SmtpError> {
        let usable = match &result {
            Ok(_) => true,
            Err(SmtpError::Transient(Answer { code: 421, .. })) => false,
            Err(SmtpError::Transient(_) | SmtpError::Permanent(_) | SmtpError::BadRecipient(_)) => {
                connection.reset().await
            }
            Err(_) => false,
        };
        if usable {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::replace(&mut kept.watched, true) {
                tokio::spawn(close_idle(Arc::downgrade(self)));
            }
            kept.connections.push(Kept { connection, since: Instant::now() });
        }
        result
    }

    fn take(&self) -> Option<Connection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept.connections.pop();
        last.filter(|kept| kept.since.elapsed() < IDLE_TIMEOUT).map(|kept| kept.connection)
    }

    /// Those idle for too long; `None` once nothing is kept, and then nobody watches.
    fn expired(&self) -> Option<Vec<Kept>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.watched = !kept.connections.is_empty();
        let old = |kept: &Kept| kept.since.elapsed() >= IDLE_TIMEOUT;
        let young = kept.connections.partition_point(old);
        kept.watched.then(|| kept.connections.drain(..young).collect())
    }
}

/// Started with the first connection kept, ends with the last.
async fn close_idle(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_TIMEOUT).await;
        let Some(expired) = pool.upgrade().and_then(|pool| pool.expired()) else { return };
        for mut kept in expired {
            kept.connection.quit().await;
        }
    }
}

impl Server {
    /// A host that is this machine: there, a connection without TLS gives nothing away.
    pub fn is_local(host: &str) -> bool {
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn address(text: &str) -> Result<Address, SmtpError> {
    if text.contains(['\r', '\n', '\0']) {
        return Err(SmtpError::Refused("an address holds a line break".into()));
    }
    text.parse().map_err(|_| SmtpError::Refused("an address is no mailbox".into()))
}
