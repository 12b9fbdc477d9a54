use std::path::Path;

use rand::Rng;
use rand::rngs::StdRng;

/// Words that mean something to one of the languages, or to their parsers.
const WORDS: &[&str] = &[
    "\n",
    "\r\n",
    "\t",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    "\"",
    "'",
    "\\",
    "&a ",
    "*a",
    "!x ",
    "!!str ",
    "|\n",
    ">-\n",
    "? ",
    "---\n",
    "...\n",
    "#",
    "%",
    "~",
    "null",
    "true",
    "1",
    "-1",
    "9999999999999999999",
    "0.1",
    "1e400",
    "1h30m",
    "P1Y",
    "-5m",
    "0s",
    "\u{feff}",
    "\u{0}",
    "\u{2028}",
    "é",
    "🦀",
    "workflow: w",
    "on: a",
    "steps:",
    "send: email",
    "delay: ",
    "branch:",
    "if: ",
    "else: ",
    "schedule: ",
    "wait_for: ",
    "digest: { cron: '",
    "* * * * *",
    "event.data.x",
    "has(",
    "&&",
    "||",
    "!",
    "==",
    ".map(x, ",
    ".exists(y, ",
    "{{",
    "}}",
    "{{#if ",
    "{{/if}}",
    "{{#each ",
    "{{> ",
    "{{date ",
    "@root.",
];

/// What inputs are made of.
pub struct Input {
    seeds: Vec<String>,
}

impl Input {
    /// The project's own files below a folder.
    pub fn of_files(folder: &str, end: &str) -> Self {
        let mut seeds = Vec::new();
        gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), end, &mut seeds);
        assert!(!seeds.is_empty());
        seeds.sort();
        Self { seeds }
    }

    /// The values of the packs' lines: conditions, ids, keys.
    pub fn of_expressions() -> Self {
        let files = Self::of_files("workflows", ".yaml");
        let values = files.seeds.iter().flat_map(|text| text.lines());
        let values = values.filter_map(|line| Some(line.split_once(": ")?.1.trim_matches('\'')));
        let mut seeds: Vec<String> = values.map(str::to_owned).collect();
        let more = [
            "event.data.x.map(y, y + 1).exists(z, z > 1)",
            "timestamp(event.data.t) + duration('1h') < now",
            "[1, 2].all(a, [3].all(b, a < b))",
            "{'a': 1}['a'] == 1 ? \"x\".matches('^x+$') : false",
        ];
        seeds.extend(more.map(str::to_owned));
        Self { seeds }
    }

    /// One input: torn from what is there, or made of words, or of anything.
    pub fn make(&self, random: &mut StdRng) -> String {
        let mut text = match random.random_range(0..10) {
            0 => {
                let bytes: Vec<u8> =
                    (0..random.random_range(0..200)).map(|_| random.random()).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            1 => (0..random.random_range(0..60)).map(|_| word(random)).collect(),
            2 => word(random).repeat(random.random_range(1..3_000)),
            _ => self.seed(random).to_owned(),
        };
        for _ in 0..random.random_range(0..8) {
            text = self.changed(text, random);
        }
        text
    }

    fn changed(&self, text: String, random: &mut StdRng) -> String {
        let (start, end) = (place(&text, random), place(&text, random));
        let (start, end) = (start.min(end), start.max(end));
        let (before, middle, after) = (&text[..start], &text[start..end], &text[end..]);
        match random.random_range(0..6) {
            0 => format!("{before}{after}"),
            1 => format!("{before}{}{middle}{after}", word(random)),
            2 => format!("{before}{}{after}", word(random)),
            3 => {
                let other = self.seed(random);
                let (from, to) = (place(other, random), place(other, random));
                format!("{before}{}{after}", &other[from.min(to)..from.max(to)])
            }
            4 if middle.len() < 400 => format!("{before}{}{after}", middle.repeat(3)),
            _ => {
                let mut lines: Vec<&str> = text.lines().collect();
                if lines.len() > 1 {
                    let (a, b) =
                        (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
                    lines.swap(a, b);
                }
                lines.join("\n")
            }
        }
    }

    fn seed(&self, random: &mut StdRng) -> &str {
        &self.seeds[random.random_range(0..self.seeds.len())]
    }
}

fn word(random: &mut StdRng) -> &'static str {
    WORDS[random.random_range(0..WORDS.len())]
}

/// A boundary between characters.
fn place(text: &str, random: &mut StdRng) -> usize {
    let mut at = random.random_range(0..=text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn gather(folder: &Path, end: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, end, found);
        } else if path.to_string_lossy().ends_with(end) {
            found.push(std::fs::read_to_string(&path).expect("a file"));
        }
    }
}
