//! One look at every value of some columns: which rows are the same, and which values are not finite.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, GenericListArray, OffsetSizeTrait};
use arrow_schema::DataType;
use twox_hash::XxHash3_128;

use crate::division::Division;
use crate::header::{Fault, HeaderError, TableFormat};
use crate::table_rows::{first_null, read_rows};

/// Odd, and without pattern.
const MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
/// The part of a hash that is left when a row number is put into its lowest bits.
const HASH_BITS: u128 = !0 << 32;

/// What was found in the columns that were added. It keeps 16 bytes for each row.
#[derive(Debug)]
pub struct RowScan {
    hashes: Vec<u128>,
    columns: Vec<ColumnScan>,
}

/// What was found in one column.
#[derive(Clone, Debug, Default)]
pub struct ColumnScan {
    /// How many values are NaN or infinite.
    pub not_finite: u64,
    /// The row of the first of them.
    pub first_not_finite: Option<u64>,
    /// Whether a value is no whole number.
    pub has_fractions: bool,
}

/// Rows of one split that are also in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The split that comes first.
    pub first: usize,
    /// The split that comes later.
    pub second: usize,
    /// How many rows of the later split are in the first.
    pub rows: u64,
    /// The lowest row of the later split that is, and the lowest of the first that it equals.
    pub example: (u32, u32),
}

impl RowScan {
    /// For a table of so many rows, none of whose columns was added.
    #[must_use]
    pub fn new(rows: u32) -> Self {
        Self {
            hashes: vec![0; rows as usize],
            columns: Vec::new(),
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.hashes.len()
    }

    /// What was found in each column, in the order in which they were added.
    #[must_use]
    pub fn columns(&self) -> &[ColumnScan] {
        &self.columns
    }

    /// Looks at a whole column: `bytes` are its rows, one after the other, of the type that numpy calls `dtype`.
    /// Returns false, having done nothing, for another type or if the bytes are not those of all rows.
    pub fn add(&mut self, dtype: &str, bytes: &[u8]) -> bool {
        let rows = self.hashes.len();
        let Some(item) = Item::named(dtype) else {
            return false;
        };
        if rows == 0 || !bytes.len().is_multiple_of(rows) {
            return bytes.is_empty();
        }
        self.columns.push(ColumnScan::default());
        self.look(self.columns.len() - 1, 0, item, bytes, bytes.len() / rows);
        true
    }

    /// Compares the rows of the splits, bit by bit.
    ///
    /// # Panics
    /// The division is of another number of rows.
    #[must_use]
    pub fn compare(&self, division: &Division) -> Comparison {
        let mut rows = self.hashes.clone();
        assert_eq!(rows.len(), division.rows());
        for (row, hash) in (0_u128..).zip(&mut rows) {
            *hash = *hash & HASH_BITS | row;
        }
        rows.sort_unstable();
        let split_of = splits_of_rows(division);
        let mut comparison = Comparison {
            distinct: 0,
            leaks: Vec::new(),
        };
        for equal in rows.chunk_by(|left, right| left & HASH_BITS == right & HASH_BITS) {
            comparison.distinct += 1;
            if equal.len() > 1 {
                comparison.note(equal, &split_of);
            }
        }
        comparison
            .leaks
            .sort_unstable_by_key(|leak| (leak.first, leak.second));
        comparison
    }

    fn look(
        &mut self,
        column: usize,
        first_row: usize,
        item: Item,
        bytes: &[u8],
        row_bytes: usize,
    ) {
        if row_bytes == 0 {
            return;
        }
        let hashes = self.hashes[first_row..].iter_mut();
        for (hash, row) in hashes.zip(bytes.chunks_exact(row_bytes)) {
            *hash = hash
                .wrapping_mul(MULTIPLIER)
                .wrapping_add(XxHash3_128::oneshot(row));
        }
        let scan = &mut self.columns[column];
        let look = match item {
            Item::Float16 => look_at::<2>(bytes, float16),
            Item::Float32 => look_at::<4>(bytes, |bytes| kind(f32::from_ne_bytes(bytes).into())),
            Item::Float64 => look_at::<8>(bytes, |bytes| kind(f64::from_ne_bytes(bytes))),
            Item::Whole => return,
        };
        scan.has_fractions |= look.has_fractions;
        scan.not_finite += look.not_finite;
        if let (None, Some(item)) = (scan.first_not_finite, look.first_not_finite) {
            let row = first_row + item * look.item_bytes / row_bytes;
            scan.first_not_finite = Some(row as u64);
        }
    }
}

/// Which rows of the splits are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How many different rows there are in all.
    pub distinct: u64,
    /// For each two splits that share rows.
    pub leaks: Vec<Leak>,
}

impl Comparison {
    /// `equal` are the hashes of equal rows, each with its row, in order.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the row is in the lowest bits"
    )]
    fn note(&mut self, equal: &[u128], split_of: &[u16]) {
        // (split, how many rows of it, its lowest)
        let mut splits: Vec<(usize, u64, u32)> = Vec::new();
        for &packed in equal {
            let row = packed as u32;
            let split = usize::from(split_of[row as usize]);
            match splits.iter_mut().find(|known| known.0 == split) {
                Some(known) => known.1 += 1,
                None => splits.push((split, 1, row)),
            }
        }
        splits.sort_unstable();
        for (index, &(first, _, row)) in splits.iter().enumerate() {
            for &(second, rows, later) in &splits[index + 1..] {
                self.add(Leak {
                    first,
                    second,
                    rows,
                    example: (later, row),
                });
            }
        }
    }

    fn add(&mut self, more: Leak) {
        let same = |leak: &&mut Leak| (leak.first, leak.second) == (more.first, more.second);
        match self.leaks.iter_mut().find(same) {
            Some(leak) => {
                leak.rows += more.rows;
                leak.example = leak.example.min(more.example);
            }
            None => self.leaks.push(more),
        }
    }
}

fn splits_of_rows(division: &Division) -> Vec<u16> {
    let mut split_of = vec![0; division.rows()];
    for split in 0..division.splits() {
        for &row in division.split(split) {
            // Both came from here: rows are indexes, and a division has few splits.
            split_of[usize::try_from(row).unwrap_or(0)] = u16::try_from(split).unwrap_or(u16::MAX);
        }
    }
    split_of
}

/// Scans columns of numbers, or lists of them, of a table file. `columns` are their names, each with the number of
/// elements in a row.
///
/// # Errors
/// The file cannot be read; or a row has a null or another number of elements; or the file has other rows than said.
pub fn scan_file(
    path: &Path,
    format: TableFormat,
    columns: &[(String, usize)],
    rows: u32,
) -> Result<RowScan, HeaderError> {
    let mut scan = RowScan::new(rows);
    scan.columns = vec![ColumnScan::default(); columns.len()];
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let mut seen = 0;
    read_rows(path, format, &names, |first_row, arrays| {
        let first = usize::try_from(first_row).unwrap_or(usize::MAX);
        let count = arrays.first().map_or(0, |array| array.len());
        seen = first.saturating_add(count);
        if seen > scan.hashes.len() {
            return Err(Fault::damaged("it has more rows than its header says"));
        }
        for (index, (array, (name, elements))) in arrays.iter().zip(columns).enumerate() {
            let (item, bytes) = flat(array, name, *elements, first_row)?;
            let row_bytes = bytes.len().checked_div(count).unwrap_or(0);
            scan.look(index, first, item, &bytes, row_bytes);
        }
        Ok(())
    })?;
    if seen != rows as usize {
        return Err(Fault::damaged("it has fewer rows than its header says").at(path));
    }
    Ok(scan)
}

/// The bytes of all items under the lists of a column.
fn flat(
    array: &ArrayRef,
    name: &str,
    elements: usize,
    first_row: u64,
) -> Result<(Item, Vec<u8>), Fault> {
    let mut values = array.clone();
    let mut per_row = 1;
    loop {
        let row_of = |index: usize| first_row + (index / per_row.max(1)) as u64;
        if let Some(null) = first_null(&values) {
            return Err(Fault::null(name, row_of(null)));
        }
        let (length, next) = match values.data_type() {
            DataType::FixedSizeList(_, length) => {
                let length = usize::try_from(*length).unwrap_or(0);
                (length, values.as_fixed_size_list().values().clone())
            }
            DataType::List(_) => even(values.as_list::<i32>(), name, row_of)?,
            DataType::LargeList(_) => even(values.as_list::<i64>(), name, row_of)?,
            _ => break,
        };
        per_row *= length;
        values = next;
    }
    if per_row != elements && !array.is_empty() {
        let reason = format!("has {per_row} elements in row {first_row}, not {elements}");
        return Err(Fault::unusable("SP507", name, reason));
    }
    items(&values).ok_or_else(|| {
        let reason = format!("is {}, no numbers", values.data_type());
        Fault::unusable("SP507", name, reason)
    })
}

/// The length that all lists have, and what is in them.
fn even<O: OffsetSizeTrait>(
    lists: &GenericListArray<O>,
    name: &str,
    row_of: impl Fn(usize) -> u64,
) -> Result<(usize, ArrayRef), Fault> {
    let length = |index: usize| lists.value_length(index).as_usize();
    let expected = if lists.is_empty() { 0 } else { length(0) };
    if let Some(other) = (0..lists.len()).find(|&index| length(index) != expected) {
        let reason = format!(
            "has lists of different lengths: {} elements in row {}, {} in row {}",
            expected,
            row_of(0),
            length(other),
            row_of(other)
        );
        return Err(Fault::unusable("SP507", name, reason));
    }
    let offsets = lists.value_offsets();
    let start = offsets.first().map_or(0, |offset| offset.as_usize());
    Ok((
        expected,
        lists.values().slice(start, expected * lists.len()),
    ))
}

fn items(values: &ArrayRef) -> Option<(Item, Vec<u8>)> {
    if let Some(values) = values.as_boolean_opt() {
        let bytes = values.values().iter().map(u8::from).collect();
        return Some((Item::Whole, bytes));
    }
    let item = match values.data_type() {
        DataType::Float16 => Item::Float16,
        DataType::Float32 => Item::Float32,
        DataType::Float64 => Item::Float64,
        other if other.is_integer() => Item::Whole,
        _ => return None,
    };
    let width = values.data_type().primitive_width()?;
    let data = values.to_data();
    let start = data.offset() * width;
    let bytes = data
        .buffers()
        .first()?
        .get(start..start + data.len() * width)?;
    Some((item, bytes.to_vec()))
}

#[derive(Clone, Copy)]
enum Item {
    Float16,
    Float32,
    Float64,
    Whole,
}

impl Item {
    fn named(dtype: &str) -> Option<Self> {
        match dtype {
            "float16" => Some(Self::Float16),
            "float32" => Some(Self::Float32),
            "float64" => Some(Self::Float64),
            "bool" | "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32"
            | "uint64" => Some(Self::Whole),
            _ => None,
        }
    }
}

#[derive(PartialEq)]
enum Value {
    Whole,
    Fraction,
    NotFinite,
}

struct Look {
    item_bytes: usize,
    has_fractions: bool,
    not_finite: u64,
    first_not_finite: Option<usize>,
}

fn look_at<const WIDTH: usize>(bytes: &[u8], kind: impl Fn([u8; WIDTH]) -> Value) -> Look {
    let mut look = Look {
        item_bytes: WIDTH,
        has_fractions: false,
        not_finite: 0,
        first_not_finite: None,
    };
    let (items, _) = bytes.as_chunks::<WIDTH>();
    for (index, &item) in items.iter().enumerate() {
        match kind(item) {
            Value::Whole => {}
            Value::Fraction => look.has_fractions = true,
            Value::NotFinite => {
                look.not_finite += 1;
                look.first_not_finite.get_or_insert(index);
            }
        }
    }
    look
}

fn kind(value: f64) -> Value {
    if !value.is_finite() {
        Value::NotFinite
    } else if value.trunc() == value {
        Value::Whole
    } else {
        Value::Fraction
    }
}

fn float16(bytes: [u8; 2]) -> Value {
    let bits = u16::from_ne_bytes(bytes);
    let (exponent, mantissa) = (bits >> 10 & 0x1f, bits & 0x3ff);
    match exponent {
        0x1f => Value::NotFinite,
        0 if mantissa == 0 => Value::Whole,
        // Ten bits of the mantissa lie behind the point, fewer by one for each exponent above that of 1.
        15..25 if mantissa & (0x3ff >> (exponent - 15)) == 0 => Value::Whole,
        25.. => Value::Whole,
        _ => Value::Fraction,
    }
}
