//! HTML as a sequence of tags and texts. Forgiving, as mail readers are: nothing is refused.

mod entity;

pub(super) use entity::decoded;

/// The next piece of a page, as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// Character references are as written: see [`decoded`].
    Text(&'a str),
    Open(Tag<'a>),
    /// `</name>`, by its name.
    Close {
        name: &'a str,
        source: &'a str,
    },
    /// What stands in an element that holds no elements: a style sheet, a script, a title.
    Raw {
        element: &'a str,
        text: &'a str,
    },
    /// A comment, or a declaration.
    Other(&'a str),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) attributes: Vec<Attribute<'a>>,
    /// From `<` to `>`.
    pub(super) source: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    /// Where the value begins in the tag's source, in bytes.
    pub(super) at: usize,
}

#[derive(Clone)]
pub(super) struct Items<'a> {
    rest: &'a str,
    /// The open element that holds no elements.
    raw: Option<&'a str>,
}

const RAW: [&str; 7] = ["style", "script", "title", "textarea", "iframe", "noembed", "xmp"];
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

pub(super) fn items(html: &str) -> Items<'_> {
    Items { rest: html, raw: None }
}

impl<'a> Tag<'a> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether it has no end of its own.
    pub(super) fn is_void(&self) -> bool {
        VOID.iter().any(|name| self.is(name))
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        let named = |attribute: &&Attribute<'a>| attribute.name.eq_ignore_ascii_case(name);
        self.attributes.iter().find(named).map(|attribute| attribute.value)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if let Some(element) = self.raw.take() {
            let text = self.take(end_of_raw(self.rest, element));
            if !text.is_empty() {
                return Some(Item::Raw { element, text });
            }
        }
        if self.rest.is_empty() {
            return None;
        }
        let width = next_markup(self.rest);
        if width > 0 {
            return Some(Item::Text(self.take(width)));
        }
        Some(match self.rest.as_bytes().get(1) {
            Some(b'!') if self.rest.starts_with("<!--") => {
                let end = self.rest[4..].find("-->").map_or(self.rest.len(), |at| at + 7);
                Item::Other(self.take(end))
            }
            Some(b'!' | b'?') => Item::Other(self.take(past(self.rest, b'>'))),
            Some(b'/') => {
                let source = self.take(past(self.rest, b'>'));
                Item::Close { name: name(&source[2..]), source }
            }
            _ => Item::Open(self.tag()),
        })
    }
}

impl<'a> Items<'a> {
    fn take(&mut self, width: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(width);
        self.rest = rest;
        taken
    }

    fn tag(&mut self) -> Tag<'a> {
        let name = name(&self.rest[1..]);
        let (width, attributes) = attributes(self.rest, 1 + name.len());
        let source = self.take(width);
        self.raw = RAW.iter().any(|raw| name.eq_ignore_ascii_case(raw)).then_some(name);
        Tag { name, attributes, source }
    }
}

/// The attributes from `at` on, and where the tag ends.
fn attributes(source: &str, mut at: usize) -> (usize, Vec<Attribute<'_>>) {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let until = |from: usize, stop: &dyn Fn(u8) -> bool| {
        bytes[from..].iter().position(|byte| stop(*byte)).map_or(bytes.len(), |width| from + width)
    };
    let blank = |byte: u8| byte.is_ascii_whitespace();
    loop {
        at = until(at, &|byte| !blank(byte) && byte != b'/');
        match bytes.get(at) {
            None => return (at, found),
            Some(b'>') => return (at + 1, found),
            Some(_) => {}
        }
        // A stray `=` begins a name: else the loop would not move.
        let end = until(at + 1, &|byte| blank(byte) || matches!(byte, b'/' | b'>' | b'='));
        let (name, next) = (&source[at..end], until(end, &|byte| !blank(byte)));
        if bytes.get(next) != Some(&b'=') {
            found.push(Attribute { name, value: "", at: end });
            at = end;
            continue;
        }
        let start = until(next + 1, &|byte| !blank(byte));
        let (from, to) = match bytes.get(start) {
            Some(quote @ (b'"' | b'\'')) => (start + 1, until(start + 1, &|byte| byte == *quote)),
            _ => (start, until(start, &|byte| blank(byte) || byte == b'>')),
        };
        found.push(Attribute { name, value: &source[from..to], at: from });
        at = if from > start { (to + 1).min(bytes.len()) } else { to };
    }
}

/// Bytes up to the next `<` that begins something.
fn next_markup(text: &str) -> usize {
    let bytes = text.as_bytes();
    let begins = |at: usize| match bytes.get(at + 1) {
        Some(b'!' | b'?') => true,
        Some(b'/') => bytes.get(at + 2).is_some_and(u8::is_ascii_alphabetic),
        Some(byte) => byte.is_ascii_alphabetic(),
        None => false,
    };
    let found = text.match_indices('<').find(|(at, _)| begins(*at));
    found.map_or(text.len(), |(at, _)| at)
}

fn end_of_raw(text: &str, element: &str) -> usize {
    let closes = |at: usize| {
        let name = text.as_bytes().get(at + 2..at + 2 + element.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(element.as_bytes()))
    };
    let found = text.match_indices("</").find(|(at, _)| closes(*at));
    found.map_or(text.len(), |(at, _)| at)
}

fn past(text: &str, byte: u8) -> usize {
    text.bytes().position(|other| other == byte).map_or(text.len(), |at| at + 1)
}

fn name(text: &str) -> &str {
    let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>');
    &text[..text.find(ends).unwrap_or(text.len())]
}
