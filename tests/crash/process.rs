use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::installation::Installation;

/// A node in a process of its own.
pub struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    said: Vec<String>,
    ready: Ready,
}

/// How a node is started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub folder: PathBuf,
    pub config: PathBuf,
    pub cache: PathBuf,
    pub environment: Vec<(String, String)>,
    /// A file that may not grow further is an error of the write, not the end of the process.
    pub survives_limits: bool,
}

/// The ready line, read.
#[derive(Default)]
struct Ready {
    url: String,
    released: usize,
    unknown: usize,
}

impl Process {
    pub fn start(installation: &Installation) -> Self {
        Self::launch(&Launch {
            folder: installation.folder().to_owned(),
            config: installation.config(),
            cache: installation.cache(),
            environment: Vec::new(),
            survives_limits: false,
        })
    }

    pub fn launch(launch: &Launch) -> Self {
        let program = env!("CARGO_BIN_EXE_nuncio");
        let mut command = Command::new(if launch.survives_limits { "sh" } else { program });
        if launch.survives_limits {
            command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", program]);
        }
        let mut child = command
            .arg("run")
            .arg("--config")
            .arg(&launch.config)
            .arg("--cache")
            .arg(&launch.cache)
            .current_dir(&launch.folder)
            .envs(launch.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the node's program starts");
        let stderr = child.stderr.take().expect("its standard error is ours");
        let (sender, lines) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut read = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = read.next_line().await {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, said: Vec::new(), ready: Ready::default() }
    }

    /// Returns at the line that says so.
    pub async fn ready(&mut self) {
        let line = self.line("ready on ").await;
        self.ready = Ready::read(&line).unwrap_or_else(|| panic!("no ready line: {line}"));
    }

    /// The next line that begins so.
    pub async fn line(&mut self, start: &str) -> String {
        loop {
            let Some(line) = self.lines.recv().await else {
                panic!("the process ended without `{start}`: {:?}", self.said);
            };
            if line.starts_with(start) {
                return line;
            }
            self.said.push(line);
        }
    }

    pub fn url(&self) -> &str {
        &self.ready.url
    }

    pub fn released(&self) -> usize {
        self.ready.released
    }

    /// Sends whose outcome the last process took with it, by this one's count.
    pub fn unknown(&self) -> usize {
        self.ready.unknown
    }

    /// SIGKILL, and the end of it.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("the process can be killed");
    }

    pub async fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("the process is ours");
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub async fn exit(&mut self, longest: Duration) -> ExitStatus {
        let exited = tokio::time::timeout(longest, self.child.wait()).await;
        exited.expect("it ends in time").expect("its status")
    }

    pub async fn stop(&mut self, longest: Duration) -> ExitStatus {
        self.terminate().await;
        self.exit(longest).await
    }

    /// What it said beside what was waited for, so far.
    pub fn complaints(&mut self) -> Vec<String> {
        while let Ok(line) = self.lines.try_recv() {
            self.said.push(line);
        }
        self.said.iter().filter(|line| !line.starts_with("stopping")).cloned().collect()
    }
}

impl Ready {
    /// `ready on http://127.0.0.1:4000 (3 claims freed, 2 sends of unknown outcome)`
    fn read(line: &str) -> Option<Self> {
        let (url, counts) = line.strip_prefix("ready on ")?.split_once(" (")?;
        let (released, rest) = counts.split_once(" claims freed, ")?;
        let (unknown, _) = rest.split_once(" sends of unknown outcome")?;
        Some(Self {
            url: url.to_owned(),
            released: released.parse().ok()?,
            unknown: unknown.parse().ok()?,
        })
    }
}
