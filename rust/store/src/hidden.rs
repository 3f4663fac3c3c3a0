//! Sequence numbers that no reader shows.

/// The numbers after `after`, up to and with `through`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SequenceRange {
    pub(crate) after: u64,
    pub(crate) through: u64,
}

/// The hidden numbers of a run as sorted ranges that do not touch each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hidden(Vec<SequenceRange>);

impl Hidden {
    /// As many as a slot of the watermark has room for.
    pub(crate) const MOST: usize = 251;

    /// None unless the ranges are few, sorted and apart from each other.
    pub(crate) fn from_sorted(ranges: Vec<SequenceRange>) -> Option<Self> {
        let whole = ranges.iter().all(|range| range.after < range.through);
        let sorted = ranges
            .windows(2)
            .all(|pair| pair[0].through < pair[1].after);
        (ranges.len() <= Self::MOST && whole && sorted).then_some(Self(ranges))
    }

    pub(crate) fn ranges(&self) -> &[SequenceRange] {
        &self.0
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        let before = self.0.partition_point(|range| range.through < sequence);
        self.0
            .get(before)
            .is_some_and(|range| range.after < sequence)
    }

    /// Hide the numbers after `after` up to `through`. False, and nothing is changed, where the ranges become too many.
    pub(crate) fn hide(&mut self, after: u64, through: u64) -> bool {
        let mut hidden = self.clone();
        hidden.insert(after, through);
        let fits = hidden.0.len() <= Self::MOST;
        if fits {
            *self = hidden;
        }
        fits
    }

    /// Hide numbers whose records are lost. Where the ranges become too many, the last two are made one;
    /// returns how many visible numbers lay between them.
    pub(crate) fn hide_lost(&mut self, after: u64, through: u64) -> u64 {
        self.insert(after, through);
        if self.0.len() <= Self::MOST {
            return 0;
        }
        let (before, last) = (self.0[Self::MOST - 1], self.0[Self::MOST]);
        self.insert(before.through, last.after);
        last.after - before.through
    }

    /// What is between the ranges, at or below a number.
    pub(crate) fn visible(&self, watermark: u64) -> impl Iterator<Item = SequenceRange> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|range| range.through));
        let ends = self.0.iter().map(|range| range.after);
        let ends = ends.chain(std::iter::once(u64::MAX));
        starts
            .zip(ends)
            .map(move |(after, through)| SequenceRange {
                after,
                through: through.min(watermark),
            })
            .filter(|visible| visible.after < visible.through)
    }

    fn insert(&mut self, after: u64, through: u64) {
        if after >= through {
            return;
        }
        let first = self.0.partition_point(|range| range.through < after);
        let end = self.0.partition_point(|range| range.after <= through);
        let touched = &self.0[first..end];
        let joined = SequenceRange {
            after: touched
                .first()
                .map_or(after, |range| range.after.min(after)),
            through: touched
                .last()
                .map_or(through, |range| range.through.max(through)),
        };
        self.0.splice(first..end, [joined]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(hidden: &Hidden) -> Vec<u64> {
        (0..100).filter(|&number| hidden.contains(number)).collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut hidden = Hidden::default();
        for (after, through) in [(10, 12), (20, 25), (12, 13), (5, 5), (18, 20), (2, 11)] {
            assert!(hidden.hide(after, through));
        }
        let expected: Vec<u64> = (3..=13).chain(19..=25).collect();
        assert_eq!(numbers(&hidden), expected);
        assert_eq!(hidden.ranges().len(), 2);
        assert_eq!(
            Hidden::from_sorted(hidden.ranges().to_vec()),
            Some(hidden.clone())
        );
        let shown: Vec<u64> = hidden
            .visible(30)
            .flat_map(|range| range.after + 1..=range.through)
            .collect();
        assert_eq!(shown, [1, 2, 14, 15, 16, 17, 18, 26, 27, 28, 29, 30]);
        assert_eq!(hidden.visible(13).count(), 1);
    }

    #[test]
    fn ranges_out_of_order_are_refused() {
        let range = |after, through| SequenceRange { after, through };
        assert_eq!(Hidden::from_sorted(vec![range(3, 3)]), None);
        assert_eq!(Hidden::from_sorted(vec![range(3, 5), range(5, 6)]), None);
        assert_eq!(Hidden::from_sorted(vec![range(7, 8), range(5, 6)]), None);
    }

    #[test]
    fn there_is_an_end_to_the_ranges() {
        let mut hidden = Hidden::default();
        for number in 0..Hidden::MOST as u64 {
            assert!(hidden.hide(10 * number, 10 * number + 1));
        }
        let full = hidden.clone();
        assert!(!hidden.hide(5000, 5001));
        assert_eq!(hidden, full);
        assert_eq!(hidden.hide_lost(5000, 5001), 5000 - 2501);
        assert_eq!(hidden.ranges().len(), Hidden::MOST);
        assert!(hidden.contains(4000) && !hidden.contains(2500));
        assert!(hidden.hide(100, 5001));
        assert_eq!(hidden.ranges().len(), 11);
    }
}
