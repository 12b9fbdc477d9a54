use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::{SinkExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::End;
use crate::clock::Clock;
use crate::relay::protocol::Complaint;
use crate::telemetry::FramesSent;

/// How long a client may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(5);

/// The socket, never waited for without an end.
pub struct Wire {
    socket: WebSocket,
    overflowed: CancellationToken,
    clock: Clock,
    /// How long one write may take.
    timeout: Duration,
}

/// What a client sent.
pub enum Received {
    Text(String),
    Binary,
    /// Answered below us.
    Ping,
    /// A sign of life.
    Pong,
}

impl Wire {
    pub fn new(
        socket: WebSocket,
        overflowed: CancellationToken,
        clock: Clock,
        timeout: Duration,
    ) -> Self {
        Self { socket, overflowed, clock, timeout }
    }

    /// Writes and flushes.
    pub async fn send(&mut self, message: Message) -> Result<(), End> {
        tokio::select! {
            biased;
            () = self.overflowed.cancelled() => Err(End::Slow),
            sent = self.socket.send(message) => counted(sent),
            () = self.clock.sleep(self.timeout) => Err(End::Idle),
        }
    }

    /// Writes; what is written waits for [`Wire::flush`], or for the buffer to fill.
    pub async fn feed(&mut self, message: Message) -> Result<(), End> {
        tokio::select! {
            biased;
            () = self.overflowed.cancelled() => Err(End::Slow),
            fed = self.socket.feed(message) => counted(fed),
            () = self.clock.sleep(self.timeout) => Err(End::Idle),
        }
    }

    pub async fn flush(&mut self) -> Result<(), End> {
        tokio::select! {
            biased;
            () = self.overflowed.cancelled() => Err(End::Slow),
            flushed = self.socket.flush() => flushed.map_err(|_| End::Left),
            () = self.clock.sleep(self.timeout) => Err(End::Idle),
        }
    }

    /// The client's next message. Cancel-safe.
    pub async fn receive(&mut self) -> Result<Received, End> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => Ok(Received::Text(text.as_str().into())),
            Some(Ok(Message::Binary(_))) => Ok(Received::Binary),
            Some(Ok(Message::Ping(_))) => Ok(Received::Ping),
            Some(Ok(Message::Pong(_))) => Ok(Received::Pong),
            Some(Ok(Message::Close(_))) | None => Err(End::Left),
            Some(Err(error)) if is_capacity(&error) => Err(End::TooLarge),
            Some(Err(_)) => Err(End::Left),
        }
    }

    /// Says farewell and waits a little for the answer: a socket closed over unread bytes would
    /// take the reason with it.
    pub async fn close(mut self, end: End) {
        let clock = self.clock.clone();
        tokio::select! {
            () = self.farewell(end) => {}
            () = clock.sleep(FAREWELL) => {}
        }
    }

    async fn farewell(&mut self, end: End) {
        if end != End::Left {
            if end == End::TooLarge {
                let message = "the frame is too large".into();
                let text = Complaint { code: "TOO_LARGE", message }.encode(None);
                // The close that follows fails too, if this does.
                let _ = self.socket.send(Message::Text(text)).await;
            }
            let frame = CloseFrame { code: end.code(), reason: end.reason().into() };
            if self.socket.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
        }
        // What still comes is dropped, until the client closes too.
        while let Some(Ok(_)) = self.socket.next().await {}
        if end == End::TooLarge {
            // Nothing is read past such a frame: only time tells that the close has been.
            std::future::pending::<()>().await;
        }
    }
}

fn counted(written: Result<(), axum::Error>) -> Result<(), End> {
    written.map_err(|_| End::Left)?;
    FramesSent { count: 1 }.emit();
    Ok(())
}

/// The message was larger than we read. By its text, since axum keeps the error's type to itself.
fn is_capacity(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.to_string().starts_with("Space limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}
