use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Span, loopback};

/// The HTTP side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Default 127.0.0.1:8080.
    pub bind: SocketAddr,
    /// How clients reach it, for absolute links. Default: the request's own host.
    pub public_url: Option<url::Url>,
    /// `Origin`s of browsers that may connect (`https://app.example`); `*` for any. Default none:
    /// only pages of the server itself.
    pub allowed_origins: Vec<String>,
    /// Bytes of a request's body. Default 2 MiB.
    pub max_body: usize,
    /// Bytes of one event's data. Default 256 KiB.
    pub max_event: usize,
    /// Bytes of events between their reading and their commit, over all requests; a request counts
    /// for 8 KiB at least. Past it, 429. Default 64 MiB.
    pub max_intake: usize,
    /// TCP connections at once, the relay's among them; one more is answered 503. What the system
    /// allows in open files, less 512, is the most. Default 100,000.
    pub max_connections: usize,
    /// From a connection's beginning, or the answer before, to the end of a request's headers.
    /// Default 30s.
    pub header_timeout: Span,
    /// For the whole of a body; of one that is streamed, for each piece. Default 30s.
    pub body_timeout: Span,
    /// Inbox API requests a second and user. Default 100.
    pub requests_per_second: u32,
    /// …and at once. Default 1,000.
    pub request_burst: u32,
}

/// The limits of docs/reference/relay.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Default 100,000.
    pub max_connections: usize,
    /// Default 50.
    pub max_connections_per_user: usize,
    /// Default 1,000.
    pub max_connections_per_address: usize,
    /// What one client may send. Default 20.
    pub frames_per_second: u32,
    /// Default 64 KiB.
    pub max_frame_bytes: usize,
    /// What may wait for one slow reader. Default 1 MiB; shared frames count once.
    pub buffer_bytes: usize,
    /// Likewise, in frames. Default 1,024.
    pub buffer_frames: usize,
    /// Silence after which a connection is closed. Default 5m.
    pub idle_timeout: Span,
    /// Default 30s.
    pub ping_interval: Span,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: loopback(8080),
            public_url: None,
            allowed_origins: Vec::new(),
            max_body: 2 << 20,
            max_event: 256 << 10,
            max_intake: 64 << 20,
            max_connections: 100_000,
            header_timeout: Span::seconds(30),
            body_timeout: Span::seconds(30),
            requests_per_second: 100,
            request_burst: 1000,
        }
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            max_connections_per_user: 50,
            max_connections_per_address: 1000,
            frames_per_second: 20,
            max_frame_bytes: 64 << 10,
            buffer_bytes: 1 << 20,
            buffer_frames: 1024,
            idle_timeout: Span::seconds(300),
            ping_interval: Span::seconds(30),
        }
    }
}
