//! Batches whose index is gone, found by the keys beside their rows.
//!
//! Their numbers follow where just as many are missing at their place in the run. What they hold can be compared with
//! nothing: their checksums were in the index.

use crate::index_row::BatchEntry;
use crate::scan::Scan;
use crate::scan_channel::ScannedChannel;

/// Rows that stand one behind the other and that no index names.
struct Gap {
    batches: Vec<BatchEntry>,
    /// Numbers of the batches before and after them.
    between: (u64, u64),
}

impl Scan {
    /// Find the batches of a channel that lost its index, or a part of it. Returns what was found, in words.
    ///
    /// Where two channels did, nobody can tell whose the missing numbers are.
    pub(crate) fn rebuild(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        let gaps: Vec<Vec<Gap>> = self.channels.iter().map(gaps).collect();
        let mut lacking = gaps.iter().enumerate().filter(|(_, gaps)| !gaps.is_empty());
        let (Some((channel, gaps)), None) = (lacking.next(), lacking.next()) else {
            return found;
        };
        let mut batches = Vec::new();
        for gap in gaps {
            let (before, after) = gap.between;
            let last = after.min(self.watermark.sequence + 1);
            // A damaged watermark can hide, or leave missing, more numbers than there is time to count.
            let enough = gap.batches.len() + 1;
            let missing = self.missing.iter();
            let missing =
                missing.flat_map(|&(first, end)| first.max(before + 1)..last.min(end + 1));
            let numbers: Vec<u64> = missing.take(enough).collect();
            if numbers.len() == gap.batches.len() {
                let named = gap.batches.iter().zip(numbers);
                batches.extend(named.map(|(batch, sequence)| BatchEntry {
                    sequence,
                    time: self.time_before(sequence),
                    ..*batch
                }));
            }
        }
        let numbers: Vec<u64> = batches.iter().map(|batch| batch.sequence).collect();
        let channel = &mut self.channels[channel];
        batches.retain(|batch| {
            channel
                .rows(batch)
                .and_then(|rows| rows.check_rows())
                .is_ok()
        });
        if !batches.is_empty() {
            found.push(format!(
                "{} batches of `{}` lost their index: they are as their keys say and could be compared with nothing",
                batches.len(),
                channel.name
            ));
        }
        channel.batches.extend(batches);
        channel.batches.sort_by_key(|batch| batch.sequence);
        self.remove_missing(&numbers);
        found
    }

    /// When the last known batch before a record was recorded.
    fn time_before(&self, sequence: u64) -> i64 {
        let times = self.channels.iter().filter_map(|channel| {
            let after = channel
                .batches
                .partition_point(|batch| batch.sequence < sequence);
            let before = &channel.batches[after.checked_sub(1)?];
            Some((before.sequence, before.time))
        });
        times.max().map_or(0, |(_, time)| time)
    }
}

/// The rows of a channel that no index entry names, each run of equal keys as a batch. A damaged entry is no gap:
/// the checksum of its batch is there, and cannot be trusted.
fn gaps(channel: &ScannedChannel) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if channel.has_damaged_entries {
        return gaps;
    }
    let (mut next_row, mut before) = (0, 0);
    let end = (u64::MAX, 0, u64::MAX);
    for &(row_start, rows, sequence) in channel.named.iter().chain([&end]) {
        let batches = channel.keyed_rows(next_row..row_start);
        if !batches.is_empty() {
            let between = (before, sequence);
            gaps.push(Gap { batches, between });
        }
        (next_row, before) = (row_start.saturating_add(rows), sequence);
    }
    gaps
}
