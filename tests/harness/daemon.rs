//! A server program of this machine, run by a test: it says when it is ready, and ends with us.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;

/// A running program. Killed when it is dropped, and when the test process ends.
pub struct Daemon {
    child: Mutex<Child>,
}

impl Daemon {
    /// Starts `program` with the arguments that `of` gives it, as the user `run_as` where that is
    /// given; returns once it has printed a line with `ready`.
    pub async fn start(
        program: &str,
        run_as: Option<&str>,
        arguments: Vec<String>,
        ready: &'static str,
    ) -> Self {
        let mut command = Command::new("setpriv");
        if let Some(user) = run_as {
            command.args([
                &format!("--reuid={user}"),
                &format!("--regid={user}"),
                "--clear-groups",
            ]);
        }
        command.args(["--pdeathsig=KILL", "--", program]).args(arguments).stdin(Stdio::null());
        let (started, child) = oneshot::channel();
        // The kernel ends a child with the thread that made it: this one stays as long as it runs.
        std::thread::spawn(move || {
            let (output, input) = std::io::pipe().expect("a pipe");
            command.stdout(input.try_clone().expect("its other end")).stderr(input);
            let child = command.spawn().expect("it is installed");
            drop(command);
            let mut said = String::new();
            let mut waiting = Some((started, child));
            // Whatever bytes it says: the thread must not end before it.
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                if waiting.is_some() {
                    said.push_str(&line);
                    said.push('\n');
                }
                if line.contains(ready)
                    && let Some((started, child)) = waiting.take()
                {
                    let _ = started.send(Ok(child));
                }
            }
            if let Some((started, _)) = waiting {
                let _ = started.send(Err(said));
            }
        });
        match child.await.expect("the thread answers") {
            Ok(child) => Self { child: Mutex::new(child) },
            Err(said) => panic!("{program} did not start:\n{said}"),
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.lock().id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("the process is ours");
    }

    /// Sends `signal` and waits for the end.
    pub fn end(&self, signal: Signal) {
        self.signal(signal);
        let _ = self.lock().wait();
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let mut child = self.lock();
        let _ = child.kill();
        let _ = child.wait();
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
