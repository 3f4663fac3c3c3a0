//! A text whose byte offsets can be told as line and column.

use std::fmt;
use std::ops::Range;

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

pub(super) struct Source {
    text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// Lines end where Python's universal newlines and YAML end them: `\n`, `\r\n` and a lone `\r`.
    pub(super) fn new(text: String) -> Self {
        let bytes = text.as_bytes();
        let breaks = (0..bytes.len()).filter(|&offset| match bytes[offset] {
            b'\n' => true,
            b'\r' => bytes.get(offset + 1) != Some(&b'\n'),
            _ => false,
        });
        let line_starts = std::iter::once(0)
            .chain(breaks.map(|offset| offset + 1))
            .collect();
        Self { text, line_starts }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let before = &self.text.as_bytes()[self.line_starts[line - 1]..offset];
        let characters = before.iter().filter(|&&byte| is_boundary(byte)).count();
        Place {
            line,
            column: characters + 1,
        }
    }

    /// The character at `offset`; nothing at the end of the text.
    pub(super) fn character(&self, offset: usize) -> Range<usize> {
        let length = self.text[offset..].chars().next().map_or(0, char::len_utf8);
        offset..offset + length
    }
}

fn is_boundary(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}
