//! What is left of a store after a loss of power: only what proves itself is believed.
//!
//! The system writes pages back in any order. What the writer has synced is on disk; of what came later any page
//! may be old, new or missing.

use crate::description::{StoreDescription, boot_id};
use crate::watermark::Watermark;

/// Whether the machine was started again while the store was open.
pub(crate) fn lost_power(watermark: &Watermark, description: &StoreDescription) -> bool {
    let mut sessions = description.sessions.iter();
    let writer = sessions.find(|session| session.session == watermark.session);
    !watermark.closed && writer.is_none_or(|writer| writer.boot_id != boot_id())
}

/// The last number up to which every visible one was found. The error is a number that is missing although it was
/// on disk.
pub(crate) fn last_proven(mut found: Vec<u64>, watermark: &Watermark) -> Result<u64, u64> {
    found.sort_unstable();
    found.dedup();
    let mut found = found.into_iter();
    let mut visible = watermark
        .hidden
        .visible(watermark.sequence)
        .flat_map(|range| range.after + 1..=range.through);
    match visible.find(|&sequence| found.next() != Some(sequence)) {
        Some(missing) if missing <= watermark.durable => Err(missing),
        Some(missing) => Ok(missing - 1),
        None => Ok(watermark.sequence),
    }
}
