use std::error::Error;

/// Why something may not be reached. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable: `egress.url`, `egress.scheme`, `egress.host`, `egress.method`, `egress.private`,
    /// `egress.header`, `egress.redirects`, `egress.none`.
    pub code: &'static str,
    pub message: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the request is over {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the answer is over {limit} bytes")]
    AnswerTooLarge { limit: usize },
    #[error("the host's name could not be resolved")]
    Dns,
    #[error("no connection: {why}")]
    Connect { why: String },
    #[error("no TLS connection: {why}")]
    Tls { why: String },
    #[error("no connection in time")]
    TimeoutBeforeSend,
    #[error("no answer in time")]
    TimeoutAfterSend,
    #[error("the connection broke before the answer: {why}")]
    Broken { why: String },
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the client for outbound requests cannot be made")]
    Client(#[source] reqwest::Error),
    #[error("`egress.ca` is no PEM file of certificates")]
    Certificates(#[source] reqwest::Error),
    #[error("`egress.proxy` cannot be used")]
    Proxy(#[source] reqwest::Error),
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn private(host: &str) -> Self {
        Self::new(
            "egress.private",
            format!(
                "`{host}` is a private address, which `egress.allow_private` does not allow data \
                 to name"
            ),
        )
    }
}

impl EgressError {
    /// The other side may have got the request: a further attempt may be a second message.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::TimeoutAfterSend | Self::Broken { .. })
    }
}

/// The URL is left out everywhere: it may be somebody's address, or hold a token.
impl From<reqwest::Error> for EgressError {
    fn from(error: reqwest::Error) -> Self {
        if let Some(refusal) = find::<Refusal>(&error) {
            return Self::Refused(refusal.clone());
        }
        let why = || root(&error);
        if error.is_connect() {
            return match () {
                () if error.is_timeout() => Self::TimeoutBeforeSend,
                () if error.is_dns() => Self::Dns,
                () if find::<rustls::Error>(&error).is_some() => Self::Tls { why: why() },
                () => Self::Connect { why: why() },
            };
        }
        if error.is_builder() {
            return Self::Refused(Refusal::new("egress.url", "the request cannot be built"));
        }
        if error.is_timeout() { Self::TimeoutAfterSend } else { Self::Broken { why: why() } }
    }
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An `io::Error` hides what it was made of from `source`, one step deep.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The innermost error: "connection refused" rather than "error sending request".
fn root(error: &reqwest::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
