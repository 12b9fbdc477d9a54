use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::server::Server;

/// A browser's end of a connection.
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The data of the first frame.
    pub status: Value,
}

impl Client {
    pub async fn connect(server: &Server, user: &str) -> Self {
        Self::open(server, user, &server.token(user, None)).await
    }

    pub async fn open(server: &Server, user: &str, token: &str) -> Self {
        let (socket, _) = connect_async(request(server, user, token)).await.expect("it is let in");
        Self::begin(socket).await
    }

    pub async fn begin(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        let mut client = Self { socket, status: Value::Null };
        let first = client.next().await;
        assert_eq!(first["type"], "connection_status");
        client.status = first["data"].clone();
        client
    }

    pub async fn send(&mut self, frame: Value) {
        self.text(&frame.to_string()).await;
    }

    pub async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("it is connected");
    }

    pub async fn binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.expect("it is connected");
    }

    /// The next frame that is no ping.
    pub async fn next(&mut self) -> Value {
        match self.event().await {
            Ok(frame) => frame,
            Err(closed) => panic!("the connection closed with {closed:?}"),
        }
    }

    /// The next frame, or the close's code.
    pub async fn event(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Ok(serde_json::from_str(text.as_str()).expect("a frame is JSON"));
                }
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map(|frame| u16::from(frame.code)));
                }
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return Err(None),
            }
        }
    }

    /// The close's code, after whatever still comes.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.event().await {
                return code;
            }
        }
    }

    /// What was sent so far has been taken.
    pub async fn settle(&mut self) {
        self.send(serde_json::json!({"type": "ping"})).await;
        assert_eq!(self.next().await["type"], "pong");
    }

    pub async fn close(mut self) {
        self.socket.close(None).await.expect("it is connected");
        while self.socket.next().await.is_some() {}
    }
}

/// A handshake with the token in the query.
pub fn request(server: &Server, user: &str, token: &str) -> Request {
    let url = format!("ws://{}/ws/notifications/{user}/?token={token}", server.address);
    url.into_client_request().expect("it is a URL")
}

/// Why a handshake was refused: status and body.
pub async fn refused(request: Request) -> (u16, Value) {
    match connect_async(request).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let value = serde_json::from_slice(body).expect("the body is JSON");
            (response.status().as_u16(), value)
        }
        other => panic!("it is refused: {other:?}"),
    }
}

/// Lets other tasks run until it is so.
pub async fn eventually(mut so: impl FnMut() -> bool) {
    while !so() {
        tokio::task::yield_now().await;
    }
}
