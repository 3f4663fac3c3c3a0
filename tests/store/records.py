"""Stores that tests write, and what they compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from specplan._native import Store, StoreReader, TensorChannel, TensorReader

if TYPE_CHECKING:
    from pathlib import Path


def create(path: Path, **options: int) -> Store:
    return Store.create(str(path), run_id="run-1", **options)


def channel(
    store: Store,
    field: str = "outputs",
    dtype: str = "float32",
    shape: tuple[int, ...] = (4,),
    *,
    phase: str = "train",
    node: str = "MLP",
    role: str = "default",
) -> TensorChannel:
    return store.tensor(phase=phase, node=node, role=role, field=field, dtype=dtype, shape=shape)


def only_tensor(path: Path) -> TensorReader:
    (tensor,) = StoreReader.open(str(path)).tensors()
    return tensor


def random_rows(rows: int, shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    size = rows * int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = np.random.default_rng(seed).bytes(size)
    if dtype == "bool":
        flags: np.ndarray = np.frombuffer(data, np.uint8) % 2 == 0
        return flags.reshape(rows, *shape)
    return np.frombuffer(data, dtype).reshape(rows, *shape)


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and left.tobytes() == right.tobytes()
    )
