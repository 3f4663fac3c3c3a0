"""Saving what is whole of a damaged run into a copy."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec

from specplan._native import StoreReader, export_execution, export_metrics, repair_store
from specplan.errors import PlanError, RunError, StoreError
from specplan.plan.canonical import read_plan
from specplan.results.status import read_run_file
from specplan.results.verify import Damage, recorded_phases, verify_run
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What was saved of a run.

    Attributes:
        damages: everything that is wrong with the original.
        left_out: what the copy lacks, one line each.
        unproven: what the copy has that could not be compared with a checksum.
    """

    copy: str
    batches: int
    metric_rows: int
    files: int
    damages: tuple[Damage, ...]
    left_out: tuple[str, ...]
    unproven: tuple[str, ...]


def repair_run(folder: RunFolder, to: Path) -> Repair:
    """Write what is whole of a run into a new folder. The original is only read.

    Files that are not damaged are copied, records are saved one by one, and the tables are written
    anew from these.

    Raises:
        RunError: there is something at `to`, or nothing could be saved.
        StoreError: a record file is of a later version.
    """
    if to.exists():
        raise RunError(f"`{to}` exists already; a repaired copy needs a new folder")
    if to.resolve().is_relative_to(folder.path.resolve()):
        raise RunError(f"`{to}` lies in the run that is only read; a copy needs a folder elsewhere")
    found = verify_run(folder)
    aside = RunFolder(to.parent / f".{to.name}.{os.getpid()}")
    aside.path.mkdir(parents=True)
    try:
        repair = _fill(folder, aside, {damage.path for damage in found.damages})
        repair = msgspec.structs.replace(repair, copy=str(to), damages=found.damages)
        if not repair.batches and not repair.metric_rows and not repair.files:
            raise RunError(f"nothing of `{folder.path}` could be saved")
        aside.path.rename(to)
    except BaseException:
        shutil.rmtree(aside.path)
        raise
    return repair


def _fill(folder: RunFolder, copy: RunFolder, damaged: set[str]) -> Repair:
    left_out: list[str] = []
    files = _copy_files(folder, copy, damaged, left_out)
    batches = metric_rows = 0
    unproven: tuple[str, ...] = ()
    if folder.records.is_dir():
        run_id = folder.path.name
        try:
            saved = repair_store(str(folder.records), str(copy.records), run_id=run_id)
        except StoreError as error:
            if copy.records.exists():
                raise
            left_out.append(f"records: {error}")
        else:
            batches, metric_rows = saved.batches, saved.metric_rows
            left_out += [line.replace(f"{folder.path}/", "") for line in saved.left_out]
            unproven = tuple(saved.unproven)
            _write_tables(copy, run_id, left_out)
    return Repair(
        copy=str(copy.path),
        batches=batches,
        metric_rows=metric_rows,
        files=files,
        damages=(),
        left_out=tuple(left_out),
        unproven=unproven,
    )


def _copy_files(folder: RunFolder, copy: RunFolder, damaged: set[str], left_out: list[str]) -> int:
    """Copy what is neither a record nor a table; returns how many files."""
    files = 0
    for path in sorted(folder.path.rglob("*")):
        name = path.relative_to(folder.path)
        if name.parts[0] in (folder.records.name, folder.tables.name) or not path.is_file():
            continue
        if str(name) in damaged:
            left_out.append(f"{name}: the file is damaged")
            continue
        target = copy.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(path, target)
        except OSError as error:
            left_out.append(f"{name}: {error.strerror}")
            continue
        files += 1
    return files


def _write_tables(copy: RunFolder, run_id: str, left_out: list[str]) -> None:
    records = str(copy.records)
    copy.tables.mkdir()
    export_metrics(records, str(copy.metrics_table), run_id=run_id)
    kept = _kept_epochs(copy)
    for phase in recorded_phases(StoreReader.open(records)):
        table = copy.execution_table(phase)
        try:
            export_execution(records, phase, str(table), run_id=run_id, epoch=kept.get(phase))
        except StoreError as error:
            left_out.append(f"{copy.tables.name}/{table.name}: {error}")


def _kept_epochs(copy: RunFolder) -> dict[str, int | None]:
    """The one epoch of each phase that records only its last; nothing where the run or its plan is lost."""
    try:
        run_file, plan = read_run_file(copy), read_plan(copy.plan_file).plan
    except (RunError, PlanError):
        return {}
    return {phase.path: run_file.kept_epoch(phase) for phase in plan.phases}
