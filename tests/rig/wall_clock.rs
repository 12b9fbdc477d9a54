use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::preload;

/// The wall clock of processes under test, which a scene may put forward and back. Everything else
/// of them is as it is.
pub struct WallClock {
    offset: PathBuf,
    library: PathBuf,
}

impl WallClock {
    pub fn make(folder: &Path) -> Self {
        let library = preload::library(folder, "clock/shifted.c");
        let clock = Self { offset: folder.join("clock"), library };
        std::fs::write(&clock.offset, 0_i64.to_ne_bytes()).expect("a file");
        clock
    }

    /// What a process gets that is to have this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        vec![("LD_PRELOAD".into(), text(&self.library)), ("SHIFTED_BY".into(), text(&self.offset))]
    }

    /// From now on it is ahead by so much, or back.
    pub fn shift(&self, by: Duration, back: bool) {
        let millis = i64::try_from(by.as_millis()).expect("a short time");
        let offset = if back { -millis } else { millis };
        let file = File::options().write(true).open(&self.offset).expect("it was made");
        file.write_all_at(&offset.to_ne_bytes(), 0).expect("it is written");
    }
}
