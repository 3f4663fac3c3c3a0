//! The part of DLPack's C exchange API that looks at a tensor without taking hold of it.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

const CAPSULE_NAME: &CStr = c"dlpack_exchange_api";
const KNOWN_MAJOR_VERSION: u32 = 1;
const FIRST_PAGES: usize = 65_536;
const CPU: i32 = 1;
const CPU_PINNED: i32 = 3;

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataType {
    pub(crate) code: u8,
    pub(crate) bits: u8,
    pub(crate) lanes: u16,
}

#[repr(C)]
pub(crate) struct Tensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    dimensions: i32,
    pub(crate) data_type: DataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct ExchangeApi {
    major: u32,
    minor: u32,
    previous: *const c_void,
    allocator: *const c_void,
    managed_from_object: *const c_void,
    managed_to_object: *const c_void,
    tensor_from_object: Option<unsafe extern "C" fn(*mut c_void, *mut Tensor) -> c_int>,
    current_stream: *const c_void,
}

/// A function that fills in a `Tensor` for an object of the type that published it.
#[derive(Clone, Copy)]
pub(crate) struct Exchange(unsafe extern "C" fn(*mut c_void, *mut Tensor) -> c_int);

impl Exchange {
    /// The exchange API of a tensor type, if it has one that is known here.
    pub(crate) fn of(tensor_type: &Bound<'_, PyType>) -> Option<Self> {
        let capsule = tensor_type.getattr("__dlpack_c_exchange_api__").ok()?;
        // SAFETY: the capsule is alive, and PyCapsule_IsValid checks type and name before the pointer is taken.
        let api = unsafe {
            if ffi::PyCapsule_IsValid(capsule.as_ptr(), CAPSULE_NAME.as_ptr()) == 0 {
                return None;
            }
            ffi::PyCapsule_GetPointer(capsule.as_ptr(), CAPSULE_NAME.as_ptr()).cast::<ExchangeApi>()
        };
        // SAFETY: a capsule of this name holds a table that lives as long as the process; the version
        // stands first in every version of it.
        let (major, function) = unsafe { ((*api).major, (*api).tensor_from_object) };
        (major == KNOWN_MAJOR_VERSION)
            .then_some(function)
            .flatten()
            .map(Self)
    }

    /// Look at a tensor of that type.
    pub(crate) fn look(self, tensor: &Bound<'_, PyAny>) -> PyResult<Tensor> {
        let mut view = std::mem::MaybeUninit::<Tensor>::zeroed();
        // SAFETY: the function came from the type of this object, and zeroed memory is a valid `Tensor`.
        unsafe {
            if (self.0)(tensor.as_ptr().cast(), view.as_mut_ptr()) != 0 {
                return Err(PyErr::fetch(tensor.py()));
            }
            Ok(view.assume_init())
        }
    }
}

impl Tensor {
    pub(crate) fn on_cpu(&self) -> bool {
        self.device_type == CPU || self.device_type == CPU_PINNED
    }

    pub(crate) fn data(&self) -> *const u8 {
        self.data
            .cast_const()
            .cast::<u8>()
            .wrapping_add(self.byte_offset as usize)
    }

    /// False of a tensor whose storage was given up, and of one that never had any. Such a tensor's address is its
    /// offset in nothing, and no memory of a process lies in the first pages.
    pub(crate) fn has_memory(&self) -> bool {
        self.data().addr() >= FIRST_PAGES
    }

    pub(crate) fn shape(&self) -> &[i64] {
        if self.dimensions == 0 {
            return &[];
        }
        // SAFETY: DLPack promises `dimensions` lengths for as long as the object is not touched.
        unsafe { std::slice::from_raw_parts(self.shape, self.dimensions as usize) }
    }

    /// Whether the strides are those of a plain C array, in dimensions of length one too.
    pub(crate) fn is_plain(&self) -> bool {
        if self.dimensions == 0 || self.strides.is_null() {
            return true;
        }
        // SAFETY: as for the shape.
        let strides = unsafe { std::slice::from_raw_parts(self.strides, self.dimensions as usize) };
        let mut expected = 1;
        let dimensions = self.shape().iter().zip(strides).rev();
        dimensions.into_iter().all(|(&length, &stride)| {
            let plain = stride == expected;
            expected *= length.max(1);
            plain
        })
    }
}
