"""The value recorded is the value at the call, whatever the array and whatever is done to it next."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specplan._native import StoreReader
from specplan.errors import StoreError
from tests.store.records import channel, create, only_tensor, random_rows, same_bits
from tests.store.test_writing import NUMPY_DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    Layout = Callable[[Any], list[Any]]

SMALL_ROWS = 12
WIDTH = 12
LARGE_BYTES = 700_000
"""More than a block of staging memory has: such a batch is written from the array itself."""


LAYOUTS: dict[str, Layout] = {
    "contiguous": lambda base: [base],
    "transposed": lambda base: [base.T],
    "strided rows": lambda base: [base[1::2]],
    "strided columns": lambda base: [base[:, ::3]],
    "one column": lambda base: [base[:, 3]],
    "empty": lambda base: [base[:0], base[:, :0]],
    "no dimensions": lambda base: [base[0, 0], base[-1, -1]],
    "shared storage": lambda base: [base[1:], base[:-1], base],
}
NUMPY_LAYOUTS: dict[str, Layout] = {
    **LAYOUTS,
    "no dimensions": lambda base: [base[:1, 0].reshape(()), base[-1:, -1].reshape(())],
    "negative strides": lambda base: [base[::-1], base[:, ::-2]],
    "broadcast": lambda base: [
        np.broadcast_to(base[:1], base.shape),
        np.broadcast_to(base[:, :1], base.shape),
    ],
    "in column order": lambda base: [base.reshape(base.shape[::-1], order="F")],
    "read only": lambda base: [read_only(base)],
    "buffer": lambda base: [base.data],
}
TORCH_LAYOUTS: dict[str, Layout] = {
    **LAYOUTS,
    "broadcast": lambda base: [base[:1].expand(base.shape), base[:, :1].expand(base.shape)],
    "requires grad": lambda base: [
        base.detach().requires_grad_(),
        base.detach().requires_grad_()[1:],
    ],
    "parameter": lambda base: [torch.nn.Parameter(base)],
    "conjugated": lambda base: [base.conj(), base.conj().T, base.conj()[0, 0]],
    "negated": lambda base: [base.conj().imag, base.conj().imag.T],
}
ONLY_FLOATING = {"requires grad", "parameter"}
ONLY_COMPLEX = {"conjugated", "negated"}


def read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


class Case(NamedTuple):
    dtype: str
    layout: str
    is_torch: bool
    is_large: bool
    seed: int

    def base(self) -> np.ndarray:
        stored = "int16" if self.dtype == "bfloat16" else self.dtype
        row_bytes = WIDTH * np.dtype(stored).itemsize
        rows = LARGE_BYTES // row_bytes if self.is_large else SMALL_ROWS
        return random_rows(rows, (WIDTH,), stored, self.seed).copy()

    def arrays(self, base: np.ndarray) -> list[Any]:
        """What is recorded: arrays or tensors on the memory of `base`."""
        if not self.is_torch:
            return NUMPY_LAYOUTS[self.layout](base)
        tensor = torch.from_numpy(base)
        if self.dtype == "bfloat16":
            tensor = tensor.view(torch.bfloat16)
        return TORCH_LAYOUTS[self.layout](tensor)


def torch_layouts(dtype: str) -> list[str]:
    floating = dtype.startswith(("float", "bfloat", "complex"))
    return [
        layout
        for layout in TORCH_LAYOUTS
        if (floating or layout not in ONLY_FLOATING)
        and (dtype.startswith("complex") or layout not in ONLY_COMPLEX)
    ]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    is_torch = draw(st.booleans())
    dtype = draw(st.sampled_from([*NUMPY_DTYPES, "bfloat16"] if is_torch else NUMPY_DTYPES))
    layout = draw(st.sampled_from(torch_layouts(dtype) if is_torch else list(NUMPY_LAYOUTS)))
    return Case(dtype, layout, is_torch, draw(st.booleans()), draw(st.integers(0, 99)))


def value_of(array: Any) -> np.ndarray:
    """A copy of what an array, a tensor or a buffer holds now, with an axis of rows."""
    if isinstance(array, torch.Tensor):
        array = array.detach().resolve_conj().resolve_neg().contiguous()
        if array.dtype == torch.bfloat16:
            array = array.view(torch.int16)
            return np.atleast_1d(array.numpy().view(np.uint16).copy())
        array = array.numpy()
    return np.atleast_1d(np.array(array, order="C"))


def change_in_place(base: np.ndarray) -> None:
    bits = base if base.dtype == bool else base.view(np.uint8)
    np.invert(bits, out=bits)


@settings(deadline=None, max_examples=40)
@given(st.lists(cases(), min_size=6, max_size=6))
def test_an_array_that_is_changed_right_after(drawn: list[Case]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = create(Path(folder))
        expected: list[np.ndarray] = []
        for case in drawn:
            base = case.base()
            for array in case.arrays(base):
                value = value_of(array)
                dtype = case.dtype if case.dtype == "bfloat16" else value.dtype.name
                shape = value.shape[1:]
                recorded = channel(store, str(len(expected)), dtype, shape)
                recorded.record(array, 0, 0)
                expected.append(value)
            change_in_place(base)
        store.close()
        tensors = StoreReader.open(folder).tensors()
        assert len(tensors) == len(expected)
        for (
            tensor,
            value,
        ) in zip(tensors, expected, strict=True):
            assert same_bits(tensor.get(0, 0), value)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_one_number_is_one_row(tmp_path: Path, dtype: str) -> None:
    store = create(tmp_path)
    values = channel(store, dtype=dtype, shape=())
    numbers = random_rows(3, (), dtype, 1)
    for batch, number in enumerate([numbers[0], np.array(numbers[1]), torch.tensor(numbers)[2]]):
        values.record(number, 0, batch)
    with pytest.raises(
        ValueError, match=r"the array has shape \(1, 1\); the channel holds \(rows\)$"
    ):
        values.record(numbers[:1].reshape(1, 1), 0, 3)
    with pytest.raises(
        ValueError, match=r"the array has shape \(\); the channel holds \(rows, 1\)$"
    ):
        channel(store, "vector", dtype, (1,)).record(numbers[0], 0, 0)
    store.sync()
    (tensor, _) = StoreReader.open(str(tmp_path)).tensors()
    assert same_bits(np.concatenate(tensor.chunks()), numbers)
    store.close()


@pytest.mark.parametrize("dtype", [name for name in NUMPY_DTYPES if np.dtype(name).itemsize > 1])
def test_another_byte_order_is_refused_by_name(tmp_path: Path, dtype: str) -> None:
    store = create(tmp_path)
    swapped = np.zeros((2, 4), np.dtype(dtype).newbyteorder())
    with pytest.raises(
        TypeError, match=f"^the array is `{swapped.dtype}`; the channel holds `{dtype}`$"
    ):
        channel(store, dtype=dtype).record(swapped, 0, 0)
    assert swapped.dtype.str.startswith(">")


@pytest.mark.parametrize("dtype", ["O", "U3", "S3", "datetime64[s]", "V2", "float128", "i4,f4"])
def test_what_is_no_number_is_refused_by_name(tmp_path: Path, dtype: str) -> None:
    store = create(tmp_path)
    for known in (*NUMPY_DTYPES, "bfloat16"):
        values = channel(store, known, known, ())
        array = np.zeros(2, dtype)
        with pytest.raises(TypeError) as caught:
            values.record(array, 0, 0)
        assert str(caught.value) == f"the array is `{array.dtype}`; the channel holds `{known}`"
    with pytest.raises(ValueError, match="^unknown dtype `.*`; known: bool, uint8, uint16, "):
        channel(store, dtype=str(np.dtype(dtype)))


def test_a_closed_store_takes_no_value(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store)
    values.record(np.zeros((1, 4), np.float32), 0, 0)
    store.close()
    with pytest.raises(StoreError, match="is closed$"):
        values.record(np.zeros((1, 4), np.float32), 0, 1)
    assert only_tensor(tmp_path).batches == 1
