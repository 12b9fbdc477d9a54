//! Where in a page the markers stand, and whether the page is the same whatever they become.

use super::Obstacle;
use super::assembly::{Marker, Role};
use crate::template::markup::{self, Item, Tag};

/// Selectors that ask what stands beside an element: blocks would change the answer.
const NEIGHBOURS: [&str; 9] =
    [":first", ":last", ":nth", ":only", ":empty", ":has", "+", "~", ":root"];

const DYNAMIC_CLASS: &str = "a class or an id depends on the message";
const DYNAMIC_STYLE: &str = "a style depends on the message in more than a value";
const DYNAMIC_TAG: &str = "a tag depends on the message in more than the value of an attribute";
const DYNAMIC_SHEET: &str = "the style sheet depends on the message";
const RAW_VALUE: &str = "markup of the message is put in as it is";
const UNBALANCED: &str = "a block opens or closes more elements than it closes or opens";
const NEIGHBOUR: &str = "the style sheet asks for neighbours, which a block changes";
const BY_ATTRIBUTE: &str = "the style sheet asks for attributes, which depend on the message";

/// The page with every marker that stands between elements made a comment, which no parser moves.
/// Says of each marker whether it is one.
pub(super) fn marked(html: &str, prefix: &str, markers: &mut [Marker]) -> Result<String, Obstacle> {
    let mut reader = Reader::new(prefix, markers, html.len());
    let mut items = markup::items(html);
    while let Some(item) = items.next() {
        reader.item(&item)?;
        if let Item::Open(tag) = &item
            && tag.is("table")
            && begins_with_marker(items.clone(), prefix)
        {
            // A parser would open it at the first row, inside a block.
            reader.out.push_str("<tbody>");
            reader.open.push("tbody".to_owned());
        }
    }
    reader.sheet()?;
    Ok(reader.out)
}

/// Whether blocks still hold whole elements once the page has been through a parser.
pub(super) fn still_balanced(html: &str, prefix: &str, markers: &mut [Marker]) -> bool {
    let mut reader = Reader::new(prefix, markers, 0);
    reader.comments_are_markers = true;
    markup::items(html).all(|item| reader.item(&item).is_ok())
}

struct Reader<'a> {
    prefix: &'a str,
    markers: &'a mut [Marker],
    comments_are_markers: bool,
    out: String,
    /// Elements that are open.
    open: Vec<String>,
    /// Blocks that are open: where they began, and how many elements were open.
    blocks: Vec<(usize, usize, bool)>,
    /// Between elements 0; else the item or attribute one is in.
    context: usize,
    contexts: usize,
    sheet_asks_neighbours: bool,
    sheet_asks_attributes: bool,
    conditional: Option<usize>,
    in_attribute: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(prefix: &'a str, markers: &'a mut [Marker], capacity: usize) -> Self {
        Self {
            prefix,
            markers,
            comments_are_markers: false,
            out: String::with_capacity(capacity + capacity / 4),
            open: Vec::new(),
            blocks: Vec::new(),
            context: 0,
            contexts: 0,
            sheet_asks_neighbours: false,
            sheet_asks_attributes: false,
            conditional: None,
            in_attribute: None,
        }
    }

    fn item(&mut self, item: &Item<'_>) -> Result<(), Obstacle> {
        match item {
            Item::Text(text) => self.text(text),
            Item::Open(tag) => self.tag(tag),
            Item::Close { name, source } => {
                self.out.push_str(source);
                self.close(name)
            }
            Item::Raw { element, text } => {
                self.out.push_str(text);
                if element.eq_ignore_ascii_case("style") {
                    self.style(text);
                }
                let of_sheet = element.eq_ignore_ascii_case("style");
                self.inside(
                    text,
                    |role| {
                        if of_sheet { Err(DYNAMIC_SHEET) } else { allowed_value(role) }
                    },
                )
            }
            Item::Other(source) => self.other(source),
        }
    }

    fn other(&mut self, source: &str) -> Result<(), Obstacle> {
        let within = source.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
        let alone = within.and_then(|within| whole_marker(within, self.prefix));
        if let (true, Some(index)) = (self.comments_are_markers, alone)
            && self.markers.get(index).is_some_and(|marker| marker.between)
        {
            return self.between(index);
        }
        self.out.push_str(source);
        self.inside(source, allowed_value)
    }

    fn text(&mut self, text: &str) -> Result<(), Obstacle> {
        let mut rest = text;
        while let Some((at, width, index)) = next_marker(rest, self.prefix) {
            self.out.push_str(&rest[..at]);
            self.out.push_str("<!--");
            self.out.push_str(&rest[at..at + width]);
            self.out.push_str("-->");
            if let Some(marker) = self.markers.get_mut(index) {
                marker.between = true;
            }
            self.between(index)?;
            rest = &rest[at + width..];
        }
        self.out.push_str(rest);
        Ok(())
    }

    fn between(&mut self, index: usize) -> Result<(), Obstacle> {
        if self.markers.get(index).is_some_and(|marker| marker.role == Role::Markup) {
            return Err(self.obstacle(index, RAW_VALUE));
        }
        self.context = 0;
        self.block(index)
    }

    fn tag(&mut self, tag: &Tag<'_>) -> Result<(), Obstacle> {
        self.out.push_str(tag.source);
        let mut seen = 0;
        for attribute in &tag.attributes {
            let dynamic = next_marker(attribute.value, self.prefix);
            let Some((_, _, first)) = dynamic else {
                continue;
            };
            seen += count(attribute.value, self.prefix);
            let named = |name: &str| attribute.name.eq_ignore_ascii_case(name);
            if named("class") || named("id") {
                return Err(self.obstacle(first, DYNAMIC_CLASS));
            }
            self.in_attribute.get_or_insert(first);
            let style = named("style");
            self.inside(attribute.value, |role| match (style, role) {
                (true, Role::Value) | (false, _) => allowed_value(role),
                (true, _) => Err(DYNAMIC_STYLE),
            })?;
        }
        if count(tag.source, self.prefix) > seen {
            let index = next_marker(tag.source, self.prefix).map_or(0, |(_, _, index)| index);
            return Err(self.obstacle(index, DYNAMIC_TAG));
        }
        if !tag.is_void() && !tag.source.ends_with("/>") {
            self.open.push(tag.name.to_ascii_lowercase());
        }
        Ok(())
    }

    /// Markers within one text that is no place for elements.
    fn inside(
        &mut self,
        text: &str,
        allowed: impl Fn(Role) -> Result<(), &'static str>,
    ) -> Result<(), Obstacle> {
        self.contexts += 1;
        self.context = self.contexts;
        let mut rest = text;
        while let Some((at, width, index)) = next_marker(rest, self.prefix) {
            if let Some(role) = self.markers.get(index).map(|marker| marker.role) {
                allowed(role).map_err(|reason| self.obstacle(index, reason))?;
            }
            self.block(index)?;
            rest = &rest[at + width..];
        }
        self.context = 0;
        Ok(())
    }

    fn block(&mut self, index: usize) -> Result<(), Obstacle> {
        let Some(role) = self.markers.get(index).map(|marker| marker.role) else {
            return Ok(());
        };
        match role {
            Role::Value | Role::Markup => return Ok(()),
            Role::Open { conditional } => {
                if conditional && self.context == 0 {
                    self.conditional.get_or_insert(index);
                }
                self.blocks.push((self.context, self.open.len(), conditional));
                return Ok(());
            }
            Role::Else | Role::Close => {}
        }
        let block =
            if role == Role::Close { self.blocks.pop() } else { self.blocks.last().copied() };
        match block {
            Some((context, depth, conditional))
                if context == self.context && (!conditional || depth == self.open.len()) =>
            {
                Ok(())
            }
            _ => Err(self.obstacle(index, UNBALANCED)),
        }
    }

    fn close(&mut self, name: &str) -> Result<(), Obstacle> {
        let name = name.to_ascii_lowercase();
        let Some(at) = self.open.iter().rposition(|open| *open == name) else {
            return Ok(());
        };
        // Only these may be left open; another that is closed over would be moved by a parser.
        let implied =
            ["p", "li", "td", "th", "tr", "tbody", "thead", "tfoot", "dt", "dd", "option"];
        let moved = !self.open[at + 1..].iter().all(|open| implied.contains(&open.as_str()));
        self.open.truncate(at);
        let least = self.blocks.iter().filter(|(_, _, conditional)| *conditional).map(|b| b.1);
        let below = least.max().is_some_and(|depth| at < depth);
        let conditional = self.blocks.iter().any(|(_, _, conditional)| *conditional);
        if below || (moved && conditional) {
            return Err(Obstacle { reason: UNBALANCED, place: None });
        }
        Ok(())
    }

    fn style(&mut self, sheet: &str) {
        for piece in sheet.split('{') {
            let from = piece.rfind(['}', ';']).map_or(0, |at| at + 1);
            let selector = piece[from..].trim();
            if !selector.starts_with('@') {
                self.sheet_asks_neighbours |= NEIGHBOURS.iter().any(|ask| selector.contains(ask));
                self.sheet_asks_attributes |= selector.contains('[');
            }
        }
    }

    fn sheet(&self) -> Result<(), Obstacle> {
        match (self.conditional, self.in_attribute) {
            (Some(index), _) if self.sheet_asks_neighbours => Err(self.obstacle(index, NEIGHBOUR)),
            (_, Some(index)) if self.sheet_asks_attributes => {
                Err(self.obstacle(index, BY_ATTRIBUTE))
            }
            _ => Ok(()),
        }
    }

    fn obstacle(&self, index: usize, reason: &'static str) -> Obstacle {
        let marker = self.markers.get(index);
        Obstacle { reason, place: marker.map(|marker| marker.place.clone()) }
    }
}

/// A value that is not escaped may end the attribute or the comment it stands in.
fn allowed_value(role: Role) -> Result<(), &'static str> {
    if role == Role::Markup { Err(RAW_VALUE) } else { Ok(()) }
}

/// The next marker of a text: where it is, how long, and its number.
pub(super) fn next_marker(text: &str, prefix: &str) -> Option<(usize, usize, usize)> {
    let at = text.find(prefix)?;
    let digits = &text[at + prefix.len()..];
    let end = digits.find('z')?;
    Some((at, prefix.len() + end + 1, digits[..end].parse().ok()?))
}

fn whole_marker(text: &str, prefix: &str) -> Option<usize> {
    let (at, width, index) = next_marker(text, prefix)?;
    (at == 0 && width == text.len()).then_some(index)
}

pub(super) fn count(text: &str, prefix: &str) -> usize {
    text.matches(prefix).count()
}

fn begins_with_marker<'a>(items: impl Iterator<Item = Item<'a>>, prefix: &str) -> bool {
    let mut marked = false;
    for item in items {
        match item {
            Item::Text(text) => marked |= text.contains(prefix),
            Item::Open(tag) => return marked && tag.is("tr"),
            Item::Other(_) => {}
            Item::Close { .. } | Item::Raw { .. } => return false,
        }
    }
    false
}
