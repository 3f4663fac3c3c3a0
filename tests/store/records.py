"""Stores that tests write, and what they compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan._native import (
    RaggedChannel,
    RaggedReader,
    Store,
    StoreReader,
    TensorChannel,
    TensorReader,
    TextChannel,
    TextReader,
)

if TYPE_CHECKING:
    from pathlib import Path


def create(path: Path, **options: Any) -> Store:
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


def ragged_channel(
    store: Store, field: str = "boxes", dtype: str = "float32", dimensions: int = 2
) -> RaggedChannel:
    return store.ragged(
        phase="train", node="MLP", role="default", field=field, dtype=dtype, dimensions=dimensions
    )


def text_channel(store: Store, field: str = "names", *, json: bool = False) -> TextChannel:
    return store.text(phase="train", node="MLP", role="default", field=field, json=json)


def only_ragged(path: Path) -> RaggedReader:
    (ragged,) = StoreReader.open(str(path)).ragged()
    return ragged


def only_text(path: Path) -> TextReader:
    (texts,) = StoreReader.open(str(path)).texts()
    return texts


def same_arrays(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return len(left) == len(right) and all(map(same_bits, left, right))
