"""The child process of `specplan.code.probe`: builds code of the user and runs it on a few rows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from specplan.code.batches import OwnBatches, maker, unpacked
from specplan.code.load import place_of
from specplan.code.probe import (
    AnyAnswer,
    AnyJob,
    Draw,
    Drew,
    Failed,
    Gave,
    Judged,
    Judgement,
    Values,
    failed,
)
from specplan.code.signature import signature
from specplan.code.source import Source, find
from specplan.components.reference import parse
from specplan.errors import CodeError, RunError
from specplan.models.torch import own

if TYPE_CHECKING:
    from specplan.code.batches import MakeEpoch
    from specplan.components import Kind

_JOB: msgspec.json.Decoder[AnyJob] = msgspec.json.Decoder(AnyJob)


def main() -> None:
    """Answer the jobs of stdin, one in each line, on stdout. What the code prints goes nowhere."""
    answers = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    torch.set_num_threads(1)
    for line in sys.stdin.buffer:
        os.write(answers, msgspec.json.encode(_answer(_JOB.decode(line))) + b"\n")


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
        given = own.arguments(source, declared, job.args)
        make = own.imported(source, kind)
        torch.manual_seed(0)
        if isinstance(job, Judgement):
            return _judged(source, make, given, job)
        if isinstance(job, Draw):
            columns = {label: unpacked(column) for label, column in job.columns.items()}
            return _drawn(source, maker(make, given, declared, columns), job)
        return _tried(source, make, given, job.input_shape)
    except CodeError as error:
        return Failed(code=error.code, message=error.message)


def _kind(job: AnyJob) -> Kind:
    match job:
        case Judgement():
            return job.kind
        case Draw():
            return "sampler"
    return "model"


def _drawn(source: Source, make: MakeEpoch, job: Draw) -> Drew | Failed:
    name = source.reference.name
    try:
        batches = OwnBatches(make, f"`{name}`", job.seed, job.rows)
    except RunError as error:
        return Failed(code="SP604", message=str(error))
    except Exception as error:  # noqa: BLE001 -- whatever the code raises is the answer
        place = f"{place_of(error, source)}: {type(error).__name__}: {error}"
        return failed(name, f"failed with {job.rows} rows, {place}")
    return Drew(samples=batches.samples, steps=batches.steps, largest=batches.largest)


def _tried(
    source: Source, make: own.Make, given: dict[str, Any], input_shape: tuple[int, ...]
) -> Gave | Failed:
    name, stage = source.reference.name, "__init__"
    try:
        module: nn.Module = make(**given)
        if any(isinstance(each, UninitializedParameter) for each in module.parameters()):
            return failed(name, "has lazy layers; take `input_shape` and say their sizes")
        stage = "forward"
        shapes = {
            row_shape(name, module.train(mode), torch.randn(rows, *input_shape), torch.float32)
            for mode, rows in ((False, 2), (False, 3), (True, 3))
        }
    except CodeError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever the code raises is the answer
        place = f"{place_of(error, source)}: {type(error).__name__}: {error}"
        return failed(name, f"failed in {stage}, {place}")
    if len(shapes) > 1:
        return failed(name, f"gives rows of different shapes: {sorted(shapes)}")
    return Gave(shape=shapes.pop(), parameters=sum(each.numel() for each in module.parameters()))


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
        place = f"{place_of(error, source)}: {type(error).__name__}: {error}"
        shapes = " and ".join(f"{each.dtype} {(rows, *each.shape)}" for each in job.values)
        return failed(name, f"failed with {shapes}, {place}")
    return Judged()


def _some(values: Values, rows: int) -> Tensor:
    """Values that most losses take: classes are 0, numbers are between 0 and 1."""
    shape, dtype = (rows, *values.shape), getattr(torch, values.dtype)
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    return torch.rand(shape, dtype=dtype, requires_grad=values.gradient)


@torch.no_grad()
def row_shape(name: str, module: nn.Module, batch: Tensor, dtype: torch.dtype) -> tuple[int, ...]:
    """Shape of one output row. Raises CodeError where the module gives no rows of the item type `dtype`."""
    rows, outputs = len(batch), module(batch)
    gives = f"`{name}` gives {own.described(outputs)}"
    if not isinstance(outputs, Tensor) or outputs.shape[:1] != (rows,):
        raise CodeError("SP604", f"{gives} for {rows} rows")
    if outputs.dtype is not dtype:
        raise CodeError("SP604", f"{gives}; a model gives {str(dtype).removeprefix('torch.')}")
    return tuple(outputs.shape[1:])
