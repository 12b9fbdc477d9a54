//! A node as people run it: the real command, in a folder of its own, over its own doors.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// What takes longer than this does not happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_nuncio");

/// A folder with files in it, gone when it and its nodes are dropped.
pub struct Installation {
    folder: Arc<TempDir>,
    program: PathBuf,
}

/// A running node; killed when it is dropped.
pub struct Node {
    pub url: String,
    pub api_key: String,
    folder: Arc<TempDir>,
    child: Child,
    said: watch::Receiver<String>,
    http: reqwest::Client,
}

/// What a command that has ended left.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A user's connection to the relay.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Installation {
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Plugins are compiled once for all tests.
        let plugins = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
        fs::create_dir_all(&plugins).expect("a folder for compiled plugins");
        let data = folder.path().join(".nuncio");
        fs::DirBuilder::new().mode(0o700).create(&data).expect("a data folder");
        symlink(&plugins, data.join("plugins")).expect("a link");
        Self { folder: Arc::new(folder), program: PROGRAM.into() }
    }

    /// The same folder, with nodes and commands of a build that may be another.
    pub fn of(&self, program: impl Into<PathBuf>) -> Self {
        Self { folder: self.folder.clone(), program: program.into() }
    }

    /// With this project's own workflows and templates.
    pub fn of_project() -> Self {
        let installation = Self::empty();
        for folder in ["workflows", "templates"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            copy(&from, &installation.path(folder));
        }
        installation
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// `nuncio dev` on a free port.
    pub async fn dev(&self) -> Node {
        let mut node = self.start(&["dev", "--port", "0"], "is ready at ").await;
        let own = environment(&self.path(".nuncio/dev.env"));
        node.api_key = own["NUNCIO_API_KEY"].clone();
        assert_eq!(own["NUNCIO_URL"], node.url);
        node
    }

    /// `nuncio run` on a free port, with a key for everything. The configuration has a secret.
    pub async fn run(&self) -> Node {
        let key = self.command(&["key", "new", "--name", "tests", "--scopes", "*"]).await;
        assert_eq!(key.code, Some(0), "{key:?}");
        self.run_with(key.stdout.trim()).await
    }

    /// The same with a key that is there already.
    pub async fn run_with(&self, api_key: &str) -> Node {
        let mut node = self.start(&["run"], "ready on ").await;
        node.api_key = api_key.to_owned();
        node
    }

    /// A node with those roles alone.
    pub async fn run_as(&self, api_key: &str, roles: &str) -> Node {
        let mut node = self.start(&["run", "--roles", roles], "ready on ").await;
        node.api_key = api_key.to_owned();
        node
    }

    async fn start(&self, arguments: &[&str], ready: &str) -> Node {
        let mut child = nuncio(&self.program, self.folder.path(), arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let stderr = child.stderr.take().expect("it is piped");
        let mut said = listen(stderr);
        let told = |text: &String| text.lines().any(|line| line.contains(ready));
        let heard = timeout(PATIENCE, said.wait_for(told)).await.expect("ready in time");
        let text = heard.map(|text| text.clone()).ok();
        let text = text.unwrap_or_else(|| panic!("it ended: {}", said.borrow().as_str()));
        let (_, rest) = text.split_once(ready).expect("it was said");
        let url = rest.split_whitespace().next().expect("an address").to_owned();
        nuncio::egress::use_ring();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
        let folder = self.folder.clone();
        Node { url, api_key: String::new(), folder, child, said, http }
    }

    /// Runs a command to its end, here.
    pub async fn command(&self, arguments: &[&str]) -> Ended {
        ended(nuncio(&self.program, self.folder.path(), arguments)).await
    }
}

impl Node {
    /// A call with the key: the status and the answer (`null` for none).
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string());
        self.send(method, path, &self.api_key, body).await
    }

    /// The same with a user's token, or any text.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<String>,
    ) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        request = request.bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// A page that is no JSON.
    pub async fn text(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await;
        answer.expect("an answer").text().await.expect("a body")
    }

    pub async fn put_user(&self, id: &str, user: Value) {
        let (status, answer) = self.call("PUT", &format!("/v1/users/{id}"), Some(user)).await;
        assert!(status == 200 || status == 201, "{status}: {answer}");
    }

    /// The id of an event that is accepted.
    pub async fn emit(&self, name: &str, data: Value) -> String {
        let event = json!({"name": name, "data": data});
        let (status, answer) = self.call("POST", "/v1/events", Some(event)).await;
        assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// The rows of an event's time line, once they are as `enough` wants them.
    pub async fn explained(&self, event: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let path = format!("/v1/events/{event}/explain");
        let rows =
            self.asked(&path, |answer| answer["rows"].as_array().is_some_and(|rows| enough(rows)));
        rows.await["rows"].as_array().expect("a list").clone()
    }

    /// What the outbox holds, once that is `count` messages.
    pub async fn outbox(&self, count: usize) -> Vec<Value> {
        let holds = |answer: &Value| answer.as_array().is_some_and(|held| held.len() >= count);
        self.asked("/dev/outbox", holds).await.as_array().expect("a list").clone()
    }

    /// Asks, a round trip after the other, until the answer will do.
    pub async fn asked(&self, path: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let asking = async {
            while !enough(&last) {
                last = self.call("GET", path, None).await.1;
            }
        };
        let in_time = timeout(PATIENCE, asking).await.is_ok();
        assert!(in_time, "{path} does not come to it: {last:#}\n{}", self.said());
        last
    }

    /// A command that talks to this node.
    pub async fn command(&self, arguments: &[&str]) -> Ended {
        let mut command = nuncio(PROGRAM, self.folder.path(), arguments);
        command.env("NUNCIO_URL", &self.url).env("NUNCIO_API_KEY", &self.api_key);
        ended(command).await
    }

    /// A user's token, as `nuncio token` makes it.
    pub async fn token(&self, user: &str) -> String {
        let token = self.command(&["token", "--sub", user]).await;
        assert_eq!(token.code, Some(0), "{token:?}");
        token.stdout.trim().to_owned()
    }

    /// The user's connection, with its first frame.
    pub async fn connect(&self, user: &str) -> (Socket, Value) {
        self.join(&format!("/ws/notifications/{user}/"), user).await
    }

    /// A connection of the user's to a path of the relay, and its first frame.
    pub async fn join(&self, path: &str, user: &str) -> (Socket, Value) {
        let token = self.token(user).await;
        let url = self.url.replacen("http", "ws", 1);
        let url = format!("{url}{path}?token={token}");
        let (stream, _) = connect_async(url).await.expect("a connection");
        let mut socket = Socket { stream };
        let first = socket.frame().await;
        assert_eq!(first["type"], "connection_status");
        (socket, first)
    }

    /// A place in its folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Memory that the process holds.
    pub fn resident_bytes(&self) -> u64 {
        let id = self.child.id().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        let kib = line.trim().trim_end_matches("kB").trim();
        kib.parse::<u64>().expect("a number") * 1024
    }

    /// What /metrics prints.
    pub async fn metrics(&self) -> String {
        let answer = self.http.get(format!("{}/metrics", self.url)).send().await;
        answer.expect("an answer").text().await.expect("a body")
    }

    /// Everything on standard error so far.
    pub fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Returns once that was said.
    pub async fn says(&mut self, text: &str) {
        let said = self.said.wait_for(|said| said.contains(text));
        timeout(PATIENCE, said).await.expect("said in time").expect("it runs");
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// Stands still, until [`Node::go_on`].
    pub async fn stand_still(&self) {
        self.signal("STOP").await;
    }

    pub async fn go_on(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs");
        let kill = format!("kill -{name} {id}");
        let sent = Command::new("sh").args(["-c", &kill]).status().await.expect("a shell");
        assert!(sent.success());
    }

    /// SIGHUP: the files are read again.
    pub async fn hang_up(&self) {
        self.signal("HUP").await;
    }

    /// SIGTERM, and the exit code.
    pub async fn stop(mut self) -> Option<i32> {
        self.signal("TERM").await;
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a status").code()
    }
}

impl Socket {
    /// The next frame.
    pub async fn frame(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("a frame in time");
            if let Message::Text(text) = message.expect("it is open").expect("a frame") {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    pub async fn send(&mut self, frame: Value) {
        self.stream.send(Message::text(frame.to_string())).await.expect("it is open");
    }
}

/// The command with an environment of its own.
fn nuncio(program: impl AsRef<Path>, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).current_dir(folder).env_clear().kill_on_drop(true);
    command.env("NUNCIO_SERVER__BIND", "127.0.0.1:0").stdin(Stdio::null());
    command
}

async fn ended(mut command: Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// All that comes, line by line.
fn listen(stderr: ChildStderr) -> watch::Receiver<String> {
    let (sender, receiver) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|said| {
                said.push_str(&line);
                said.push('\n');
            });
        }
    });
    receiver
}

fn environment(file: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).expect("dev.env is there");
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a file");
        }
    }
}
