"""Recording of tensors, bound to the registers of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from specplan.plan.model import Phase, Record
    from specplan.run.program import Program, Registers
    from specplan.store.recorder import Recorder


def bind_records(
    recorder: Recorder, program: Program, phase: Phase, records: Sequence[Record] | None = None
) -> Callable[[Registers, int, int], None]:
    """A function of registers, epoch and batch that records what the phase records of one step.

    `records` are those of them that the program has; by default all.
    """
    chosen = phase.records if records is None else records
    return bound(recorder, program, phase.path, () if phase.record == "none" else chosen)


def bound(
    recorder: Recorder, program: Program, place: str, records: Sequence[Record]
) -> Callable[[Registers, int, int], None]:
    """The same of some records, which go to a place."""
    if not records:
        return _nothing
    registers = [program.record(record) for record in records]
    channels = list(zip(recorder.tensors(place, records), registers, strict=True))

    def record_step(registers: Registers, epoch: int, batch: int) -> None:
        for record, register in channels:
            record(registers[register], epoch, batch)

    def record_step_of_metal(registers: Registers, epoch: int, batch: int) -> None:
        for record, register in channels:
            record(registers[register].cpu(), epoch, batch)

    # Copies that nothing waits for are those of CUDA alone.
    return record_step_of_metal if program.device == "mps" else record_step


def _nothing(_registers: Registers, _epoch: int, _batch: int) -> None:
    pass
