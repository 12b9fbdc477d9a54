mod page;
mod sample;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde_json::{Value, json};

use super::{Done, Failure, Format, shown};
use crate::check::{self, Templates};
use crate::clock::Clock;
use crate::diagnostic::{Diagnostic, Source};
use crate::model::Content;
use crate::template::{Context, TemplateError};

/// A template with its sample, as a reader will see it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  nuncio preview orders/shipped --locale fr\n  \
    nuncio preview templates/orders/shipped/email.hbs --format html > mail.html\n  \
    nuncio preview orders/shipped --open")]
pub(super) struct Preview {
    /// A template (`orders/shipped`), or one of its files
    template: String,
    /// One channel; all of them by default
    #[arg(long)]
    channel: Option<String>,
    /// A language, as a user's locale; by default the sample's recipient's
    #[arg(long)]
    locale: Option<String>,
    /// What the template sees, as JSON; `sample.json` beside the template by default
    #[arg(long)]
    data: Option<PathBuf>,
    /// Every channel and language side by side, in the browser
    #[arg(long)]
    open: bool,
    /// The folder that holds templates/
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

/// One channel in one language.
struct Sight {
    channel: String,
    locale: Option<String>,
    content: Content,
}

/// Which files are asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    root: PathBuf,
    /// As workflows name it.
    template: String,
    channel: Option<String>,
    locale: Option<String>,
}

impl Preview {
    pub fn run(self, format: Format) -> Done {
        let asked = self.asked();
        let sights = self.sights(&asked, format).map_err(|problems| {
            eprint!("{}", shown(&problems));
            Failure::Said
        })?;
        if self.open {
            return open(&asked, &sights);
        }
        match format {
            Format::Json => println!("{:#}", sights.iter().map(as_json).collect::<Value>()),
            Format::Html => {
                let mut pages = sights.iter().filter(|sight| sight.content.kind == "html");
                let page = pages.next().ok_or_else(|| {
                    Failure::Input(format!("`{}` has no HTML part", asked.template))
                })?;
                println!("{}", page.content.body);
            }
            Format::Text | Format::Github => {
                let texts: Vec<_> = sights.iter().map(as_text).collect();
                print!("{}", texts.join("\n"));
            }
        }
        Ok(())
    }

    /// A file's own folder, channel and language win over the flags' defaults, not over the flags.
    fn asked(&self) -> Asked {
        let mut asked = asked(&self.template, &self.dir);
        asked.channel = self.channel.clone().or(asked.channel);
        asked.locale = self.locale.clone().or(asked.locale);
        asked
    }

    fn sights(&self, asked: &Asked, format: Format) -> Result<Vec<Sight>, Vec<Diagnostic>> {
        let loaded = check::load_templates(&asked.root);
        if loaded.problems.iter().any(Diagnostic::is_error) {
            return Err(loaded.problems);
        }
        eprint!("{}", shown(&loaded.problems));
        let channels = channels(&loaded, asked).map_err(|problem| vec![*problem])?;
        let path = format!("templates/{}/sample.json", asked.template);
        let names = match &self.data {
            Some(file) => sample::read(file, &file.display().to_string()),
            None => sample::read(&asked.root.join(&path), &path),
        };
        let mut names = names.map_err(|problem| vec![*problem])?;
        sample::complete(&mut names, &Clock::system());
        // In a terminal one language is read, beside each other all are.
        let all = asked.locale.is_none() && (self.open || format == Format::Json);
        let mut problems = Vec::new();
        let mut sights = Vec::new();
        for channel in channels {
            let locales: Vec<Option<String>> = match all {
                true => {
                    let locales = loaded.set.locales(&asked.template, &channel);
                    locales.into_iter().map(|locale| locale.map(str::to_owned)).collect()
                }
                false => vec![asked.locale.clone()],
            };
            for locale in locales {
                match sight(&loaded, asked, &channel, locale, &names) {
                    Ok(sight) => sights.push(sight),
                    Err(error) => problems.push(diagnostic(&loaded.files, &error)),
                }
            }
        }
        if problems.is_empty() { Ok(sights) } else { Err(problems) }
    }
}

/// `care/x`, `templates/care/x` or `some/where/templates/care/x/email.fr.txt.hbs`.
fn asked(template: &str, dir: &Path) -> Asked {
    let written = template.trim_end_matches('/');
    let (root, path) = match written.strip_prefix("templates/") {
        Some(path) => (dir.to_owned(), path),
        None => match written.split_once("/templates/") {
            Some((root, path)) => (dir.join(root), path),
            None => (dir.to_owned(), written),
        },
    };
    let file = path.strip_suffix(".hbs").and_then(|stem| stem.rsplit_once('/'));
    let Some((folder, stem)) = file else {
        return Asked { root, template: path.to_owned(), channel: None, locale: None };
    };
    let mut pieces = stem.split('.').filter(|piece| *piece != "txt");
    let channel = pieces.next().map(str::to_owned);
    let locale = pieces.next().map(str::to_owned);
    Asked { root, template: folder.to_owned(), channel, locale }
}

fn channels(loaded: &Templates, asked: &Asked) -> Result<Vec<String>, Box<Diagnostic>> {
    let known = loaded.set.channels(&asked.template);
    if known.is_empty() {
        let message = format!("there is no template `{}`", asked.template);
        let path = format!("templates/{}", asked.template);
        let problem = Diagnostic::of_file("template.missing", &path, message);
        return Err(Box::new(problem.suggest(&asked.template, loaded.set.names())));
    }
    match &asked.channel {
        None => Ok(known.into_iter().map(str::to_owned).collect()),
        Some(channel) if known.contains(&channel.as_str()) => Ok(vec![channel.clone()]),
        Some(channel) => {
            let message = format!("the template `{}` has no `{channel}.hbs`", asked.template);
            let path = format!("templates/{}", asked.template);
            let problem = Diagnostic::of_file("template.missing", &path, message);
            Err(Box::new(problem.hint(format!("it has `{}`", known.join("`, `")))))
        }
    }
}

fn sight(
    loaded: &Templates,
    asked: &Asked,
    channel: &str,
    locale: Option<String>,
    names: &Value,
) -> Result<Sight, TemplateError> {
    let mut names = names.clone();
    if let (Some(locale), Some(recipient)) = (&locale, names["recipient"].as_object_mut()) {
        recipient.insert("locale".to_owned(), locale.as_str().into());
    }
    let own = names["recipient"]["locale"].as_str().map(str::to_owned);
    let locale = locale.or(own);
    let mut context = Context::from(names);
    let content = loaded.set.render(&asked.template, channel, locale.as_deref(), &mut context)?;
    Ok(Sight { channel: channel.to_owned(), locale, content })
}

fn diagnostic(files: &[Source], error: &TemplateError) -> Diagnostic {
    let source = files.iter().find(|source| source.path() == error.path);
    match source.filter(|_| error.line > 0) {
        Some(source) => {
            let at = source.offset(error.line, error.column);
            Diagnostic::error(source, error.code, at..at, error.message.clone())
                .hint("the sample must hold every field that is not guarded")
        }
        None => Diagnostic::of_file(error.code, &error.path, error.message.clone()),
    }
}

fn as_json(sight: &Sight) -> Value {
    let Content { kind, subject, body, parts, metadata } = &sight.content;
    json!({
        "channel": sight.channel, "locale": sight.locale, "kind": kind, "subject": subject,
        "body": body, "parts": parts, "metadata": metadata,
    })
}

/// What a reader reads first, then the text.
fn as_text(sight: &Sight) -> String {
    let Sight { channel, locale, content } = sight;
    let mut text = match locale {
        Some(locale) => format!("── {channel} ({locale}) ──\n"),
        None => format!("── {channel} ──\n"),
    };
    let label = if channel == "email" { "subject" } else { "title" };
    let subject = content.subject.iter().map(|subject| (label, subject.as_str()));
    let parts = content.parts.iter().filter(|(name, _)| *name != "text");
    let parts = parts.map(|(name, part)| (name.as_str(), part.as_str()));
    let metadata = content.metadata.iter();
    let metadata = metadata.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or("…")));
    for (name, value) in subject.chain(parts).chain(metadata) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    let body = content.parts.get("text").unwrap_or(&content.body);
    text.push_str(&format!("\n{}\n", body.trim_end()));
    text
}

/// Writes the picture and shows it; its path goes to standard output either way.
fn open(asked: &Asked, sights: &[Sight]) -> Done {
    let folder = asked.root.join(".nuncio/preview");
    let file = folder.join(format!("{}.html", asked.template.replace('/', "_")));
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&file, page::page(&asked.template, sights)))
        .map_err(|error| {
            Failure::Input(format!("`{}` cannot be written: {error}", file.display()))
        })?;
    println!("{}", file.display());
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(opener)
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        eprintln!("there is no `{opener}` to show it with: open the file in a browser");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_named_as_workflows_do_or_by_its_files() {
        let asked = |template: &str| {
            let Asked { root, template, channel, locale } = asked(template, Path::new("."));
            (root.display().to_string(), template, channel, locale)
        };
        let plain = |root: &str| (root.to_owned(), "shop/order".to_owned(), None, None);
        assert_eq!(asked("shop/order"), plain("."));
        assert_eq!(asked("templates/shop/order/"), plain("."));
        assert_eq!(asked("a/b/templates/shop/order"), plain("./a/b"));
        let (root, template, channel, locale) = asked("templates/shop/order/email.fr-CA.txt.hbs");
        assert_eq!((root.as_str(), template.as_str()), (".", "shop/order"));
        assert_eq!((channel.as_deref(), locale.as_deref()), (Some("email"), Some("fr-CA")));
        let (_, _, channel, locale) = asked("templates/shop/order/email.txt.hbs");
        assert_eq!((channel.as_deref(), locale), (Some("email"), None));
    }
}
