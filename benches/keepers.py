"""What the loops of `training_loop.py` keep of every step, and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from specplan._native import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    Open = Callable[[Path], "Keeper"]

VALUES = 10
"""Numbers of a step: the loss, and nine that stay as they are."""


def _nothing() -> None:
    pass


class Keeper(NamedTuple):
    """Takes the epoch, the batch, the loss, outputs, targets and row numbers of a step."""

    keep: Callable[[int, int, Tensor, Tensor, Tensor, Tensor], object]
    close: Callable[[], object] = _nothing


def nothing(_path: Path) -> Keeper:
    """Not even the value of the loss."""

    def keep(_e: int, _b: int, _loss: Tensor, _out: Tensor, _targets: Tensor, _ids: Tensor) -> None:
        pass

    return Keeper(keep)


def item(_path: Path) -> Keeper:
    """The loss as a number, in a list."""
    losses: list[float] = []

    def keep(_e: int, _b: int, loss: Tensor, _out: Tensor, _targets: Tensor, _ids: Tensor) -> None:
        losses.append(loss.item())

    return Keeper(keep)


def scalars_specplan(path: Path) -> Keeper:
    """Ten numbers through a group of series."""
    store = Store.create(str(path / "records"), run_id="bench")
    log = store.metrics([("train", "MLP", "train", f"m{i}") for i in range(VALUES)]).log
    values = np.zeros(VALUES)

    def keep(e: int, b: int, loss: Tensor, _out: Tensor, _targets: Tensor, _ids: Tensor) -> None:
        values[0] = loss.item()
        log(values, e, b, b)

    return Keeper(keep, store.close)


def scalars_json(path: Path) -> Keeper:
    """Ten numbers as a line of JSON."""
    file = (path / "metrics.jsonl").open("w")
    values = dict.fromkeys([f"m{i}" for i in range(VALUES)], 0.0)

    def keep(e: int, b: int, loss: Tensor, _out: Tensor, _targets: Tensor, _ids: Tensor) -> None:
        values["m0"] = loss.item()
        file.write(json.dumps({"epoch": e, "batch": b, **values}) + "\n")

    return Keeper(keep, file.close)


def scalars_tensorboard(path: Path) -> Keeper:
    """Ten numbers through torch's SummaryWriter."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(path))
    names = [f"m{i}" for i in range(1, VALUES)]

    def keep(_e: int, b: int, loss: Tensor, _out: Tensor, _targets: Tensor, _ids: Tensor) -> None:
        writer.add_scalar("m0", loss.item(), b)
        for name in names:
            writer.add_scalar(name, 0.0, b)

    return Keeper(keep, writer.close)


def all_in_memory(_path: Path) -> Keeper:
    """A list of copies, lost when the process ends."""
    kept: list[tuple[float, Tensor, Tensor, Tensor]] = []

    def keep(_e: int, _b: int, loss: Tensor, out: Tensor, targets: Tensor, ids: Tensor) -> None:
        kept.append((loss.item(), out.detach().clone(), targets.clone(), ids.clone()))

    return Keeper(keep)


def all_specplan(path: Path) -> Keeper:
    """Ten numbers and three tensors through a store."""
    store = Store.create(str(path / "records"), run_id="bench")
    log = store.metrics([("train", "MLP", "train", f"m{i}") for i in range(VALUES)]).log
    values = np.zeros(VALUES)

    def channel(field: str, dtype: str, shape: tuple[int, ...]) -> Callable[..., int]:
        return store.tensor(
            phase="train", node="MLP", role="default", field=field, dtype=dtype, shape=shape
        ).record

    outputs = channel("outputs", "float32", (128,))
    of_targets = channel("targets", "int64", ())
    of_ids = channel("sample_id", "int64", ())

    def keep(e: int, b: int, loss: Tensor, out: Tensor, targets: Tensor, ids: Tensor) -> None:
        outputs(out, e, b)
        of_targets(targets, e, b)
        of_ids(ids, e, b)
        values[0] = loss.item()
        log(values, e, b, b)

    return Keeper(keep, store.close)


def all_pyarrow(path: Path) -> Keeper:
    """The same columns through pyarrow's stream writer, the numbers in a list."""
    import pyarrow as pa

    schema = pa.schema(
        [
            ("outputs", pa.list_(pa.float32(), 128)),
            ("targets", pa.int64()),
            ("sample_id", pa.int64()),
            ("epoch", pa.int32()),
            ("batch", pa.int32()),
        ]
    )
    sink = pa.OSFile(str(path / "stream.arrow"), "wb")
    writer = pa.ipc.new_stream(sink, schema)
    losses: list[float] = []

    def keep(e: int, b: int, loss: Tensor, out: Tensor, targets: Tensor, ids: Tensor) -> None:
        rows = len(targets)
        columns = [
            pa.FixedSizeListArray.from_arrays(out.detach().numpy().reshape(-1), 128),
            pa.array(targets.numpy()),
            pa.array(ids.numpy()),
            pa.array(np.full(rows, e, np.int32)),
            pa.array(np.full(rows, b, np.int32)),
        ]
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        losses.append(loss.item())

    def close() -> None:
        writer.close()
        sink.close()

    return Keeper(keep, close)


BASELINE = "by hand, nothing kept"
SCALARS = "**scalars: specplan**"
COPIES = "all: copies kept in RAM"
ALL = "**all: specplan**"
PLAN_NONE = "**plan, record none**"
PLAN_ALL = "**plan, record all**"

KEEPERS: dict[str, tuple[Open, str | None]] = {
    BASELINE: (nothing, None),
    "loss.item() alone": (item, None),
    SCALARS: (scalars_specplan, None),
    "scalars: json lines": (scalars_json, None),
    "scalars: TensorBoard": (scalars_tensorboard, "tensorboard"),
    COPIES: (all_in_memory, None),
    ALL: (all_specplan, None),
    "all: pyarrow IPC stream": (all_pyarrow, None),
}
