//! From a Python array to the bytes of its rows.

use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use specplan_store::ValueType;

use crate::dlpack::{DataType, Exchange};

/// Rows of a contiguous array in main memory, and the object that keeps them alive.
pub(crate) struct ArrayView<'py> {
    data: *const u8,
    bytes: usize,
    pub(crate) rows: usize,
    _owner: Bound<'py, PyAny>,
}

impl ArrayView<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.bytes == 0 {
            return &[];
        }
        // SAFETY: the array is contiguous and has this many bytes, and the owner keeps them alive. A caller
        // that writes to an array while it is being recorded gets a mixture of both values in its record.
        unsafe { std::slice::from_raw_parts(self.data, self.bytes) }
    }
}

/// Look at an array that must hold rows of this type and shape.
pub(crate) fn view<'py>(
    array: &Bound<'py, PyAny>,
    value_type: ValueType,
    shape: &[usize],
) -> PyResult<ArrayView<'py>> {
    if let Ok(array) = array.cast::<PyUntypedArray>() {
        return numpy_view(array, value_type, value_type, shape);
    }
    if let Some(torch) = Torch::of(array)? {
        return torch.view(array, value_type, shape);
    }
    // SAFETY: the object is alive; the function only looks at its type.
    if unsafe { ffi::PyObject_CheckBuffer(array.as_ptr()) } == 0 {
        let name = array.get_type().qualname()?;
        return Err(PyTypeError::new_err(format!(
            "expected an array, a CPU tensor or a buffer, got `{name}`"
        )));
    }
    let array = array
        .py()
        .import(intern!(array.py(), "numpy"))?
        .call_method1("asarray", (array,))?;
    numpy_view(array.cast()?, value_type, value_type, shape)
}

/// `stored` is how numpy names the type: they differ for bfloat16, which it does not have.
fn numpy_view<'py>(
    array: &Bound<'py, PyUntypedArray>,
    value_type: ValueType,
    stored: ValueType,
    shape: &[usize],
) -> PyResult<ArrayView<'py>> {
    let dtype = array.dtype();
    let native = dtype.is_native_byteorder().unwrap_or(true);
    let fits = numpy_code(stored) == (dtype.kind(), dtype.itemsize()) && native;
    if !fits || !has_unit(&dtype, stored)? {
        return Err(wrong_type(&dtype.str()?.to_string(), value_type));
    }
    let rows = match array.shape().split_first() {
        Some((&rows, rest)) if rest == shape => rows,
        _ => return Err(wrong_shape(array.shape(), shape)),
    };
    if !array.is_c_contiguous() {
        let numpy = array.py().import(intern!(array.py(), "numpy"))?;
        let copy = numpy.call_method1(intern!(array.py(), "ascontiguousarray"), (array,))?;
        return numpy_view(copy.cast()?, value_type, stored, shape);
    }
    Ok(ArrayView {
        // SAFETY: the object is an ndarray, so it has this field.
        data: unsafe { (*array.as_array_ptr()).fields.data.cast_const().cast() },
        bytes: array.len() * dtype.itemsize(),
        rows,
        _owner: array.as_any().clone(),
    })
}

/// Whether times count nanoseconds, which neither kind nor size of the type tell.
fn has_unit(dtype: &Bound<'_, PyArrayDescr>, value_type: ValueType) -> PyResult<bool> {
    if !matches!(value_type, ValueType::Datetime | ValueType::Timedelta) {
        return Ok(true);
    }
    let name = dtype.getattr(intern!(dtype.py(), "name"))?;
    Ok(name.extract::<String>()? == value_type.name())
}

/// numpy's kind and item size of a type. Types that it does not have are of the kind of extension types.
fn numpy_code(value_type: ValueType) -> (u8, usize) {
    let kind = match value_type {
        ValueType::Bool => b'b',
        ValueType::Uint8 | ValueType::Uint16 | ValueType::Uint32 | ValueType::Uint64 => b'u',
        ValueType::Int8 | ValueType::Int16 | ValueType::Int32 | ValueType::Int64 => b'i',
        ValueType::Float16 | ValueType::Float32 | ValueType::Float64 => b'f',
        ValueType::Complex64 | ValueType::Complex128 => b'c',
        ValueType::Datetime => b'M',
        ValueType::Timedelta => b'm',
        ValueType::Float8E4m3fn
        | ValueType::Float8E5m2
        | ValueType::Bfloat16
        | ValueType::Complex32 => b'V',
    };
    (kind, value_type.item_bytes())
}

/// The numpy type and row shape that values are handed out with: those that numpy does not have as their bits,
/// and half complex numbers as two halves.
pub(crate) fn handed_out(value_type: ValueType, shape: &[usize]) -> (&'static str, Vec<usize>) {
    let mut shape = shape.to_vec();
    let name = match value_type {
        ValueType::Float8E4m3fn | ValueType::Float8E5m2 => ValueType::Uint8.name(),
        ValueType::Bfloat16 => ValueType::Uint16.name(),
        ValueType::Complex32 => {
            shape.push(value_type.parts());
            ValueType::Float16.name()
        }
        value_type => value_type.name(),
    };
    (name, shape)
}

/// DLPack's type. None for those that it does not have.
fn dlpack_type(value_type: ValueType) -> Option<DataType> {
    let code = match value_type {
        ValueType::Int8 | ValueType::Int16 | ValueType::Int32 | ValueType::Int64 => 0,
        ValueType::Uint8 | ValueType::Uint16 | ValueType::Uint32 | ValueType::Uint64 => 1,
        ValueType::Float16 | ValueType::Float32 | ValueType::Float64 => 2,
        ValueType::Bfloat16 => 4,
        ValueType::Complex32 | ValueType::Complex64 | ValueType::Complex128 => 5,
        ValueType::Bool => 6,
        ValueType::Float8E4m3fn => 10,
        ValueType::Float8E5m2 => 12,
        ValueType::Datetime | ValueType::Timedelta => return None,
    };
    Some(DataType {
        code,
        bits: 8 * value_type.item_bytes() as u8,
        lanes: 1,
    })
}

/// What is used of torch, once it has been imported by somebody else.
struct Torch {
    tensor: Py<PyType>,
    exchange: Option<Exchange>,
}

static TORCH: PyOnceLock<Torch> = PyOnceLock::new();

impl Torch {
    /// torch, if the object is one of its tensors.
    fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<&'static Self>> {
        let py = object.py();
        let torch = match TORCH.get(py) {
            Some(torch) => torch,
            None => {
                let modules = py
                    .import(intern!(py, "sys"))?
                    .getattr(intern!(py, "modules"))?;
                let Some(module) = modules.cast::<PyDict>()?.get_item(intern!(py, "torch"))? else {
                    return Ok(None);
                };
                let tensor = module.getattr("Tensor")?.cast_into::<PyType>()?;
                let exchange = Exchange::of(&tensor);
                TORCH.get_or_init(py, || Self {
                    tensor: tensor.unbind(),
                    exchange,
                })
            }
        };
        // SAFETY: both types are alive. Unlike isinstance this never runs the metaclass's Python code.
        let is_tensor = unsafe {
            let object_type = ffi::Py_TYPE(object.as_ptr());
            ffi::PyType_IsSubtype(object_type, torch.tensor.as_ptr().cast()) != 0
        };
        Ok(is_tensor.then_some(torch))
    }

    fn view<'py>(
        &self,
        tensor: &Bound<'py, PyAny>,
        value_type: ValueType,
        shape: &[usize],
    ) -> PyResult<ArrayView<'py>> {
        let Some(exchange) = self.exchange else {
            return view_through_numpy(tensor, value_type, shape);
        };
        if value_type.parts() == 2
            && tensor
                .call_method0(intern!(tensor.py(), "is_conj"))?
                .is_truthy()?
        {
            // A conjugation that was put off does not show in the exchange.
            return self.view(&resolved(tensor)?, value_type, shape);
        }
        let view = exchange.look(tensor)?;
        if !view.on_cpu() {
            let device = tensor.getattr("device")?;
            return Err(PyTypeError::new_err(format!(
                "the tensor is on `{device}`; move it to the CPU first"
            )));
        }
        if Some(view.data_type) != dlpack_type(value_type) {
            return Err(wrong_type(
                &tensor.getattr("dtype")?.to_string(),
                value_type,
            ));
        }
        let dimensions = view.shape();
        let fits = dimensions.len() == shape.len() + 1
            && dimensions
                .iter()
                .skip(1)
                .zip(shape)
                .all(|(&found, &expected)| found == expected as i64);
        if !fits {
            let found: Vec<usize> = dimensions.iter().map(|&length| length as usize).collect();
            return Err(wrong_shape(&found, shape));
        }
        if !view.is_plain() {
            return view_through_numpy(tensor, value_type, shape);
        }
        let rows = dimensions[0] as usize;
        Ok(ArrayView {
            data: view.data(),
            bytes: rows * shape.iter().product::<usize>() * value_type.item_bytes(),
            rows,
            _owner: tensor.clone(),
        })
    }
}

fn resolved<'py>(tensor: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    tensor
        .call_method0("detach")?
        .call_method0("resolve_conj")?
        .call_method0("resolve_neg")
}

fn view_through_numpy<'py>(
    tensor: &Bound<'py, PyAny>,
    value_type: ValueType,
    shape: &[usize],
) -> PyResult<ArrayView<'py>> {
    let py = tensor.py();
    let torch = py.import(intern!(py, "torch"))?;
    let mut plain = resolved(tensor)?.call_method0("contiguous")?;
    let dtype = plain.getattr("dtype")?.to_string();
    let (mut stored, mut shape) = (value_type, shape.to_vec());
    // What numpy does not have goes there as the same bits.
    if dtype.strip_prefix("torch.") == Some(value_type.name()) {
        match value_type {
            ValueType::Bfloat16 => stored = ValueType::Int16,
            ValueType::Float8E4m3fn | ValueType::Float8E5m2 => stored = ValueType::Uint8,
            ValueType::Complex32 => {
                stored = ValueType::Float16;
                plain = torch.call_method1("view_as_real", (plain,))?;
                shape.push(value_type.parts());
            }
            _ => {}
        }
    }
    if stored != value_type {
        plain = plain.call_method1("view", (torch.getattr(stored.name())?,))?;
    }
    numpy_view(
        plain.call_method0("numpy")?.cast()?,
        value_type,
        stored,
        &shape,
    )
}

fn wrong_type(found: &str, expected: ValueType) -> PyErr {
    let found = found.strip_prefix("torch.").unwrap_or(found);
    PyTypeError::new_err(format!(
        "the array is `{found}`; the channel holds `{}`",
        expected.name()
    ))
}

fn wrong_shape(found: &[usize], expected: &[usize]) -> PyErr {
    let list = |lengths: &[usize]| {
        lengths
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let rows = if expected.is_empty() {
        "rows".to_owned()
    } else {
        format!("rows, {}", list(expected))
    };
    PyValueError::new_err(format!(
        "the array has shape ({}); the channel holds ({rows})",
        list(found)
    ))
}
