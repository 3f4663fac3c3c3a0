//! Places of a mended text in the text that was given.

use std::ops::Range;

/// What was inserted and removed, in the order in which it was done.
#[derive(Default)]
pub(super) struct Shifts(Vec<(Range<usize>, usize)>);

impl Shifts {
    pub(super) fn add(&mut self, range: Range<usize>, length: usize) {
        self.0.push((range, length));
    }

    /// Where a byte of the mended text stands in the text that was given.
    pub(super) fn original(&self, offset: usize) -> usize {
        self.0.iter().rev().fold(offset, |offset, (range, length)| {
            if offset >= range.start + length {
                offset - length + range.len()
            } else {
                offset.min(range.end)
            }
        })
    }
}
