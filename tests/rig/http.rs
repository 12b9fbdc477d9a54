use std::net::SocketAddr;

use nuncio::clock::Clock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::mischief::{Act, Mischief};
use super::receipts::Receipts;

pub const HTTP: &str = "http";

/// An HTTP server for webhooks that can break off where it likes. Stops when it is dropped.
pub struct HttpSink {
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

impl HttpSink {
    pub async fn start(receipts: Receipts, mischief: Mischief) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (receipts, mischief) = (receipts.clone(), mischief.clone());
                tokio::spawn(async move {
                    // The other side is killed now and then.
                    let _ = serve(BufReader::new(stream), &receipts, &mischief).await;
                });
            }
        });
        Self { address, server }
    }
}

impl Drop for HttpSink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One connection, a request after the other.
async fn serve(
    mut stream: BufReader<TcpStream>,
    receipts: &Receipts,
    mischief: &Mischief,
) -> std::io::Result<()> {
    loop {
        let (mut id, mut length) = (String::new(), 0);
        let mut lines = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            lines += 1;
            if line.trim().is_empty() && lines > 1 {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "webhook-id" => value.trim().clone_into(&mut id),
                "content-length" => length = value.trim().parse().unwrap_or_default(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let act = mischief.draw();
        if act == Act::DropBefore {
            return Ok(());
        }
        let said = match act {
            Act::TooMuch => "429 Too Many Requests\r\nretry-after: 1",
            Act::Unavailable => "503 Service Unavailable",
            _ => {
                receipts.take(HTTP, id, number(&body)).await;
                "200 OK"
            }
        };
        match act {
            Act::DropAfter => return Ok(()),
            // A slow server: the length of its slowness is what is asked for here.
            Act::Delay(length) => Clock::system().sleep(length).await,
            _ => {}
        }
        let answer = format!("HTTP/1.1 {said}\r\ncontent-length: 0\r\n\r\n");
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
}

/// The `n` of `{"n": 7}`.
fn number(body: &[u8]) -> Option<usize> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    usize::try_from(value["n"].as_u64()?).ok()
}
