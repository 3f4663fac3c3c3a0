//! numpy arrays over memory that something else owns.

use numpy::npyffi::{self, PY_ARRAY_API, npy_intp};
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// numpy's type of items, which is made when the first array is: until then numpy need not be imported.
pub(crate) struct ItemType {
    name: &'static str,
    descr: PyOnceLock<Py<PyArrayDescr>>,
}

impl ItemType {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            descr: PyOnceLock::new(),
        }
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyArrayDescr>> {
        let make = || Ok::<_, PyErr>(PyArrayDescr::new(py, self.name)?.unbind());
        Ok(self.descr.get_or_try_init(py, make)?.bind(py))
    }
}

/// An array of `rows` rows of this shape at an address; it keeps `owner` alive.
///
/// # Safety
///
/// The memory holds that many rows of that type, is aligned for it and stays for as long as the owner does. It must
/// not change while the array is looked at; `writeable` says whether the array's users may write to it.
pub(crate) unsafe fn array_over<'py>(
    descr: &Bound<'py, PyArrayDescr>,
    (rows, shape): (usize, &[usize]),
    data: *mut u8,
    writeable: bool,
    owner: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = owner.py();
    let mut dimensions: Vec<npy_intp> = Vec::with_capacity(1 + shape.len());
    dimensions.push(rows as npy_intp);
    dimensions.extend(shape.iter().map(|&length| length as npy_intp));
    let mut flags = npyffi::NPY_ARRAY_C_CONTIGUOUS | npyffi::NPY_ARRAY_ALIGNED;
    if writeable {
        flags |= npyffi::NPY_ARRAY_WRITEABLE;
    }
    // SAFETY: the caller vouches for the memory. NewFromDescr takes over the reference to the descriptor, and
    // SetBaseObject the one to the owner.
    unsafe {
        let array = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            npyffi::get_type_object(py, npyffi::NpyTypes::PyArray_Type),
            descr.clone().into_dtype_ptr(),
            dimensions.len() as i32,
            dimensions.as_mut_ptr(),
            std::ptr::null_mut(),
            data.cast(),
            flags,
            std::ptr::null_mut(),
        );
        let array = Bound::from_owned_ptr_or_err(py, array)?;
        if PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), owner.into_ptr()) != 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(array)
    }
}
