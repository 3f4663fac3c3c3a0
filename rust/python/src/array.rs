//! From a Python array to the bytes of its rows.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use specplan_store::ValueType;

use crate::dlpack::{DataType, Exchange};

/// What an array has to be.
#[derive(Clone, Copy)]
pub(crate) enum Expected<'a> {
    /// Rows of this shape.
    Rows(&'a [usize]),
    /// One row of so many dimensions.
    Dimensions(usize),
}

/// A contiguous array in main memory, and the object that keeps it alive.
pub(crate) struct ArrayView<'py> {
    data: *const u8,
    bytes: usize,
    pub(crate) rows: usize,
    /// Of an array that is one row.
    pub(crate) shape: Vec<usize>,
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

impl Expected<'_> {
    /// Number of rows and shape of an array of these dimensions. None if it is not as expected.
    fn fit(
        self,
        dimensions: impl ExactSizeIterator<Item = usize> + Clone,
    ) -> Option<(usize, Vec<usize>)> {
        let count = dimensions.len();
        match self {
            // What has no dimensions is one number.
            Self::Rows([]) if count == 0 => Some((1, Vec::new())),
            Self::Rows(shape) => {
                let mut lengths = dimensions;
                let rows = lengths.next()?;
                (count == shape.len() + 1 && lengths.eq(shape.iter().copied()))
                    .then_some((rows, Vec::new()))
            }
            Self::Dimensions(expected) => (count == expected).then(|| (1, dimensions.collect())),
        }
    }
}

/// Look at an array that must hold rows of this type.
pub(crate) fn view<'py>(
    array: &Bound<'py, PyAny>,
    value_type: ValueType,
    expected: Expected<'_>,
) -> PyResult<ArrayView<'py>> {
    if let Ok(array) = array.cast::<PyUntypedArray>() {
        refuse_masked(array)?;
        return numpy_view(array, value_type, value_type, expected);
    }
    if let Some(torch) = Torch::of(array)? {
        return torch.view(array, value_type, expected);
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
    numpy_view(array.cast()?, value_type, value_type, expected)
}

/// The values under a mask are there, and not meant.
fn refuse_masked(array: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
    if array.is_exact_instance_of::<PyUntypedArray>() {
        return Ok(());
    }
    let numpy = array.py().import(intern!(array.py(), "numpy"))?;
    let masked = numpy.getattr("ma")?.getattr("MaskedArray")?;
    if array.is_instance(&masked)? {
        return Err(PyTypeError::new_err(
            "a masked array cannot be recorded: say what stands for the hidden values, as in `.filled(0)`",
        ));
    }
    Ok(())
}

/// `stored` is how numpy names the type: they differ for bfloat16, which it does not have.
fn numpy_view<'py>(
    array: &Bound<'py, PyUntypedArray>,
    value_type: ValueType,
    stored: ValueType,
    expected: Expected<'_>,
) -> PyResult<ArrayView<'py>> {
    let dtype = array.dtype();
    let same_code = numpy_code(stored) == (dtype.kind(), dtype.itemsize());
    let native = dtype.is_native_byteorder().unwrap_or(true);
    // Types that numpy does not have itself share one kind, and so do all units of time.
    let is_told_by_name = matches!(dtype.kind(), b'V' | b'M' | b'm');
    let same_name = || Ok::<_, PyErr>(dtype.str()?.to_cow()? == stored.name());
    if !same_code || !native || (is_told_by_name && !same_name()?) {
        return Err(wrong_type(&dtype.str()?.to_string(), value_type));
    }
    let Some((rows, shape)) = expected.fit(array.shape().iter().copied()) else {
        return Err(wrong_shape(array.shape(), expected));
    };
    if !array.is_c_contiguous() {
        let numpy = array.py().import(intern!(array.py(), "numpy"))?;
        let copy = numpy.call_method1(intern!(array.py(), "ascontiguousarray"), (array,))?;
        return numpy_view(copy.cast()?, value_type, stored, expected);
    }
    Ok(ArrayView {
        // SAFETY: the object is an ndarray, so it has this field.
        data: unsafe { (*array.as_array_ptr()).fields.data.cast_const().cast() },
        bytes: array.len() * dtype.itemsize(),
        rows,
        shape,
        _owner: array.as_any().clone(),
    })
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
        expected: Expected<'_>,
    ) -> PyResult<ArrayView<'py>> {
        let Some(exchange) = self.exchange else {
            return view_through_numpy(tensor, value_type, expected);
        };
        if value_type.parts() == 2
            && tensor
                .call_method0(intern!(tensor.py(), "is_conj"))?
                .is_truthy()?
        {
            // A conjugation that was put off does not show in the exchange.
            return self.view(&resolved(tensor)?, value_type, expected);
        }
        let Ok(view) = exchange.look(tensor) else {
            return Err(unreadable(tensor)?);
        };
        if !view.on_cpu() {
            return Err(unreadable(tensor)?);
        }
        if Some(view.data_type) != dlpack_type(value_type) {
            return Err(wrong_type(
                &tensor.getattr("dtype")?.to_string(),
                value_type,
            ));
        }
        let dimensions = view.shape().iter().map(|&length| length as usize);
        let Some((rows, shape)) = expected.fit(dimensions.clone()) else {
            return Err(wrong_shape(&dimensions.collect::<Vec<_>>(), expected));
        };
        let bytes = dimensions.product::<usize>() * value_type.item_bytes();
        if bytes > 0 && !view.has_memory() {
            return Err(unreadable(tensor)?);
        }
        if !view.is_plain() {
            return view_through_numpy(tensor, value_type, expected);
        }
        Ok(ArrayView {
            data: view.data(),
            bytes,
            rows,
            shape,
            _owner: tensor.clone(),
        })
    }
}

/// What to say of a tensor whose numbers are not in memory as a strided array.
fn unreadable(tensor: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let attribute = |name| PyResult::Ok(tensor.getattr(name)?.to_string());
    let (device, layout) = (attribute("device")?, attribute("layout")?);
    Ok(PyTypeError::new_err(if device == "cpu" {
        let kind = tensor.get_type().name()?;
        let dtype = attribute("dtype")?;
        format!(
            "the numbers of this `{kind}` ({dtype}, {layout}) are not in memory; make it a plain tensor first"
        )
    } else {
        format!("the tensor is on `{device}`; move it to the CPU first")
    }))
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
    expected: Expected<'_>,
) -> PyResult<ArrayView<'py>> {
    let py = tensor.py();
    let torch = py.import(intern!(py, "torch"))?;
    let mut plain = resolved(tensor)?.call_method0("contiguous")?;
    let dtype = plain.getattr("dtype")?.to_string();
    let mut stored = value_type;
    // What numpy does not have goes there as the same bits.
    if dtype.strip_prefix("torch.") == Some(value_type.name()) {
        match value_type {
            ValueType::Bfloat16 => stored = ValueType::Int16,
            ValueType::Float8E4m3fn | ValueType::Float8E5m2 => stored = ValueType::Uint8,
            ValueType::Complex32 => {
                stored = ValueType::Float16;
                plain = torch.call_method1("view_as_real", (plain,))?;
            }
            _ => {}
        }
    }
    if stored != value_type {
        plain = plain.call_method1("view", (torch.getattr(stored.name())?,))?;
    }
    let plain = plain.call_method0("numpy")?;
    if value_type != ValueType::Complex32 || stored == value_type {
        return numpy_view(plain.cast()?, value_type, stored, expected);
    }
    // Two halves stand for each number, in one more dimension.
    let parts = value_type.parts();
    match expected {
        Expected::Rows(shape) => {
            let shape = [shape, &[parts]].concat();
            numpy_view(plain.cast()?, value_type, stored, Expected::Rows(&shape))
        }
        Expected::Dimensions(count) => {
            let expected = Expected::Dimensions(count + 1);
            let mut view = numpy_view(plain.cast()?, value_type, stored, expected)?;
            view.shape.pop();
            Ok(view)
        }
    }
}

fn wrong_type(found: &str, expected: ValueType) -> PyErr {
    let found = found.strip_prefix("torch.").unwrap_or(found);
    PyTypeError::new_err(format!(
        "the array is `{found}`; the channel holds `{}`",
        expected.name()
    ))
}

fn wrong_shape(found: &[usize], expected: Expected<'_>) -> PyErr {
    let list = |lengths: &[usize]| {
        lengths
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let expected = match expected {
        Expected::Rows([]) => "(rows)".to_owned(),
        Expected::Rows(shape) => format!("(rows, {})", list(shape)),
        Expected::Dimensions(1) => "arrays of one dimension".to_owned(),
        Expected::Dimensions(count) => format!("arrays of {count} dimensions"),
    };
    PyValueError::new_err(format!(
        "the array has shape ({}); the channel holds {expected}",
        list(found)
    ))
}
