//! A mail's text part, read off its HTML where nobody wrote one.

use std::borrow::Cow;

use super::markup::{self, Item, Tag, decoded};

/// What a reader would copy from the page: paragraphs and headings apart, `- ` and `1. ` before
/// items, `text (address)` for links, `> ` before quotations. What is hidden is left out, as are
/// style sheets and scripts. Takes any text: what is no HTML stays as it is.
pub fn text_from_html(html: &str) -> String {
    let mut page = Page::default();
    let mut hidden: Option<(&str, usize)> = None;
    for item in markup::items(html) {
        if let Some((name, depth)) = &mut hidden {
            match &item {
                Item::Open(tag) if tag.is(name) && !tag.is_void() => *depth += 1,
                Item::Close { name: closed, .. } if closed.eq_ignore_ascii_case(name) => {
                    *depth -= 1;
                }
                _ => {}
            }
            if *depth == 0 {
                hidden = None;
            }
            continue;
        }
        match item {
            Item::Text(text) => page.text(&decoded(text)),
            Item::Open(tag) if is_hidden(&tag) => {
                hidden = (!tag.is_void()).then_some((tag.name, 1));
            }
            Item::Open(tag) => page.open(&tag),
            Item::Close { name, .. } => page.close(name),
            Item::Raw { .. } | Item::Other(_) => {}
        }
    }
    page.finish()
}

/// Quotations and lists inside each other that a line still shows.
const MAX_INDENT: usize = 16;

#[derive(Default)]
struct Page {
    out: String,
    /// Line breaks owed before the next word: two are an empty line.
    breaks: usize,
    /// A space owed before the next word of this line.
    space: bool,
    /// Open lists: an ordered one's next number.
    lists: Vec<Option<usize>>,
    /// The bullet or number owed before the next word.
    marker: Option<String>,
    quotes: usize,
    preformatted: usize,
    /// Open links: their address, and where their text begins.
    links: Vec<(String, usize)>,
    /// A header cell has ended in this row.
    labelled: bool,
}

impl Page {
    fn open(&mut self, tag: &Tag<'_>) {
        let name = tag.name.to_ascii_lowercase();
        match name.as_str() {
            "br" => self.breaks = (self.breaks + 1).min(2),
            "hr" => {
                self.break_lines(2);
                self.word("---");
                self.break_lines(2);
            }
            "img" => {
                let alternative = decoded(tag.attribute("alt").unwrap_or_default()).into_owned();
                self.text(&alternative);
            }
            "a" => {
                let address = tag.attribute("href").map(decoded).map(Cow::into_owned);
                self.links.push((address.unwrap_or_default(), self.out.len()));
            }
            "ul" => self.open_list(None),
            "ol" => {
                let start = tag.attribute("start").and_then(|start| start.trim().parse().ok());
                self.open_list(Some(start.unwrap_or(1)));
            }
            "li" => {
                self.break_lines(1);
                self.marker = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}. ");
                        *number += 1;
                        marker
                    }
                    _ => "- ".to_owned(),
                });
            }
            "td" | "th" => self.cell(name == "td"),
            "blockquote" => {
                self.break_lines(2);
                self.quotes += 1;
            }
            "pre" => {
                self.break_lines(2);
                self.preformatted += 1;
            }
            name => self.break_lines(breaks_around(name)),
        }
    }

    fn close(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "a" => self.close_link(),
            "ul" | "ol" => {
                self.lists.pop();
                self.marker = None;
                self.break_lines(if self.lists.is_empty() { 2 } else { 1 });
            }
            "th" => {
                self.labelled = true;
                self.space = true;
            }
            "td" => self.space = true,
            "blockquote" => {
                self.break_lines(2);
                self.quotes = self.quotes.saturating_sub(1);
            }
            "pre" => {
                self.break_lines(2);
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            name => self.break_lines(breaks_around(name)),
        }
    }

    fn open_list(&mut self, number: Option<usize>) {
        self.break_lines(if self.lists.is_empty() { 2 } else { 1 });
        self.lists.push(number);
    }

    /// `When: 9:30`: a header cell in the same row names what comes after it.
    fn cell(&mut self, of_data: bool) {
        let within_line = self.breaks == 0 && !self.out.is_empty();
        if within_line && of_data && self.labelled && !self.out.ends_with([':', '\u{a0}']) {
            self.out.push(':');
        }
        self.space |= within_line;
        self.labelled = false;
    }

    fn close_link(&mut self) {
        let Some((address, start)) = self.links.pop() else {
            return;
        };
        let address = address.trim();
        let shown = address.strip_prefix("mailto:").or_else(|| address.strip_prefix("tel:"));
        let shown = shown.unwrap_or(address);
        let script = address.get(..11).is_some_and(|s| s.eq_ignore_ascii_case("javascript:"));
        if shown.is_empty() || shown.starts_with('#') || script {
            return;
        }
        let text = self.out.get(start..).unwrap_or_default().trim();
        if text.is_empty() {
            self.word(shown);
        } else if !text.ends_with(shown) {
            self.space = true;
            self.word(&format!("({shown})"));
        }
    }

    fn text(&mut self, text: &str) {
        if self.preformatted > 0 {
            for (index, line) in text.split('\n').enumerate() {
                self.breaks += usize::from(index > 0);
                if !line.trim().is_empty() {
                    self.word(line.trim_end());
                }
            }
            return;
        }
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}');
        self.space |= text.starts_with(blank);
        for word in text.split(blank).filter(|word| !word.is_empty()) {
            self.word(word);
            self.space = true;
        }
        self.space = text.ends_with(blank) || (self.space && text.chars().all(blank));
    }

    fn word(&mut self, word: &str) {
        if self.out.is_empty() || self.breaks > 0 {
            self.begin_line();
        } else if self.space && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
        self.space = false;
        for character in word.chars() {
            match character {
                '\u{a0}' => self.out.push(' '),
                // Hints for line breaking and joining, which clients show as boxes.
                '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{34f}' => {}
                _ => self.out.push(character),
            }
        }
    }

    fn begin_line(&mut self) {
        let breaks = if self.out.is_empty() { 0 } else { self.breaks };
        self.out.truncate(self.out.trim_end_matches(' ').len());
        for _ in 0..breaks {
            self.out.push('\n');
        }
        (self.breaks, self.space, self.labelled) = (0, false, false);
        for _ in 0..self.quotes.min(MAX_INDENT) {
            self.out.push_str("> ");
        }
        let indent = match (&self.marker, self.lists.len()) {
            (Some(_), depth) => depth.saturating_sub(1),
            (None, depth) => depth,
        };
        self.out.push_str(&"  ".repeat(indent.min(MAX_INDENT)));
        if let Some(marker) = self.marker.take() {
            self.out.push_str(&marker);
        }
    }

    fn break_lines(&mut self, count: usize) {
        self.breaks = self.breaks.max(count);
    }

    fn finish(mut self) -> String {
        self.out.truncate(self.out.trim_end().len());
        self.out
    }
}

/// How far an element stands from what is around it: 0 for one within a line.
fn breaks_around(name: &str) -> usize {
    match name {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "dl" | "figure" => 2,
        "div" | "tr" | "section" | "article" | "header" | "footer" | "main" | "nav" | "aside"
        | "address" | "center" | "form" | "fieldset" | "dt" | "dd" | "li" | "caption"
        | "figcaption" | "body" => 1,
        _ => 0,
    }
}

fn is_hidden(tag: &Tag<'_>) -> bool {
    let by_name = ["template", "object", "svg", "noframes"].iter().any(|name| tag.is(name));
    by_name
        || tag.attribute("hidden").is_some()
        || tag.attribute("style").is_some_and(|style| {
            style.split(';').any(|declaration| {
                declaration.split_once(':').is_some_and(|(property, value)| {
                    property.trim().eq_ignore_ascii_case("display")
                        && value.trim().get(..4).is_some_and(|v| v.eq_ignore_ascii_case("none"))
                })
            })
        })
}
