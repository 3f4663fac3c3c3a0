"""The child process of `specplan.code.probe`: builds code of the user and runs it on a few rows."""

from __future__ import annotations

import os
import resource
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor, nn

from specplan.code.batches import OwnBatches, maker, unpacked
from specplan.code.division import digest_of_rows, divided, divider
from specplan.code.load import place_of
from specplan.code.own_scaling import OwnScaling, ScalingError
from specplan.code.probe import (
    AnyAnswer,
    AnyJob,
    Divide,
    Draw,
    Drew,
    Failed,
    Fitting,
    Gave,
    Job,
    Judged,
    Judgement,
    Parts,
    Values,
    failed,
)
from specplan.code.signature import signature
from specplan.code.source import Source, find
from specplan.components.reference import parse
from specplan.errors import CodeError, RunError
from specplan.models.own import arguments
from specplan.models.torch import own
from specplan.models.torch.flops import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from specplan.base.flops import ModelFlops
    from specplan.code.batches import MakeEpoch
    from specplan.code.division import DivideRows
    from specplan.components import Kind

_JOB: msgspec.json.Decoder[AnyJob] = msgspec.json.Decoder(AnyJob)


def main(memory: int) -> None:
    """Answer the jobs of stdin, one in each line, on stdout. What the code prints goes nowhere.

    The code gets no more than `memory` bytes, where the system can say how many a process has.
    """
    answers = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    torch.set_num_threads(1)
    _limit(memory)
    for line in sys.stdin.buffer:
        os.write(answers, msgspec.json.encode(_answer(_JOB.decode(line))) + b"\n")


def _limit(memory: int) -> None:
    """Let the process have so much more memory for data than it has now, and no more than is free."""
    held, free = (
        _kilobytes("/proc/self/status", "VmData"),
        _kilobytes("/proc/meminfo", "MemAvailable"),
    )
    if held is None or free is None:
        return
    limit = held * 1024 + min(memory, free * 1024)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most in (resource.RLIM_INFINITY, -1) or limit < most:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def _kilobytes(file: str, name: str) -> int | None:
    """What a file of Linux says under a name; None elsewhere."""
    path = Path(file)
    lines = path.read_text().splitlines() if path.is_file() else []
    said = next((line for line in lines if line.startswith(f"{name}:")), None)
    return None if said is None else int(said.split()[1])


def _answer(job: AnyJob) -> AnyAnswer:
    reference = parse(job.use)
    assert reference is not None
    try:
        source = find(
            reference,
            folder=Path(job.folder),
            pythonpath=[Path(path) for path in job.pythonpath],
        )
        if source.digest != job.digest:
            return failed(reference.name, "changed while it was compiled")
        kind = _kind(job)
        declared = signature(source, kind)
        given = arguments(source, declared, job.args)
        make = own.imported(source, kind)
        torch.manual_seed(0)
        match job:
            case Judgement():
                return _judged(source, make, given, job)
            case Draw():
                return _drawn(source, maker(make, given, declared, _columns(job)), job)
            case Divide():
                return _divided(source, divider(make, given, declared, _columns(job)), job)
            case Fitting():
                return _fitted(source, make, given, job)
        return _tried(source, make, given, job)
    except CodeError as error:
        return Failed(code=error.code, message=error.message)


def _kind(job: AnyJob) -> Kind:
    match job:
        case Judgement() | Job():
            return job.kind
        case Draw():
            return "sampler"
        case Divide():
            return "split"
    return "scaler"


def _columns(job: Draw | Divide) -> dict[str, NDArray[Any]]:
    return {label: unpacked(column) for label, column in job.columns.items()}


def _drawn(source: Source, make: MakeEpoch, job: Draw) -> Drew | Failed:
    name = source.reference.name
    try:
        batches = OwnBatches(make, f"`{name}`", job.seed, job.rows)
    except RunError as error:
        return Failed(code="SP604", message=str(error))
    except Exception as error:  # noqa: BLE001 -- whatever the code raises is the answer
        return failed(name, f"failed with {job.rows} rows, {_raised(error, source)}")
    return Drew(
        samples=batches.samples,
        steps=batches.steps,
        largest=batches.largest,
        roles=batches.roles,
    )


def _divided(source: Source, divide: DivideRows, job: Divide) -> Parts | Failed:
    name = source.reference.name
    try:
        splits = divided(divide, f"`{name}`", job.seed, job.rows)
        again = divided(divide, f"`{name}`", job.seed, job.rows)
    except RunError as error:
        return Failed(code="SP604", message=str(error))
    except Exception as error:  # noqa: BLE001 -- whatever the code raises is the answer
        return failed(name, f"failed with {job.rows} rows, {_raised(error, source)}")
    if digest_of_rows(splits) != digest_of_rows(again):
        return failed(name, "gave other splits of the same rows when it was called again")
    return Parts(splits={split: rows.tobytes() for split, rows in splits.items()})


def _fitted(source: Source, make: own.Make, given: dict[str, Any], job: Fitting) -> Judged | Failed:
    name = source.reference.name
    rows = unpacked(job.rows)
    try:
        scaler = OwnScaling(lambda: make(**given), name, source)
        scaler.fit(rows)
        scaler.transform(rows)
    except ScalingError as error:
        return Failed(code="SP604", message=str(error), hint=error.hint)
    except ValueError as error:
        return failed(name, f"failed with {len(rows)} rows of the data, {error}")
    return Judged()


def _tried(source: Source, make: own.Make, given: dict[str, Any], job: Job) -> Gave | Failed:
    name, doing, began = source.reference.name, "failed in __init__", time.monotonic()
    try:
        made = make(**given) if isinstance(make, type) else partial(make, **given)
        module = made if isinstance(made, nn.Module) else _Function(made)
        if own.has_lazy_layers(module):
            return failed(name, "has lazy layers; take `input_shape` and say their sizes")
        doing = "failed in forward" if module is made else "failed"
        shapes = {
            row_shape(name, module.train(mode), _batch(job, rows), torch.float32)
            for mode, rows in ((False, 2), (False, 3), (True, 3))
        }
    except CodeError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever the code raises is the answer
        hint = None if all(job.rows) else _AT_RANDOM
        return failed(name, f"{doing}, {_raised(error, source)}", hint)
    if len(shapes) > 1:
        return failed(name, f"gives rows of different shapes: {sorted(shapes)}")
    parameters = sum(each.numel() for each in module.parameters())
    flops = _counted(module, job) if time.monotonic() - began < _SOON else None
    return Gave(
        shape=shapes.pop(),
        parameters=parameters,
        read=job.read,
        flops=flops,
        uncountable=flops is None,
    )


def _counted(module: nn.Module, job: Job) -> ModelFlops | None:
    try:
        return counted(module, partial(_batch, job))
    except Exception:  # noqa: BLE001 -- a model that cannot learn is none that cannot be run
        return None


_SOON = 10.0
"""Seconds within which a model is tried whose operations are counted, which takes longer."""
_AT_RANDOM = "it read random numbers: before a run, only columns as the data have them are read"


class _Function(nn.Module):
    """A function as a module without weights."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function

    def forward(self, inputs: Any) -> Any:
        return self._function(inputs)


def _batch(job: Job, rows: int) -> Tensor | list[Tensor]:
    """What the code reads: rows of the data where there are some, random ones elsewhere."""
    held = job.rows or (None,) * len(job.input_shapes)
    inputs = [
        torch.randn(rows, *shape)
        if column is None
        else torch.from_numpy(unpacked(column)[:rows].copy())
        for column, shape in zip(held, job.input_shapes, strict=True)
    ]
    return inputs if job.kind == "merge" else inputs[0]


def _raised(error: BaseException, source: Source) -> str:
    """Where an exception comes from, and what it says."""
    return f"{place_of(error, source)}: {type(error).__name__}: {error}"


def _judged(
    source: Source, make: own.Make, given: dict[str, Any], job: Judgement
) -> Judged | Failed:
    name = source.reference.name
    called = f"`{name}`"
    try:
        for rows in (2, 3):
            values = [_some(each, rows) for each in job.values]
            if job.kind == "metric":
                own.own_metric(make, given, called)(*(each.numpy() for each in values))
                continue
            loss = own.own_loss(make, given, called)(*values)
            if any(each.gradient for each in job.values) and not loss.requires_grad:
                return failed(
                    name, "gives a number without a gradient, so nothing can learn from it"
                )
    except RunError as error:
        return Failed(code="SP604", message=str(error))
    except CodeError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever the code raises is the answer
        shapes = " and ".join(f"{each.dtype} {(rows, *each.shape)}" for each in job.values)
        return failed(name, f"failed with {shapes}, {_raised(error, source)}")
    return Judged()


def _some(values: Values, rows: int) -> Tensor:
    """Values that most losses take: classes are 0, numbers are between 0 and 1."""
    shape, dtype = (rows, *values.shape), getattr(torch, values.dtype)
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    return torch.rand(shape, dtype=dtype, requires_grad=values.gradient)


@torch.no_grad()
def row_shape(
    name: str, module: nn.Module, batch: Tensor | list[Tensor], dtype: torch.dtype
) -> tuple[int, ...]:
    """Shape of one output row. Raises CodeError where the module gives no rows of the item type `dtype`."""
    rows = len(batch) if isinstance(batch, Tensor) else len(batch[0])
    outputs = module(batch)
    gives = f"`{name}` gives {own.described(outputs)}"
    if not isinstance(outputs, Tensor) or outputs.shape[:1] != (rows,):
        raise CodeError("SP604", f"{gives} for {rows} rows")
    if outputs.dtype is not dtype:
        raise CodeError("SP604", f"{gives}; a model gives {str(dtype).removeprefix('torch.')}")
    return tuple(outputs.shape[1:])
