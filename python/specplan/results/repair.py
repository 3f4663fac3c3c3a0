"""Saving what is whole of a damaged run into a copy."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec

from specplan._native import StoreReader, export_execution, export_metrics, repair_store
from specplan.base.files import in_the_making, write_atomically
from specplan.errors import PlanError, RunError, StoreError
from specplan.plan.by_feed import tables_of
from specplan.plan.canonical import read_plan
from specplan.results.artifacts import Artifact, artifact_batches, read_row
from specplan.results.status import read_run_file
from specplan.results.verify import Damage, recorded_phases, verify_run
from specplan.store.artifacts import files_below
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from specplan._native import Repaired
    from specplan.store.artifacts import ArtifactRow


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
    aside = RunFolder(in_the_making(to))
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
    unproven: list[str] = []
    if folder.records.is_dir():
        run_id = folder.path.name
        try:
            saved = repair_store(str(folder.records), str(copy.records), run_id=run_id, without=())
        except StoreError as error:
            if copy.records.exists():
                raise
            left_out.append(f"records: {error}")
        else:
            left_out += [line.replace(f"{folder.path}/", "") for line in saved.left_out]
            unproven += saved.unproven
            lost = _copy_artifacts(folder, copy, left_out)
            if lost:
                saved = _leave_out(copy, run_id, lost)
            batches, metric_rows = saved.batches, saved.metric_rows
            _write_tables(copy, run_id, left_out)
    _copy_unrecorded(folder, copy, left_out, unproven)
    if copy.artifacts.is_dir():
        files += len(files_below(copy.artifacts))
    _forget_digests(copy)
    return Repair(
        copy=str(copy.path),
        batches=batches,
        metric_rows=metric_rows,
        files=files,
        damages=(),
        left_out=tuple(left_out),
        unproven=tuple(unproven),
    )


def _copy_files(folder: RunFolder, copy: RunFolder, damaged: set[str], left_out: list[str]) -> int:
    """Copy what is no record, table or artifact; returns how many files."""
    files = 0
    elsewhere = (folder.records.name, folder.tables.name, folder.artifacts.name)
    for path in sorted(folder.path.rglob("*")):
        name = path.relative_to(folder.path)
        if name.parts[0] in elsewhere or path.is_dir():
            continue
        if str(name) in damaged:
            left_out.append(f"{name}: the file is damaged")
        else:
            files += _copied(path, copy.path / name, str(name), left_out)
    return files


def _copied(path: Path, target: Path, name: str, left_out: list[str]) -> bool:
    if not path.is_file():
        left_out.append(f"{name}: it is neither a file nor a folder")
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(path, target)
    except OSError as error:
        left_out.append(f"{name}: {error.strerror}")
        return False
    return True


def _copy_artifacts(folder: RunFolder, copy: RunFolder, left_out: list[str]) -> list[int]:
    """Copy what matches its record in the copy; returns the numbers of the records that nothing matches."""
    lost = []
    for channel, position, sequence in artifact_batches(StoreReader.open(str(copy.records))):
        for text in channel.at(position):
            try:
                row = read_row(text)
            except StoreError as error:
                left_out.append(f"{copy.records.name}: {error}")
                lost.append(sequence)
                continue
            try:
                _copy_artifact(folder, copy, row)
            except (OSError, StoreError) as error:
                path = folder.artifacts / row.file
                what = str(error).removeprefix(f"{path} is damaged: ").removeprefix(f"{path} ")
                name = path.relative_to(folder.path)
                left_out.append(f"{name}: {what}; so is what the records say of it")
                lost.append(sequence)
    return lost


def _copy_artifact(folder: RunFolder, copy: RunFolder, row: ArtifactRow) -> None:
    Artifact(folder.artifacts, row, 1).check()
    source, target = folder.artifacts / row.file, copy.artifacts / row.file
    for path in files_below(source):
        to = target / path.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)
    Artifact(copy.artifacts, row, 1).check()


def _leave_out(copy: RunFolder, run_id: str, records: list[int]) -> Repaired:
    """Take records out of the copy: they tell of artifacts that it has not."""
    before = copy.path / f".{copy.records.name}"
    copy.records.rename(before)
    saved = repair_store(str(before), str(copy.records), run_id=run_id, without=records)
    shutil.rmtree(before)
    return saved


def _copy_unrecorded(
    folder: RunFolder, copy: RunFolder, left_out: list[str], unproven: list[str]
) -> None:
    """Copy the artifacts of which no record tells: it may be lost, or was never made."""
    for path in sorted(folder.artifacts.rglob("*")):
        name = path.relative_to(folder.path)
        if path.is_dir() or (copy.path / name).exists() or _is_named(name, left_out):
            continue
        if path.name.startswith(".") and path.name.endswith(".tmp"):
            left_out.append(f"{name}: it was still being written")
        elif _copied(path, copy.path / name, str(name), left_out):
            unproven.append(
                f"{name}: no record tells of it, so that nothing says what it should be"
            )


def _is_named(name: Path, lines: list[str]) -> bool:
    """Whether a file, or a folder above it, was left out."""
    names = [str(name), *map(str, name.parents)]
    return any(line.startswith(f"{each}: ") for each in names for line in lines)


def _forget_digests(copy: RunFolder) -> None:
    """Take the files that the copy lacks out of its run.json."""
    try:
        run_file = read_run_file(copy)
    except RunError:
        return
    there = {path.name for path in copy.constant_files if path.is_file()}
    digests = {name: digest for name, digest in run_file.digests.items() if name in there}
    if digests != run_file.digests:
        changed = msgspec.structs.replace(run_file, digests=digests)
        write_atomically(copy.run_file, encode_checked(changed))


def _write_tables(copy: RunFolder, run_id: str, left_out: list[str]) -> None:
    records = str(copy.records)
    copy.tables.mkdir()
    export_metrics(records, str(copy.metrics_table), run_id=run_id)
    recorded = recorded_phases(StoreReader.open(records))
    for name, phase, nodes, kept in _tables(copy, recorded):
        table = copy.execution_table(name)
        try:
            export_execution(records, phase, str(table), run_id=run_id, epoch=kept, nodes=nodes)
        except StoreError as error:
            left_out.append(f"{copy.tables.name}/{table.name}: {error}")


def _tables(
    copy: RunFolder, recorded: Sequence[str]
) -> list[tuple[str, str, tuple[str, ...] | None, int | None]]:
    """Name, phase, nodes and the only epoch of each table; None for all, also where the run or its plan is lost."""
    try:
        run_file, plan = read_run_file(copy), read_plan(copy.plan_file).plan
    except (RunError, PlanError):
        return [(path, path, None, None) for path in recorded]
    planned = {phase.path: phase for phase in plan.phases}
    found = []
    for path in recorded:
        phase = planned.get(path)
        names = {path: None} if phase is None else tables_of(plan.graph, phase)
        kept = None if phase is None else run_file.kept_epoch(phase)
        found += [(name, path, nodes, kept) for name, nodes in names.items()]
    return found
