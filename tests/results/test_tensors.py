"""Recorded tensors as arrays that alias their files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
import torch

from specplan._native import Store, StoreReader
from specplan.errors import RunError
from specplan.results.open import Run
from specplan.results.tensors import Tensors
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

BatchOf = Callable[[int, int], np.ndarray]


def test_a_batch(run: Run, batch_of: BatchOf) -> None:
    outputs = run.tensors("MLP", phase="train")
    assert (outputs.dtype, outputs.shape, outputs.rows) == ("float32", (2,), 60)
    for epoch, batch in outputs:
        np.testing.assert_array_equal(outputs[epoch, batch], batch_of(epoch, batch))
    assert len(outputs) == 12
    assert (1, 3) in outputs
    assert (1, 4) not in outputs


def test_arrays_alias_the_file(run: Run) -> None:
    outputs = run.tensors("MLP", phase="train")
    batch = outputs[2, 1]
    assert any(np.shares_memory(batch, chunk) for chunk in outputs.chunks())
    assert not batch.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        batch[0] = 0


def test_arrays_outlive_the_run(run: Run, batch_of: BatchOf) -> None:
    batch = run.tensors("MLP", phase="train")[0, 0]
    del run
    np.testing.assert_array_equal(batch, batch_of(0, 0))


def test_stacked(run: Run, batch_of: BatchOf) -> None:
    outputs = run.tensors("MLP", phase="train")
    of_epoch = np.concatenate([batch_of(1, batch) for batch in range(4)])
    np.testing.assert_array_equal(outputs.stacked(epoch=1), of_epoch)
    np.testing.assert_array_equal(outputs.stacked()[20:40], of_epoch)
    assert outputs.stacked().flags.writeable


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "bfloat16", "float8_e5m2", "complex64", "complex32"])  # fmt: skip
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning")
def test_torch_tensors_are_private_and_copy_nothing(tmp_path: Path, dtype: str) -> None:
    kind: torch.dtype = getattr(torch, dtype)
    store = Store.create(str(tmp_path), run_id="run")
    labels = {"phase": "train", "node": "MLP", "role": "default", "field": "outputs"}
    channel = store.tensor(**labels, dtype=dtype, shape=(3,))
    values = [torch.arange(6 * batch, 6 * batch + 6).reshape(2, 3).to(kind) for batch in range(3)]
    for batch, value in enumerate(values):
        channel.record(value, 0, batch)
    channel.record(torch.empty(0, 3, dtype=kind), 0, 3)
    store.sync()
    tensors = Tensors(StoreReader.open(str(tmp_path)).tensors()[0], None)
    before = tensors[0, 1].copy()
    tensor, other = tensors.torch(0, 1), tensors.torch(epoch=0, batch=1)
    assert (tensor.dtype, tensor.shape) == (kind, (2, 3))
    bits = torch.uint8 if kind is not torch.bool else torch.bool
    assert torch.equal(tensor.view(bits), values[1].view(bits))
    tensor.zero_()
    assert torch.equal(other.view(bits), values[1].view(bits))
    np.testing.assert_array_equal(tensors[0, 1], before)
    # The last chunk is replaced by a shorter one, in which rows may stand elsewhere.
    store.close()
    assert torch.equal(tensors.torch(0, 2).view(bits), values[2].view(bits))
    del tensors, store
    assert torch.equal(other.view(bits), values[1].view(bits))


def test_a_torch_tensor_without_rows(tmp_path: Path) -> None:
    store = Store.create(str(tmp_path), run_id="run")
    labels = {"phase": "train", "node": "MLP", "role": "default", "field": "outputs"}
    store.tensor(**labels, dtype="float64", shape=(3,)).record(np.empty((0, 3)), 0, 0)
    store.close()
    tensors = Tensors(StoreReader.open(str(tmp_path)).tensors()[0], None)
    assert tensors.torch(0, 0).shape == (0, 3)
    with pytest.raises(KeyError, match="epoch 1 is not recorded; epochs 0 to 0 are"):
        tensors.torch(1, 0)


def test_whole_columns_as_arrow(run: Run) -> None:
    outputs = run.tensors("MLP", phase="train")
    allocated = pa.total_allocated_bytes()
    column = outputs.arrow()
    assert pa.total_allocated_bytes() == allocated, "the column aliases the files"
    assert (str(column.type), len(column)) == ("fixed_size_list<item: float not null>[2]", 60)
    values = np.asarray(column.combine_chunks().values).reshape(-1, 2)
    np.testing.assert_array_equal(values, outputs.stacked())


def test_the_kept_epoch_is_all_there_is(
    folder: RunFolder, batch_of: BatchOf, write_run_file: Callable[..., None]
) -> None:
    write_run_file(folder, kept_epochs={"train": 1})
    outputs = Run(folder).tensors("MLP", phase="train")
    assert list(outputs) == [(1, batch) for batch in range(4)]
    assert outputs.rows == 20
    of_epoch = np.concatenate([batch_of(1, batch) for batch in range(4)])
    np.testing.assert_array_equal(outputs.stacked(), of_epoch)
    assert [chunk.shape for chunk in outputs.chunks()] == [(20, 2)]
    kept = np.asarray(outputs.arrow().combine_chunks().flatten()).reshape(-1, 2)
    np.testing.assert_array_equal(kept, of_epoch)
    with pytest.raises(KeyError, match="epoch 0 was not kept; the rows are those of epoch 1"):
        outputs[0, 0]
    assert len(Run(folder).tensors("MLP", phase="test.eval")) == 1


def test_what_is_not_recorded_says_what_is(run: Run) -> None:
    outputs = run.tensors("MLP", phase="train")
    with pytest.raises(KeyError, match="batch 9 of epoch 1 is not recorded; batches 0 to 3 are"):
        outputs[1, 9]
    with pytest.raises(KeyError, match="epoch 9 is not recorded; epochs 0 to 2 are"):
        outputs[9, 0]
    with pytest.raises(KeyError, match="epoch 9 is not recorded; epochs 0 to 2 are"):
        outputs.stacked(epoch=9)
    with pytest.raises(KeyError, match=r"a batch is found by \(epoch, batch\), not by 0"):
        outputs[0]  # type: ignore[index]
    with pytest.raises(KeyError, match=r"not by 'train'"):
        outputs["train"]  # type: ignore[index]


def test_a_phase_is_needed_where_several_recorded(run: Run) -> None:
    assert run.tensors("MLP", "targets").phase == "train"
    with pytest.raises(RunError) as error:
        run.tensors("MLP")
    assert str(error.value) == (
        "2 phases recorded `MLP.outputs`: `train`, `test.eval`\n"
        'hint: say which, as in phase="train"'
    )


def test_an_unknown_column_lists_what_there_is(run: Run) -> None:
    with pytest.raises(RunError) as error:
        run.tensors("MLP", "targets", phase="test.eval")
    assert str(error.value) == (
        "`MLP.targets` is not recorded in phase `test.eval`; recorded: "
        "train: `Data.sample_id`, train: `MLP.outputs`, train: `MLP.targets`, "
        "test.eval: `MLP.outputs`"
    )


def test_many_batches_are_opened_at_once(
    tmp_path: Path, write_run_file: Callable[..., None]
) -> None:
    folder = RunFolder(tmp_path / "toy" / "20261121-100000")
    write_run_file(folder)
    store = Store.create(str(folder.records), run_id="r")
    channel = store.tensor(
        phase="train", node="N", role="default", field="outputs", dtype="float32", shape=()
    )
    row = np.zeros(1, np.float32)
    for number in range(20_000):
        channel.record(row, number // 100, number % 100)
    store.close()
    outputs = Run(folder).tensors("N")
    assert len(outputs) == 20_000
    assert next(iter(outputs)) == (0, 0)
    assert outputs[199, 99].shape == (1,)
