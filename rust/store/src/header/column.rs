//! An Arrow field as the header of a column.

use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, Field, TimeUnit};
use serde::Deserialize;

use super::{ColumnHeader, Fault};
use crate::kind::SHAPE_KEY;

/// What a file says of a column beside its field.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) nulls: Option<u64>,
    /// Items in one row, where every part of the file has the same number for each row on average.
    pub(super) items_per_row: Option<u64>,
}

impl Counts {
    /// `parts` are the (rows, items) of row groups or record batches.
    pub(super) fn new(nulls: Option<u64>, parts: impl Iterator<Item = (u64, u64)>) -> Self {
        let mut parts = parts.filter(|&(rows, _)| rows > 0);
        let per_row = |(rows, items): (u64, u64)| (items % rows == 0).then_some(items / rows);
        let first = parts.next().and_then(per_row);
        let uniform = parts.all(|part| per_row(part) == first);
        Self {
            nulls,
            items_per_row: first.filter(|_| uniform && nulls == Some(0)),
        }
    }
}

pub(super) fn header(field: &Field, counts: &Counts) -> Result<ColumnHeader, Fault> {
    let (item, lengths) = unnest(field.data_type());
    let physical = fill(&lengths, counts.items_per_row);
    let shape = match declared_shape(field)? {
        Some(declared) if is_reshape(&declared, &physical) => Some(declared),
        Some(declared) => {
            let name = field.name();
            let reason = format!(
                "column {name:?} declares the shape {declared:?}, which its type contradicts"
            );
            return Err(Fault::damaged(reason));
        }
        None => physical,
    };
    Ok(ColumnHeader {
        name: field.name().clone(),
        dtype: dtype(item),
        shape,
        nulls: counts.nulls,
    })
}

/// The item type under all lists, and the length of each list from the outside in.
fn unnest(mut data_type: &DataType) -> (&DataType, Vec<Option<u64>>) {
    let mut lengths = Vec::new();
    loop {
        let (field, length) = match data_type {
            DataType::FixedSizeList(field, length) => (field, u64::try_from(*length).ok()),
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::ListView(field)
            | DataType::LargeListView(field) => (field, None),
            _ => return (data_type, lengths),
        };
        lengths.push(length);
        data_type = field.data_type();
    }
}

/// One unknown length follows from the number of items in a row; two do not.
fn fill(lengths: &[Option<u64>], items_per_row: Option<u64>) -> Option<Vec<u64>> {
    let unknown = lengths.iter().filter(|length| length.is_none()).count();
    if unknown == 0 {
        return lengths.iter().copied().collect();
    }
    let items = items_per_row.filter(|_| unknown == 1)?;
    let known = product(lengths.iter().flatten())?;
    let missing = items.checked_div(known).filter(|_| items % known == 0)?;
    Some(
        lengths
            .iter()
            .map(|length| length.unwrap_or(missing))
            .collect(),
    )
}

fn is_reshape(declared: &[u64], physical: &Option<Vec<u64>>) -> bool {
    physical.as_ref().is_none_or(|physical| {
        let items = product(declared.iter());
        items.is_some() && items == product(physical.iter())
    })
}

fn product<'l>(mut lengths: impl Iterator<Item = &'l u64>) -> Option<u64> {
    lengths.try_fold(1_u64, |product, &length| product.checked_mul(length))
}

fn declared_shape(field: &Field) -> Result<Option<Vec<u64>>, Fault> {
    #[derive(Deserialize)]
    struct FixedShapeTensor {
        shape: Vec<u64>,
    }
    let metadata = field.metadata();
    let name = field.name();
    if let Some(shape) = metadata.get(SHAPE_KEY) {
        // A length that rows differ in is null: such rows have no one shape.
        let lengths = serde_json::from_str::<Vec<Option<u64>>>(shape);
        return lengths
            .map(|lengths| lengths.into_iter().collect())
            .map_err(|_| {
                Fault::damaged(format!(
                    "{SHAPE_KEY} of column {name:?} is not a list of sizes"
                ))
            });
    }
    if metadata.get(EXTENSION_TYPE_NAME_KEY).map(String::as_str) != Some("arrow.fixed_shape_tensor")
    {
        return Ok(None);
    }
    let parameters = metadata
        .get(EXTENSION_TYPE_METADATA_KEY)
        .map_or("", String::as_str);
    serde_json::from_str(parameters)
        .map(|tensor: FixedShapeTensor| Some(tensor.shape))
        .map_err(|_| Fault::damaged(format!("the tensor type of column {name:?} has no shape")))
}

fn dtype(item: &DataType) -> String {
    let name = arrow_name(item);
    let is_plain = item.is_numeric() && !item.is_decimal();
    match item {
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        _ if is_plain => name,
        _ => format!("other: {name}"),
    }
}

/// The type as pyarrow prints it, as far as users meet it.
fn arrow_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(unit, None) => format!("timestamp[{}]", unit_name(*unit)),
        DataType::Timestamp(unit, Some(zone)) => {
            format!("timestamp[{}, tz={zone}]", unit_name(*unit))
        }
        DataType::Date32 => "date32[day]".to_owned(),
        DataType::Date64 => "date64[ms]".to_owned(),
        DataType::Time32(unit) => format!("time32[{}]", unit_name(*unit)),
        DataType::Time64(unit) => format!("time64[{}]", unit_name(*unit)),
        DataType::Duration(unit) => format!("duration[{}]", unit_name(*unit)),
        DataType::FixedSizeBinary(width) => format!("fixed_size_binary[{width}]"),
        DataType::LargeBinary => "large_binary".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal128({precision}, {scale})"),
        DataType::Decimal256(precision, scale) => format!("decimal256({precision}, {scale})"),
        DataType::Dictionary(indices, values) => {
            let (values, indices) = (arrow_name(values), arrow_name(indices));
            format!("dictionary<values={values}, indices={indices}>")
        }
        DataType::Map(_, _) => "map".to_owned(),
        DataType::Struct(fields) => {
            let fields = fields.iter();
            let members =
                fields.map(|field| format!("{}: {}", field.name(), arrow_name(field.data_type())));
            format!("struct<{}>", members.collect::<Vec<_>>().join(", "))
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            format!("list<{}>", arrow_name(field.data_type()))
        }
        _ => data_type.to_string().to_lowercase(),
    }
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}
