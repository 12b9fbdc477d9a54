use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

/// Room enough for the tables and a log of writes.
const SIZE: &str = "size=24m";

/// A disk that can be full: a small one of its own for whoever may mount, else a limit on what a
/// process may write.
pub struct Disk {
    folder: PathBuf,
    mounted: bool,
}

impl Disk {
    /// An empty folder on it.
    pub fn make(folder: &Path) -> Self {
        let folder = folder.join("disk");
        std::fs::create_dir_all(&folder).expect("a folder");
        let mounted =
            geteuid().is_root() && run("mount", &["-t", "tmpfs", "-o", SIZE, "rig"], &folder);
        Self { folder, mounted }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// No more is written from now on: there is no room, or the process may not.
    pub fn fill(&self, process: u32) {
        if !self.mounted {
            return limit(process, &self.largest().to_string());
        }
        let mut ballast = File::create(self.path("ballast")).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// There is room again.
    pub fn free(&self, process: u32) {
        if !self.mounted {
            return limit(process, "unlimited");
        }
        std::fs::remove_file(self.path("ballast")).expect("it was filled");
    }

    fn largest(&self) -> u64 {
        let files = std::fs::read_dir(&self.folder).expect("it is read").flatten();
        let sizes = files.filter_map(|file| Some(file.metadata().ok()?.len()));
        sizes.max().unwrap_or_default()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            run("umount", &["-l"], &self.folder);
        }
    }
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let ended = Command::new(program).args(arguments).arg(folder).output();
    ended.is_ok_and(|ended| ended.status.success())
}

/// The soft limit alone: it can be lifted again.
fn limit(process: u32, size: &str) {
    let (process, size) = (process.to_string(), format!("--fsize={size}:"));
    let set = Command::new("prlimit").args(["--pid", &process, &size]).status();
    assert!(set.expect("util-linux").success(), "the limit is set");
}
