//! A mail's style sheet, written into the elements it speaks of: many mail readers know no other.
//!
//! What of a mail is known when its files are read is the layout, the body and the partials with
//! nothing filled in. They are put together with a marker for each expression, the sheet is
//! inlined once, and the texts between the markers go back to where they came from: a message
//! costs nothing more. Where markup depends on a message ([`Obstacle`]) its own page is inlined.

mod assembly;
mod context;

pub(super) use assembly::{Assembled, Partials, assembled};

use std::fmt;
use std::sync::{Arc, LazyLock};

use css_inline::{CSSInliner, InlineOptions};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

/// Bytes of inlined pages that are kept in case the same page comes again.
const CACHED_BYTES: u64 = 4 << 20;
const CACHED_PAGES: usize = 256;

const DOCTYPE: &str = "<!doctype html>";

/// Why a page must be inlined for each message, and the expression that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) reason: &'static str,
    /// Of the file, the line and the column; `None` for the page as a whole.
    pub(super) place: Option<(String, usize, usize)>,
}

/// The pages that are inlined for each message: the same page is inlined once.
pub(super) struct Pages(Cache<[u8; 32], Arc<str>, Bytes>);

#[derive(Clone)]
struct Bytes;

impl Weighter<[u8; 32], Arc<str>> for Bytes {
    fn weight(&self, _: &[u8; 32], page: &Arc<str>) -> u64 {
        page.len() as u64 + 64
    }
}

/// A whole page with its `<style>` inlined. What cannot stand in an element (`@media`, `:hover`)
/// stays in the sheet. No file is read and no address asked. `None` where it is no readable page.
pub fn inline_css(html: &str) -> Option<String> {
    static INLINER: LazyLock<CSSInliner<'static>> = LazyLock::new(|| {
        InlineOptions::default()
            .keep_style_tags(true)
            .remove_inlined_selectors(true)
            .keep_link_tags(true)
            .load_remote_stylesheets(false)
            .build()
    });
    let mut page = INLINER.inline(html).ok()?;
    // The parser writes it in capitals: what needs no change stays as it was written.
    let doctype = |page: &str| {
        let start = page.get(..DOCTYPE.len())?;
        start.eq_ignore_ascii_case(DOCTYPE).then(|| start.to_owned())
    };
    if let (Some(written), Some(_)) = (doctype(html), doctype(&page)) {
        page.replace_range(..DOCTYPE.len(), &written);
    }
    Some(page)
}

impl Pages {
    /// The page inlined; as it is where that cannot be done, since it is a page all the same.
    pub(super) fn inlined(&self, html: String) -> String {
        let key: [u8; 32] = Sha256::digest(html.as_bytes()).into();
        if let Some(page) = self.0.get(&key) {
            return page.as_ref().to_owned();
        }
        let Some(page) = inline_css(&html) else {
            return html;
        };
        self.0.insert(key, page.as_str().into());
        page
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self(Cache::with_weighter(CACHED_PAGES, CACHED_BYTES, Bytes))
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}
