//! Many numbers in little memory: a bit for each, in blocks that are there only where numbers are.

use std::collections::BTreeMap;
use std::iter::successors;
use std::ops::RangeInclusive;

const WORDS: usize = 64;
const WORD_BITS: u64 = u64::BITS as u64;
const BLOCK: u64 = WORDS as u64 * WORD_BITS;

/// A set of numbers that mostly lie close together.
#[derive(Default)]
pub(crate) struct NumberSet {
    blocks: BTreeMap<u64, Box<[u64; WORDS]>>,
}

impl NumberSet {
    pub(crate) fn insert(&mut self, number: u64) {
        let block = self.blocks.entry(number / BLOCK);
        let words = block.or_insert_with(|| Box::new([0; WORDS]));
        words[(number % BLOCK / WORD_BITS) as usize] |= 1 << (number % WORD_BITS);
    }

    /// Those in a range that is not empty, in order.
    pub(crate) fn range(&self, range: RangeInclusive<u64>) -> impl Iterator<Item = u64> {
        let blocks = self
            .blocks
            .range(range.start() / BLOCK..=range.end() / BLOCK);
        let numbers = blocks.flat_map(|(block, words)| {
            words.iter().enumerate().flat_map(move |(word, &bits)| {
                let start = block * BLOCK + word as u64 * WORD_BITS;
                places(bits).map(move |place| start + place)
            })
        });
        numbers.filter(move |number| range.contains(number))
    }

    pub(crate) fn last(&self) -> Option<u64> {
        let (block, words) = self.blocks.last_key_value()?;
        let word = words.iter().rposition(|&word| word != 0)?;
        let place = u64::from(words[word].ilog2());
        Some(block * BLOCK + word as u64 * WORD_BITS + place)
    }
}

/// The places of the bits that are set.
fn places(word: u64) -> impl Iterator<Item = u64> {
    let rest = |word: u64| (word != 0).then_some(word);
    successors(rest(word), move |word| rest(word & (word - 1)))
        .map(|word| u64::from(word.trailing_zeros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_order() {
        let numbers = [
            0,
            1,
            63,
            64,
            4095,
            4096,
            4097,
            1 << 40,
            u64::MAX - 1,
            u64::MAX,
        ];
        let mut set = NumberSet::default();
        assert_eq!(set.last(), None);
        for &number in numbers.iter().rev() {
            set.insert(number);
        }
        assert_eq!(set.range(0..=u64::MAX).collect::<Vec<_>>(), numbers);
        assert_eq!(set.last(), Some(u64::MAX));
        assert_eq!(set.range(64..=4096).collect::<Vec<_>>(), numbers[3..6]);
        assert_eq!(set.range(2..=62).count(), 0);
    }
}
