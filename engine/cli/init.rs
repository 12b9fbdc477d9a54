use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::{Done, Failure};
use crate::workflow::language::Schema;

/// Where each file goes, and what it says.
const FILES: [(&str, &str); 9] = [
    ("workflows/hello/welcome.yaml", include_str!("init/hello/welcome.yaml")),
    ("workflows/hello/welcome.test.yaml", include_str!("init/hello/welcome.test.yaml")),
    ("workflows/hello/events.yaml", include_str!("init/hello/events.yaml")),
    ("workflows/hello/samples/member_joined.json", include_str!("init/hello/member_joined.json")),
    ("templates/hello/welcome/in_app.hbs", include_str!("init/hello/in_app.hbs")),
    ("templates/hello/welcome/email.hbs", include_str!("init/hello/email.hbs")),
    ("templates/hello/welcome/sample.json", include_str!("init/hello/sample.json")),
    ("nuncio.toml", include_str!("init/hello/nuncio.toml")),
    (".gitignore", include_str!("init/hello/gitignore")),
];

/// A folder to begin with: a workflow, its template, a configuration.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio init shop && cd shop && nuncio dev")]
pub(super) struct Init {
    /// Made where it is not there
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl Init {
    /// Writes all of it, or nothing: a file that is there already is never touched.
    pub fn run(self) -> Done {
        let schema = serde_json::to_string_pretty(&Schema::Workflow.to_json());
        let schema = schema.map_err(Failure::input)? + "\n";
        let mut files = FILES.to_vec();
        files.push(("workflow.schema.json", &schema));
        let there = files.iter().map(|(path, _)| *path).filter(|path| self.dir.join(path).exists());
        let there: Vec<&str> = there.collect();
        if !there.is_empty() {
            let text = format!("already there, so nothing was written: {}", there.join(", "));
            return Err(Failure::Input(text));
        }
        for (path, text) in &files {
            let path = self.dir.join(path);
            write(&path, text)
                .map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
            println!("{}", path.display());
        }
        eprintln!("try, in {}:", self.dir.display());
        eprintln!("  nuncio check");
        eprintln!("  nuncio dev");
        Ok(())
    }
}

fn write(path: &std::path::Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}
