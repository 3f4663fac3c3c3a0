//! Reading what the layout of the format implies where a file does not say it any more.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::chunk_map::ChunkMap;
use crate::columns::{Columns, Extent, Storage};
use crate::description::{ChannelDescription, ChannelKind};
use crate::error::{IoContext, Result, StoreError};
use crate::folder::ChannelKey;
use crate::input::open_input;
use crate::kind::{DTYPE_KEY, SHAPE_KEY};
use crate::layout::Layout;
use crate::superblock::{FORMAT, SUPERBLOCK_BYTES, Superblock};

/// Superblocks stand behind the schema, which is longer only for absurdly many columns.
const SEARCHED_BYTES: u64 = 64 << 10;
/// No chunk comes near this size; offsets in a larger file need not be looked at with care.
const MOST_BYTES: u64 = 1 << 44;
const ALIGNMENT: usize = 64;

/// What the files around a chunk say of it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Its capacity, had it grown as its number says.
    pub(crate) capacity: Extent,
    pub(crate) first_row: u64,
}

/// A chunk whose header is not as it should be, or that is cut short. Nothing of it is certain: who uses its rows
/// must compare them with checksums.
pub(crate) fn implied_chunk(path: &Path, columns: &Columns, place: Place) -> Result<ChunkMap> {
    let (file, size) = open_input(path)?;
    if size > MOST_BYTES {
        let reason = "the file is longer than any chunk";
        return Err(StoreError::damaged(path, MOST_BYTES, reason));
    }
    let found = find_superblock(&file, path)?;
    let capacity = implied_capacity(columns, size, found.as_ref()).unwrap_or(Extent {
        rows: found.map_or(place.capacity.rows, |superblock| superblock.capacity),
        items: place.capacity.items,
    });
    let needed = columns.storages().iter().map(|it| it.bytes(capacity));
    if needed
        .sum::<Option<u64>>()
        .is_none_or(|needed| needed > MOST_BYTES)
    {
        return Err(too_short(path, size));
    }
    let layout = Layout::new(columns, capacity);
    let superblock = found.unwrap_or(Superblock {
        capacity: capacity.rows,
        first_row: place.first_row,
        rows: capacity.rows,
        ..Superblock::default()
    });
    // Of a file of which most is gone nothing can be saved.
    if layout.file_bytes() > (2 * size).max(2 * place_bytes(columns, place)) {
        return Err(too_short(path, size));
    }
    ChunkMap::implied(path, &file, columns, &layout, superblock)
}

fn too_short(path: &Path, size: u64) -> StoreError {
    StoreError::damaged(path, size, "the file is too short for its chunk")
}

fn place_bytes(columns: &Columns, place: Place) -> u64 {
    Layout::new(columns, place.capacity).file_bytes()
}

fn find_superblock(file: &File, path: &Path) -> Result<Option<Superblock>> {
    let mut searched = Vec::new();
    file.take(SEARCHED_BYTES)
        .read_to_end(&mut searched)
        .context("read", path)?;
    let (blocks, _) = searched.as_chunks::<SUPERBLOCK_BYTES>();
    let found = blocks.iter().enumerate().find_map(|(number, block)| {
        let offset = number * ALIGNMENT;
        Superblock::parse(block, path, offset as u64).ok()
    });
    Ok(found.filter(|superblock| superblock.rows <= superblock.capacity))
}

/// The capacity with which a file has just this size.
fn implied_capacity(columns: &Columns, size: u64, known: Option<&Superblock>) -> Option<Extent> {
    let has_items = columns.item_bytes() > 0
        || columns
            .storages()
            .iter()
            .any(|storage| matches!(storage, Storage::View));
    match known {
        Some(superblock) if has_items => {
            let extent = |items| Extent {
                rows: superblock.capacity,
                items,
            };
            solve(columns, size, size, extent)
        }
        Some(superblock) => Some(Extent::rows(superblock.capacity)),
        None if has_items => None,
        None => {
            let most = size / columns.row_bytes().max(1) as u64;
            solve(columns, size, most, Extent::rows)
        }
    }
}

fn solve(
    columns: &Columns,
    size: u64,
    most: u64,
    extent: impl Fn(u64) -> Extent,
) -> Option<Extent> {
    let bytes = |number| Layout::new(columns, extent(number)).file_bytes();
    let (mut low, mut high) = (0, most + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if bytes(middle) <= size {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    // The largest of several: padding may make their files equally long.
    let largest = low.checked_sub(1)?;
    (bytes(largest) == size).then(|| extent(largest))
}

/// What the first chunk and the name of a folder say of a channel whose description cannot be read.
pub(crate) fn implied_description(folder: &Path, chunk: &Path) -> Result<ChannelDescription> {
    let schema = ChunkMap::schema(chunk)?;
    let unknown = |what: &str| StoreError::damaged(chunk, 16, format!("the schema has no {what}"));
    let field = schema.fields().first().ok_or_else(|| unknown("column"))?;
    let metadata = field.metadata();
    let dtype = metadata.get(DTYPE_KEY).ok_or_else(|| unknown("dtype"))?;
    let kind = match (dtype.as_str(), metadata.get(SHAPE_KEY)) {
        ("string" | "json", None) => ChannelKind::Text,
        (_, Some(shape)) if shape.contains("null") => ChannelKind::Ragged,
        _ => ChannelKind::Tensor,
    };
    let shape = metadata.get(SHAPE_KEY).map_or("[]", String::as_str);
    let shape = serde_json::from_str(shape).map_err(|_| unknown("shape"))?;
    let name = folder.file_name().and_then(|name| name.to_str());
    let key = name.and_then(ChannelKey::of_folder_name);
    let key = key.ok_or_else(|| unknown("labels, and the folder's name is shortened"))?;
    Ok(ChannelDescription {
        format: FORMAT,
        order: u32::MAX,
        kind,
        phase: key.phase,
        node: key.node,
        role: key.role,
        field: key.field,
        dtype: dtype.clone(),
        shape,
    })
}
