//! The parts of a chunk that follow from its columns and its capacity, compared byte by byte.
//!
//! A reader of ours uses only what it needs of them; other readers of Arrow files use other parts.

use crate::chunk_map::{ATTEMPTS, ChunkMap};
use crate::columns::{Columns, Extent};
use crate::error::Result;
use crate::layout::Layout;
use crate::superblock::{Features, SEALED, SUPERBLOCK_BYTES, Superblock};

/// Compare everything but rows and texts: messages, superblock, footer, and the zeros between them.
pub(crate) fn check_fixed_parts(map: &ChunkMap, columns: &Columns) -> Result<()> {
    let superblock = map.superblock()?;
    if superblock.features != Features::default() {
        // A later version may have added to any of them.
        return Ok(());
    }
    let capacity = Extent {
        rows: superblock.capacity,
        items: map.item_capacity(),
    };
    let layout = Layout::new(columns, capacity);
    compare(map, 0, &layout.preamble, "the schema message is damaged")?;
    check_commit(map, columns, &layout)?;
    for gap in layout.gaps() {
        let length = gap.end.saturating_sub(gap.start) as usize;
        let reason = "there is something between two columns";
        compare(map, gap.start, &vec![0; length], reason)?;
    }
    compare(
        map,
        layout.ending_offset,
        &layout.ending,
        "the footer is damaged",
    )?;
    if map.file_bytes() != layout.file_bytes() {
        return Err(map.damaged(layout.file_bytes(), "there is something behind the footer"));
    }
    map.intact()
}

fn compare(map: &ChunkMap, start: u64, wanted: &[u8], reason: &str) -> Result<()> {
    let found = map.part(start, wanted.len());
    match difference(found, wanted) {
        None => Ok(()),
        Some(place) => {
            map.intact()?;
            Err(map.damaged(start + place as u64, reason))
        }
    }
}

/// Where bytes first differ.
fn difference(found: &[u8], wanted: &[u8]) -> Option<usize> {
    let same = found
        .iter()
        .zip(wanted)
        .position(|(left, right)| left != right);
    same.or((found.len() != wanted.len()).then_some(found.len().min(wanted.len())))
}

/// Compare the header of the record batch with the superblock. A read can meet a commit half way; the next one does
/// not.
fn check_commit(map: &ChunkMap, columns: &Columns, layout: &Layout) -> Result<()> {
    let start = layout.commit_offset();
    let mut place = 0;
    for _ in 0..ATTEMPTS {
        let found = map.changing_part(start, layout.commit_bytes());
        let superblock = found.first_chunk::<SUPERBLOCK_BYTES>();
        let superblock = superblock.map(|bytes| Superblock::parse(bytes, map.path(), start));
        let mut is_final = false;
        if let Some(Ok(superblock)) = superblock {
            is_final = superblock.flags & SEALED != 0;
            let items = columns
                .offsets()
                .map_or(0, |region| map.offset(region, superblock.rows));
            let items = items.min(layout.capacity.items);
            match difference(&found, &layout.commit(columns, superblock, items)) {
                None => return Ok(()),
                Some(difference) => place = difference,
            }
        }
        if is_final {
            break;
        }
        std::thread::yield_now();
    }
    map.intact()?;
    Err(map.damaged(
        start + place as u64,
        "the header of the record batch is damaged",
    ))
}
