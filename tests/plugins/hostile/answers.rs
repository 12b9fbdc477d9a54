//! What a server may say: so much, for so long, and as it stands.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use nuncio::channel::{Channel, Outcome};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Scene;
use crate::harness::sink::Answer;
use crate::plugins::hosting::{DEADLINE, code, host, hostile, parcel, provider, setup};

/// A server that says what the test writes, byte for byte.
struct Wire {
    listener: TcpListener,
    channel: Arc<dyn Channel>,
}

impl Wire {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("its address"));
        let settings = setup(json!({"url": url}));
        Self { listener, channel: provider(&host(), &hostile(), settings).await }
    }

    /// One send, with an answer that does not end by itself: the send does.
    async fn answered<W: Future<Output = io::Result<()>>>(
        &self,
        deadline: Duration,
        write: impl FnOnce(TcpStream) -> W,
    ) -> Outcome {
        let parcel = parcel("hostile", "", "good");
        let sending = self.channel.send(&parcel, deadline);
        let writing = async {
            let (mut stream, _) = self.listener.accept().await.expect("a connection");
            assert!(stream.read(&mut [0; 1024]).await.expect("a request") > 0);
            // The end is the engine's: it hangs up, and what is written comes back as an error.
            write(stream).await.expect_err("a connection that is closed");
        };
        let both = async { tokio::join!(sending, writing).0 };
        timeout(DEADLINE, both).await.expect("the send ends")
    }
}

#[tokio::test]
async fn a_packed_answer_stays_packed() {
    let scene = Scene::new().await;
    let packed = zeros_packed(64 << 10);
    scene.sink.answer(Answer::status(200).header("content-encoding", "gzip").body(packed));

    let outcome = scene.act("good").await;

    let Outcome::Accepted { receipt, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(receipt.as_deref(), Some("65536 false"), "what came, not what it stands for");
    assert!(!scene.sink.requests()[0].headers.contains_key("accept-encoding"));
}

/// Of a first zero, "258 times the same again", eight times in thirteen bytes.
const AGAIN: [u8; 13] =
    [0x18, 0x05, 0xa3, 0x60, 0x14, 0x8c, 0x82, 0x51, 0x30, 0x0a, 0x46, 0xc1, 0x28];

/// `bytes` of gzip that stand for a hundred and fifty times as many zeros: without an end.
fn zeros_packed(bytes: usize) -> Vec<u8> {
    // A head, and a first zero.
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 0x63];
    packed.extend(AGAIN.iter().cycle().take(bytes - packed.len()));
    packed
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let wire = Wire::new().await;

    let outcome = wire.answered(DEADLINE, async |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'x'; 64 << 10]).await?;
        }
    });

    let outcome = outcome.await;
    let Outcome::Accepted { receipt, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(receipt.as_deref(), Some("1048576 true"));
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let wire = Wire::new().await;
    for (begin, more) in [
        ("HTTP/1.1 200 OK\r\nx-long: ", "x"),
        ("HTTP/1.1 200 OK\r\n", "x-many: 1\r\n"),
        ("HTTP/1.1 200 ", "O"),
    ] {
        let outcome = wire.answered(DEADLINE, async |mut stream| {
            stream.write_all(begin.as_bytes()).await?;
            let more = more.repeat(4096);
            loop {
                stream.write_all(more.as_bytes()).await?;
            }
        });
        let outcome = outcome.await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{begin}{more}: {outcome:?}");
        assert_eq!(code(&outcome), "http.broken", "{begin}{more}");
    }
}

#[tokio::test]
async fn bytes_one_by_one_do_not_hold_a_send() {
    let slow = [
        ("HTTP/1.1 200 OK\r\nx-slow: ", "x", "http.timeout"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", "x", "accepted"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n", "accepted"),
        ("", "HTTP/1.1 102 Processing\r\n\r\n", "http.timeout"),
    ];
    let sends = slow.map(|(begin, more, expected)| async move {
        let outcome = dripped(begin, more).await;
        assert_eq!(code(&outcome), expected, "{begin}{more}: {outcome:?}");
    });
    join_all(sends).await;
}

/// Each `more` follows a send of another message, so that time passes between them.
async fn dripped(begin: &str, more: &str) -> Outcome {
    let (wire, other) = (Wire::new().await, Scene::new().await);
    let deadline = Duration::from_millis(2500);
    let sending = wire.answered(deadline, async |mut stream| {
        stream.write_all(begin.as_bytes()).await?;
        loop {
            other.is_unharmed().await;
            stream.write_all(more.as_bytes()).await?;
        }
    });
    sending.await
}
