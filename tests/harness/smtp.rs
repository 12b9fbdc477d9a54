//! A small real SMTP server: takes mails, answers as told, and can be as lax about line ends as
//! the laxest.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Stops taking connections when it is dropped.
pub struct SmtpServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A bare LF ends a line, as some servers have it; else only CRLF does.
    pub bare_lf_ends_lines: bool,
}

/// One mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// Without the stuffed dots.
    pub data: Vec<u8>,
}

/// What to do on a command, instead of saying yes.
#[derive(Clone, Debug)]
pub enum Act {
    Say(&'static str),
    Close,
    /// Never answer.
    Hang,
}

struct Shared {
    options: Options,
    inner: Mutex<Inner>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    mails: Vec<Mail>,
    commands: Vec<String>,
    connections: usize,
    script: HashMap<&'static str, VecDeque<Act>>,
}

impl SmtpServer {
    pub async fn start(options: Options) -> Self {
        let shared =
            Arc::new(Shared { options, inner: Mutex::default(), count: watch::Sender::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let accepting = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.lock().connections += 1;
                let conversation = Conversation::new(Arc::clone(&accepting), stream);
                tokio::spawn(conversation.run());
            }
        });
        Self { address, shared, server }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.shared.lock().mails.clone()
    }

    /// Returns once that many mails were taken.
    pub async fn reached(&self, count: usize) {
        let mut counted = self.shared.count.subscribe();
        counted.wait_for(|now| *now >= count).await.expect("the server counts as long as it lives");
    }

    /// Every command line so far, of all connections.
    pub fn commands(&self) -> Vec<String> {
        self.shared.lock().commands.clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// On the next `verb` (`RCPT`, `DATA`; `.` is the end of the data; `HELLO` is the greeting),
    /// and so on in order; then yes again.
    pub fn on(&self, verb: &'static str, act: Act) {
        self.shared.lock().script.entry(verb).or_default().push_back(act);
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Conversation {
    shared: Arc<Shared>,
    stream: BufReader<TcpStream>,
    from: Option<String>,
    to: Vec<String>,
}

/// The conversation is over.
struct End;

impl Conversation {
    fn new(shared: Arc<Shared>, stream: TcpStream) -> Self {
        Self { shared, stream: BufReader::new(stream), from: None, to: Vec::new() }
    }

    async fn run(mut self) {
        if self.answer("HELLO", "220 sink.test ESMTP").await.is_err() {
            return;
        }
        while let Some(line) = self.line().await {
            let line = String::from_utf8_lossy(&line).into_owned();
            self.shared.lock().commands.push(line.clone());
            if self.obey(&line).await.is_err() {
                return;
            }
        }
    }

    async fn obey(&mut self, line: &str) -> Result<(), End> {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let features = "250-sink.test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN";
                self.answer("EHLO", features).await?;
            }
            "AUTH" => {
                self.answer("AUTH", "235 2.7.0 welcome").await?;
            }
            "MAIL" => {
                if self.answer("MAIL", "250 2.1.0 ok").await? {
                    self.from = Some(path(line));
                    self.to.clear();
                }
            }
            "RCPT" => {
                if self.answer("RCPT", "250 2.1.5 ok").await? {
                    self.to.push(path(line));
                }
            }
            "DATA" => {
                if self.answer("DATA", "354 go on").await? {
                    self.data().await?;
                }
            }
            "RSET" => {
                (self.from, self.to) = (None, Vec::new());
                self.answer("RSET", "250 2.0.0 ok").await?;
            }
            "NOOP" => {
                self.answer("NOOP", "250 2.0.0 ok").await?;
            }
            "QUIT" => {
                self.answer("QUIT", "221 2.0.0 bye").await?;
                return Err(End);
            }
            _ => self.say("500 5.5.1 what?").await?,
        }
        Ok(())
    }

    async fn data(&mut self) -> Result<(), End> {
        let mut data = Vec::new();
        loop {
            let line = self.line().await.ok_or(End)?;
            if line == b"." {
                break;
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            data.extend_from_slice(b"\r\n");
        }
        let mail = Mail {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            data,
        };
        // As with a real server, a mail is taken before the answer to it goes out.
        let refused = matches!(self.next_act("."), Some(Act::Say(_)));
        if !refused {
            self.shared.lock().mails.push(mail);
            self.shared.count.send_modify(|count| *count += 1);
        }
        self.answer(".", "250 2.0.0 queued as 7").await.map(drop)
    }

    fn next_act(&self, verb: &str) -> Option<Act> {
        self.shared.lock().script.get(verb)?.front().cloned()
    }

    /// Says yes, or what the script has; `true` for the yes.
    async fn answer(&mut self, verb: &str, yes: &str) -> Result<bool, End> {
        let act = self.shared.lock().script.get_mut(verb).and_then(VecDeque::pop_front);
        match act {
            None => self.say(yes).await.map(|()| true),
            Some(Act::Say(no)) => {
                self.say(no).await?;
                if no.starts_with("421") { Err(End) } else { Ok(false) }
            }
            Some(Act::Close) => Err(End),
            Some(Act::Hang) => std::future::pending().await,
        }
    }

    async fn say(&mut self, text: &str) -> Result<(), End> {
        let line = format!("{text}\r\n");
        self.stream.get_mut().write_all(line.as_bytes()).await.map_err(|_| End)
    }

    /// One line without its end.
    async fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            if self.stream.read_until(b'\n', &mut line).await.ok()? == 0 {
                return None;
            }
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return Some(line);
            }
            if self.shared.options.bare_lf_ends_lines && line.ends_with(b"\n") {
                line.pop();
                return Some(line);
            }
        }
    }
}

/// What stands between `<` and `>`.
fn path(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(path, _)| path.to_owned()).unwrap_or_default()
}
