//! What rows have in common: equal values of some columns are one key.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use crate::header::{Fault, HeaderError, TableFormat};
use crate::table_rows::{first_null, read_rows};

/// The key of each row, numbered in the order in which they appear first.
#[derive(Debug)]
pub struct Keys {
    codes: Vec<u32>,
    counts: Vec<u32>,
    columns: Vec<KeyColumn>,
    first_rows: Vec<u32>,
}

/// One column: which of its values each row has.
#[derive(Debug, Default)]
pub struct KeyColumn {
    /// For each row, an index into `texts`.
    pub codes: Vec<u32>,
    /// The values as text.
    pub texts: Vec<String>,
}

impl Keys {
    /// Joins columns of the same length.
    #[must_use]
    pub fn new(columns: Vec<KeyColumn>) -> Self {
        let rows = columns.first().map_or(0, |column| column.codes.len());
        let mut codes = vec![0; rows];
        for column in &columns {
            let mut known = Interned::default();
            for (code, &more) in codes.iter_mut().zip(&column.codes) {
                *code = known.code((*code, more));
            }
        }
        let (mut counts, mut first_rows): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for (row, &code) in (0..).zip(&codes) {
            if code as usize == counts.len() {
                counts.push(0);
                first_rows.push(row);
            }
            counts[code as usize] += 1;
        }
        Self {
            codes,
            counts,
            columns,
            first_rows,
        }
    }

    /// The keys of some of the rows, numbered anew in their order; none where there is no such row.
    #[must_use]
    pub fn among(&self, rows: &[i64]) -> Option<Self> {
        let rows: Option<Vec<usize>> = rows.iter().map(|&row| usize::try_from(row).ok()).collect();
        let rows = rows.filter(|rows| rows.iter().all(|&row| row < self.codes.len()))?;
        let columns = self.columns.iter().map(|column| KeyColumn {
            codes: rows.iter().map(|&row| column.codes[row]).collect(),
            texts: column.texts.clone(),
        });
        Some(Self::new(columns.collect()))
    }

    /// The key of each row.
    #[must_use]
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// How many rows have each key.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The values that a key stands for, one of each column.
    #[must_use]
    pub fn texts(&self, key: usize) -> Option<Vec<&str>> {
        let &row = self.first_rows.get(key)?;
        let columns = self.columns.iter();
        Some(
            columns
                .map(|column| column.texts[column.codes[row as usize] as usize].as_str())
                .collect(),
        )
    }
}

/// Reads the keys that some columns of a table file make.
///
/// # Errors
/// The file cannot be read, or a column has a null or is not of text, integers or booleans.
pub fn read_keys(path: &Path, format: TableFormat, names: &[String]) -> Result<Keys, HeaderError> {
    let mut readers: Vec<ColumnReader> = names.iter().map(|_| ColumnReader::default()).collect();
    read_rows(path, format, names, |first_row, columns| {
        for ((column, reader), name) in columns.iter().zip(&mut readers).zip(names) {
            reader.read(column, name, first_row)?;
        }
        Ok(())
    })?;
    let columns = readers.into_iter().map(|reader| reader.column);
    let keys = columns.collect::<Vec<_>>();
    if keys
        .iter()
        .any(|column| column.codes.len() > u32::MAX as usize)
    {
        return Err(Fault::damaged("it has more than 2^32 rows").at(path));
    }
    Ok(Keys::new(keys))
}

/// Numbers for values in the order in which they come first.
struct Interned<T>(HashMap<T, u32>);

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Interned<T> {
    fn code(&mut self, value: T) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(value).or_insert(next)
    }
}

#[derive(Default)]
struct ColumnReader {
    column: KeyColumn,
    known: HashMap<String, u32>,
    known_numbers: HashMap<i128, u32>,
}

impl ColumnReader {
    fn read(&mut self, array: &ArrayRef, name: &str, first_row: u64) -> Result<(), Fault> {
        if let Some(null) = first_null(array) {
            let row = first_row + null as u64;
            return Err(Fault::null(name, row));
        }
        let codes = self.codes(array, name)?;
        self.column.codes.extend(codes);
        Ok(())
    }

    fn codes(&mut self, array: &ArrayRef, name: &str) -> Result<Vec<u32>, Fault> {
        let codes = match array.data_type() {
            DataType::Boolean => {
                let values = array.as_boolean();
                values
                    .values()
                    .iter()
                    .map(|value| self.text(if value { "true" } else { "false" }))
                    .collect()
            }
            DataType::Int8 => self.numbers::<Int8Type>(array),
            DataType::Int16 => self.numbers::<Int16Type>(array),
            DataType::Int32 => self.numbers::<Int32Type>(array),
            DataType::Int64 => self.numbers::<Int64Type>(array),
            DataType::UInt8 => self.numbers::<UInt8Type>(array),
            DataType::UInt16 => self.numbers::<UInt16Type>(array),
            DataType::UInt32 => self.numbers::<UInt32Type>(array),
            DataType::UInt64 => self.numbers::<UInt64Type>(array),
            DataType::Utf8 => self.strings(array.as_string::<i32>().iter()),
            DataType::LargeUtf8 => self.strings(array.as_string::<i64>().iter()),
            DataType::Utf8View => self.strings(array.as_string_view().iter()),
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                let values = dictionary.values();
                if values.null_count() > 0 {
                    let reason = "has nulls among its categories";
                    return Err(Fault::unusable("SP505", name, reason));
                }
                let entries = self.codes(values, name)?;
                dictionary
                    .normalized_keys()
                    .into_iter()
                    .map(|key| entries[key])
                    .collect()
            }
            other => {
                let reason = format!("is {other}, not text, integers or booleans");
                return Err(Fault::unusable("SP509", name, reason));
            }
        };
        Ok(codes)
    }

    fn numbers<T: ArrowPrimitiveType>(&mut self, array: &ArrayRef) -> Vec<u32>
    where
        T::Native: Into<i128>,
    {
        let values = array.as_primitive::<T>().values();
        values
            .iter()
            .map(|&value| self.number(value.into()))
            .collect()
    }

    fn strings<'a>(&mut self, values: impl Iterator<Item = Option<&'a str>>) -> Vec<u32> {
        values
            .map(|value| self.text(value.unwrap_or_default()))
            .collect()
    }

    fn number(&mut self, value: i128) -> u32 {
        let texts = &mut self.column.texts;
        *self
            .known_numbers
            .entry(value)
            .or_insert_with(|| add(texts, value.to_string()))
    }

    fn text(&mut self, value: &str) -> u32 {
        if let Some(&code) = self.known.get(value) {
            return code;
        }
        let code = add(&mut self.column.texts, value.to_owned());
        self.known.insert(value.to_owned(), code);
        code
    }
}

fn add(texts: &mut Vec<String>, text: String) -> u32 {
    texts.push(text);
    u32::try_from(texts.len() - 1).unwrap_or(u32::MAX)
}
