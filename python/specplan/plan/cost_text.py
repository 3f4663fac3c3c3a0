"""The bill of a plan as text that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.base.amounts import count, decimal, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.plan.cost import Cost, PhaseCost

_HEAD = (
    *("phase", "kind", "rows", "steps", "parameters", "trained"),
    *("FLOPs once", "FLOPs", "memory", "records", "tables"),
)
_LEFT = 2
"""Columns of words; those behind them are numbers."""


def cost_text(bill: Cost) -> str:
    """A line for each phase and one for all, then what the numbers do not say; with a line break at the end."""
    rows = [_HEAD, *(_row(phase) for phase in bill.phases), _total(bill)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    table = [_line(row, widths) for row in rows]
    return "\n".join([*table, "", *_notes(bill)]) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        text.ljust(width) if column < _LEFT else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _row(phase: PhaseCost) -> tuple[str, ...]:
    return (
        phase.path + "*" * bool(phase.may_end_early),
        phase.phase,
        f"{phase.rows:,}",
        f"{phase.steps:,}",
        f"{phase.parameters:,}",
        f"{phase.trained:,}" if phase.trained else "-",
        _flops(phase.flops_forward, phase),
        _flops(phase.flops, phase),
        size(phase.memory.total),
        size(phase.recorded.records),
        size(phase.recorded.tables),
    )


def _flops(number: int, phase: PhaseCost) -> str:
    if phase.uncounted:
        return f"{decimal(number)} + ?" if number else "?"
    return decimal(number) if number else "-"


def _total(bill: Cost) -> tuple[str, ...]:
    unknown = " + ?" * any(phase.uncounted for phase in bill.phases)
    sizes = (size(bill.peak_memory), size(bill.records), size(bill.tables))
    return (
        *("total", "", "", f"{bill.steps:,}", f"{bill.parameters:,}", "", ""),
        *(f"{decimal(bill.flops)}{unknown}", *sizes),
    )


def _notes(bill: Cost) -> Iterator[str]:
    for phase in bill.phases:
        said = list(_said_of(phase))
        if said:
            yield f"{phase.path}: {'; '.join(said)}"
    unknown = dict.fromkeys(label for phase in bill.phases for label in phase.uncounted)
    if unknown:
        yield f"FLOPs of {', '.join(unknown)} are not known"
    if bill.countable:
        yield f"`mlx compile --check-imports` runs {', '.join(bill.countable)} on a few rows and counts"
    if bill.unknown_parameters:
        yield f"parameters of {', '.join(bill.unknown_parameters)} are not known: their code was not run"
    yield "FLOPs once: of one forward pass over all rows"
    yield "memory: an estimate, beside what Python and its libraries take; in total that of the largest phase"
    yield "records: on the disk when the run is over; tables: at most, beside the records"
    yield "cache: none, every phase is computed anew"


def _said_of(phase: PhaseCost) -> Iterator[str]:
    if phase.epochs > 1 or phase.phase == "train":
        batches = phase.steps // phase.epochs
        each = f"{batches:,} batches" if batches > 1 else "1 batch"
        yield f"{count(phase.epochs, 'epoch')} of {each} of {count(phase.batch_size, 'row')}"
    if phase.updates and phase.updates < phase.steps:
        yield f"{count(phase.updates, 'update')} of the weights, of several batches each"
    if phase.may_end_early:
        yield f"* at most, {', '.join(phase.may_end_early)}"
    if phase.computed_once:
        yield f"{', '.join(phase.computed_once)} computed once for all rows, not in each step"
