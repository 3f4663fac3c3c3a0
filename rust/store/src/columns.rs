//! What the columns of a chunk are made of, whatever the channel.

use std::ops::Add;

use arrow_schema::{DataType, Field, Schema, TimeUnit};

const OFFSET_BYTES: usize = size_of::<i32>();

/// Rows, and the elements of regions whose rows differ in length: numbers, or bytes of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) rows: u64,
    pub(crate) items: u64,
}

impl Extent {
    pub(crate) fn rows(rows: u64) -> Self {
        Self { rows, items: 0 }
    }

    pub(crate) fn fits(self, room: Self) -> bool {
        self.rows <= room.rows && self.items <= room.items
    }
}

impl Add for Extent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            items: self.items + other.items,
        }
    }
}

/// One region of a chunk. A column has one or several of them, in the order of Arrow's arrays.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// One number of this many bytes.
    Plain { bytes: usize },
    /// A fixed number of numbers.
    List { length: usize, item_bytes: usize },
    /// A string view of 16 bytes; text longer than 12 bytes stands in the column's text region.
    View,
    /// A struct of the storages that follow; it has no bytes of its own.
    Struct,
    /// Where each row ends among the items or the text that follows, as i32, with a 0 before the first.
    Offsets,
    /// The numbers of all rows.
    Items { bytes: usize },
    /// The text of all rows.
    Text,
}

impl Storage {
    /// Bytes that grow with the rows.
    pub(crate) fn row_bytes(&self) -> usize {
        match self {
            Self::Plain { bytes } => *bytes,
            Self::List { length, item_bytes } => length * item_bytes,
            Self::View => 16,
            Self::Offsets => OFFSET_BYTES,
            Self::Struct | Self::Items { .. } | Self::Text => 0,
        }
    }

    /// Buffers in front of its own that say which values are null: they are empty, as nothing is.
    pub(crate) fn empty_buffers(&self) -> usize {
        match self {
            // Its array is that of the offsets before it.
            Self::Text => 0,
            Self::List { .. } => 2,
            _ => 1,
        }
    }

    /// Bytes that grow with the items.
    pub(crate) fn item_bytes(&self) -> usize {
        match self {
            Self::Items { bytes } => *bytes,
            Self::Text => 1,
            _ => 0,
        }
    }

    /// Bytes of the region for so much. None where a damaged file asks for more than there can be.
    pub(crate) fn bytes(&self, extent: Extent) -> Option<u64> {
        let first = match self {
            Self::Offsets => OFFSET_BYTES as u64,
            _ => 0,
        };
        let rows = extent.rows.checked_mul(self.row_bytes() as u64)?;
        let items = extent.items.checked_mul(self.item_bytes() as u64)?;
        first.checked_add(rows)?.checked_add(items)
    }
}

/// A column and the regions that it is made of.
pub(crate) type Column = (Field, Vec<Storage>);

/// The columns that all chunks of one channel have.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    schema: Schema,
    storages: Vec<Storage>,
    // How many of the storages belong to each field.
    counts: Vec<usize>,
}

impl Columns {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        let (fields, storages): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        Self {
            schema: Schema::new(fields),
            counts: storages.iter().map(Vec::len).collect(),
            storages: storages.into_iter().flatten().collect(),
        }
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Bytes of a row, without the items that rows differ in.
    pub(crate) fn row_bytes(&self) -> usize {
        self.storages.iter().map(Storage::row_bytes).sum()
    }

    /// The region that says where rows end, if rows differ in length.
    pub(crate) fn offsets(&self) -> Option<usize> {
        let mut storages = self.storages.iter();
        storages.position(|storage| matches!(storage, Storage::Offsets))
    }

    /// Bytes of an item.
    pub(crate) fn item_bytes(&self) -> usize {
        self.storages.iter().map(Storage::item_bytes).sum()
    }

    /// All regions, one column after the other: their numbers are those that writers and readers use.
    pub(crate) fn storages(&self) -> &[Storage] {
        &self.storages
    }

    /// Each field with its regions.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&Field, &[Storage])> {
        let mut start = 0;
        self.schema
            .fields()
            .iter()
            .zip(&self.counts)
            .map(move |(field, count)| {
                start += count;
                (field.as_ref(), &self.storages[start - count..start])
            })
    }
}

pub(crate) fn plain(name: &str, data_type: DataType, bytes: usize) -> Column {
    let field = Field::new(name, data_type, false);
    (field, vec![Storage::Plain { bytes }])
}

pub(crate) fn view(name: &str) -> Column {
    let field = Field::new(name, DataType::Utf8View, false);
    (field, vec![Storage::View])
}

pub(crate) fn time(name: &str) -> Column {
    plain(
        name,
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        8,
    )
}
