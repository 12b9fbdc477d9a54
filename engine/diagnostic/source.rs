use std::sync::Arc;

/// A file's text, with its name and the starts of its lines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Source(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: Arc<str>,
    text: Arc<str>,
    lines: Vec<usize>,
}

impl Source {
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(index, _)| index + 1)).collect();
        Self(Arc::new(Inner { path: path.into(), text, lines }))
    }

    pub fn path(&self) -> &str {
        &self.0.path
    }

    pub fn path_shared(&self) -> Arc<str> {
        Arc::clone(&self.0.path)
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub fn text_shared(&self) -> Arc<str> {
        Arc::clone(&self.0.text)
    }

    /// (line, column) of a byte, both from 1, the column in characters. Past the end: the end.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.0.text.len());
        while !self.0.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.0.lines.partition_point(|start| *start <= offset);
        let start = self.0.lines[line - 1];
        (line, self.0.text[start..offset].chars().count() + 1)
    }

    /// The byte of a (line, column), both from 1; the nearest where there is no such place.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.line_start(line);
        let text = self.line(line);
        let within = text.char_indices().nth(column.saturating_sub(1));
        start + within.map_or(text.len(), |(index, _)| index)
    }

    /// A line's text without its end, from 1. Empty for one that is not there.
    pub fn line(&self, line: usize) -> &str {
        let start = self.line_start(line);
        let end = self.0.lines.get(line).copied().unwrap_or(self.0.text.len());
        self.0.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// `path:line` of a byte, as decisions name their rule.
    pub fn place(&self, offset: usize) -> Arc<str> {
        let (line, _) = self.position(offset);
        format!("{}:{line}", self.0.path).into()
    }

    fn line_start(&self, line: usize) -> usize {
        let index = line.saturating_sub(1);
        self.0.lines.get(index).copied().unwrap_or(self.0.text.len())
    }
}
