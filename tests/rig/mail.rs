use std::net::SocketAddr;

use nuncio::clock::Clock;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::mischief::{Act, Mischief};
use super::receipts::Receipts;

pub const SMTP: &str = "smtp";

/// A mail server that can break off where it likes. Stops when it is dropped.
pub struct MailSink {
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

struct Conversation {
    stream: BufReader<TcpStream>,
    receipts: Receipts,
    mischief: Mischief,
}

impl MailSink {
    pub async fn start(receipts: Receipts, mischief: Mischief) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = BufReader::new(stream);
                let (receipts, mischief) = (receipts.clone(), mischief.clone());
                let talk = Conversation { stream, receipts, mischief };
                // The other side is killed now and then.
                tokio::spawn(async move { drop(talk.hold().await) });
            }
        });
        Self { address, server }
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Conversation {
    async fn hold(mut self) -> std::io::Result<()> {
        self.say("220 rig.example ESMTP").await?;
        while let Some(line) = self.line().await? {
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.say("250-rig.example\r\n250 8BITMIME").await?,
                "DATA" => {
                    self.say("354 go on").await?;
                    if !self.mail().await? {
                        return Ok(());
                    }
                }
                "QUIT" => return self.say("221 2.0.0 bye").await,
                _ => self.say("250 2.0.0 ok").await?,
            }
        }
        Ok(())
    }

    /// `false`: the connection is to be closed.
    async fn mail(&mut self) -> std::io::Result<bool> {
        let mut id = String::new();
        loop {
            let Some(line) = self.line().await? else { return Ok(false) };
            if line == "." {
                break;
            }
            let head = line.get(..11).unwrap_or_default();
            if id.is_empty() && head.eq_ignore_ascii_case("message-id:") {
                let inside = line.split(['<', '@']).nth(1);
                inside.unwrap_or_default().clone_into(&mut id);
            }
        }
        let act = self.mischief.draw();
        match act {
            Act::DropBefore => return Ok(false),
            Act::TooMuch => self.say("452 4.3.1 too much of it").await?,
            Act::Unavailable => self.say("451 4.3.0 not now").await?,
            Act::Take | Act::Delay(_) | Act::DropAfter => {
                self.receipts.take(SMTP, id, None).await;
                match act {
                    Act::DropAfter => return Ok(false),
                    // A slow server: the length of its slowness is what is asked for here.
                    Act::Delay(length) => Clock::system().sleep(length).await,
                    _ => {}
                }
                self.say("250 2.0.0 queued").await?;
            }
        }
        Ok(true)
    }

    async fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}
