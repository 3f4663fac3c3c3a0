//! Where YAML values really start and end; the parser's marks count characters and include anchors, tags and trailing space.

use std::ops::Range;

use saphyr_parser::{ScalarStyle, Span};

pub(super) struct Places<'s> {
    text: &'s str,
    /// Byte offset of each character; empty where the text is ASCII.
    offsets: Vec<usize>,
}

impl<'s> Places<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        let offsets = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(offset, _)| offset).collect()
        };
        Self { text, offsets }
    }

    pub(super) fn byte(&self, character: usize) -> usize {
        if self.offsets.is_empty() {
            return character.min(self.text.len());
        }
        self.offsets
            .get(character)
            .copied()
            .unwrap_or(self.text.len())
    }

    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }

    pub(super) fn scalar(
        &self,
        range: Range<usize>,
        value: &str,
        style: ScalarStyle,
        has_properties: bool,
    ) -> Range<usize> {
        let start = self.content_start(range.clone(), has_properties);
        match style {
            ScalarStyle::Plain if value.is_empty() && !has_properties => self.absent(range.start),
            ScalarStyle::Plain if value.is_empty() => range,
            ScalarStyle::Plain => start..range.end,
            ScalarStyle::SingleQuoted => start..self.single_quoted_end(start).min(range.end),
            ScalarStyle::DoubleQuoted => start..self.double_quoted_end(start).min(range.end),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let start = if has_properties {
                    self.after_header(start)
                } else {
                    start
                };
                let end = self.text[..range.end].trim_end().len();
                start.min(end.max(range.start))..end.max(start)
            }
        }
    }

    /// Where the value starts behind its anchor and tag.
    pub(super) fn content_start(&self, range: Range<usize>, has_properties: bool) -> usize {
        let mut offset = range.start;
        if !has_properties {
            return offset;
        }
        loop {
            let rest = &self.text[offset..];
            let length = match rest.as_bytes().first() {
                Some(b'!') if rest.starts_with("!<") => {
                    rest.find('>').map_or(rest.len(), |end| end + 1)
                }
                Some(b'!' | b'&') => rest
                    .find(|next: char| next.is_whitespace() || ",[]{}".contains(next))
                    .unwrap_or(rest.len()),
                Some(b'#') => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                Some(byte) if byte.is_ascii_whitespace() => 1,
                _ => return offset,
            };
            offset += length;
        }
    }

    /// The tag that stands before a value on its line, up to the value.
    pub(super) fn tag_before(&self, value: usize) -> Option<Range<usize>> {
        let line = self.text[..value].rfind('\n').map_or(0, |end| end + 1);
        let before = &self.text[line..value];
        let starts = before.match_indices('!').map(|(at, _)| at);
        let mut starts = starts.filter(|&at| at == 0 || " \t[{,".contains(&before[at - 1..at]));
        let start = starts.next_back()?;
        // With the spaces behind it, as it is removed.
        Some(line + start..value)
    }

    /// A value that is not written stands, without width, behind its colon or dash.
    fn absent(&self, offset: usize) -> Range<usize> {
        let end = if self.text[offset..].starts_with(':') {
            offset + 1
        } else {
            self.text[..offset].trim_end().len()
        };
        end..end
    }

    fn single_quoted_end(&self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut offset = start + 1;
        while offset < bytes.len() {
            match bytes[offset] {
                b'\'' if bytes.get(offset + 1) == Some(&b'\'') => offset += 2,
                b'\'' => return offset + 1,
                _ => offset += 1,
            }
        }
        bytes.len()
    }

    fn double_quoted_end(&self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut offset = start + 1;
        while offset < bytes.len() {
            match bytes[offset] {
                b'\\' => offset += 2,
                b'"' => return offset + 1,
                _ => offset += 1,
            }
        }
        bytes.len()
    }

    /// The first character of a block scalar's text, as where no anchor or tag stands before its header.
    fn after_header(&self, header: usize) -> usize {
        let rest = &self.text[header..];
        let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let blank = rest[line..].len() - rest[line..].trim_start().len();
        header + line + blank
    }
}
