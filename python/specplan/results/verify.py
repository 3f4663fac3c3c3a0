"""Every digest of a run folder, compared."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from specplan._native import StoreReader, verify_parquet, verify_store
from specplan.errors import PlanError, RunError, StoreError
from specplan.plan.canonical import read_plan
from specplan.results.artifacts import Artifact, artifact_batches, read_row
from specplan.results.status import read_run_file
from specplan.store.artifacts import file_digest, files_below
from specplan.store.checked_json import matches_checksum
from specplan.store.checkpoints import CheckpointFolder
from specplan.store.tags import read_tags

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from specplan.store.artifacts import ArtifactRow
    from specplan.store.layout import RunFolder
    from specplan.store.run_file import RunFile

Found = TypeVar("Found")


class Damage(msgspec.Struct, frozen=True):
    """One thing that is wrong.

    Attributes:
        path: the file, from the folder of the run.
        offset: the byte in it, where that is known.
        what: what is wrong there.
    """

    path: str
    offset: int | None
    what: str

    def __str__(self) -> str:
        place = self.path if self.offset is None else f"{self.path}:{self.offset}"
        return f"{place}: {self.what}"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared, and everything that is wrong."""

    batches: int
    metric_rows: int
    files: int
    damages: tuple[Damage, ...]


class _Findings:
    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder.path
        self.files = 0
        self.damages: list[Damage] = []

    def add(self, path: Path | str, offset: int | None, what: str) -> None:
        text = str(path).removeprefix(f"{self._folder}/")
        self.damages.append(Damage(text, offset, what))

    def check(self, path: Path, check: Callable[[Path], Found]) -> Found | None:
        """Look at a file, if there is one. What `check` raises is wrong with it."""
        if not path.is_file():
            if os.path.lexists(path):
                self.add(path, None, "it is not a file")
            return None
        self.files += 1
        return self.note(path, check)

    def note(self, path: Path, check: Callable[[Path], Found]) -> Found | None:
        """Note what `check` raises of a file, or of a folder of files."""
        try:
            return check(path)
        except OSError as error:
            self.add(path, None, f"cannot be read: {error.strerror}")
        except (PlanError, RunError, StoreError) as error:
            what = str(error).removeprefix(f"{path}: ").removeprefix(f"{path} ")
            self.add(path, None, what)
        return None


def verify_run(folder: RunFolder) -> Verification:
    """Compare every digest of a run; goes on after a damage.

    Works while the run goes on, and after it was killed.

    Raises:
        StoreError: a record file is of a later version.
    """
    findings = _Findings(folder)
    if not os.path.lexists(folder.run_file):
        findings.add(folder.run_file, None, "the file is missing")
    run_file = findings.check(folder.run_file, lambda _: read_run_file(folder))
    for path in folder.constant_files:
        if run_file is not None and path.name in run_file.digests and not os.path.lexists(path):
            findings.add(path, None, "the file is missing")
        findings.check(path, partial(_check_constant, folder, run_file))
    findings.check(folder.tags_file, lambda _: read_tags(folder))
    if folder.tables.is_dir():
        for path in sorted(folder.tables.glob("*.parquet")):
            findings.check(path, _check_table)
    batches = metric_rows = 0
    if folder.records.is_dir():
        verified = verify_store(str(folder.records))
        batches, metric_rows = verified.batches, verified.metric_rows
        findings.files += verified.files
        for damage in verified.damages:
            findings.add(damage.path, damage.offset, damage.message)
        _check_artifacts(folder, findings)
    _check_checkpoints(folder, findings)
    return Verification(
        batches=batches,
        metric_rows=metric_rows,
        files=findings.files,
        damages=tuple(findings.damages),
    )


def recorded_phases(records: StoreReader) -> list[str]:
    """The phases that recorded something, in the order in which they began to."""
    channels = [*records.tensors(), *records.ragged(), *records.texts()]
    return list(dict.fromkeys(channel.phase for channel in channels if channel.phase))


def _check_constant(folder: RunFolder, run_file: RunFile | None, path: Path) -> None:
    """Compare a file with what it says of itself, and with what run.json says of it, if that is whole."""
    content = path.read_bytes()
    if path == folder.environment_file:
        if not matches_checksum(content):
            raise RunError("it does not match its checksum")
    elif path == folder.plan_file:
        written_id = read_plan(path).written_id
        if run_file is not None and run_file.plan_id != written_id:
            raise PlanError(f"{path}: it is not the plan of the run, which is {run_file.plan_id}")
    elif path != folder.changes_file:
        try:
            msgspec.json.decode(content)
        except (ValueError, RecursionError) as error:
            raise RunError(f"is not JSON: {error}") from error
    digest = None if run_file is None else run_file.digests.get(path.name)
    if digest is not None and digest != file_digest(path):
        raise RunError("it does not match its digest in run.json")


def _check_artifacts(folder: RunFolder, findings: _Findings) -> None:
    """Compare each artifact with its record, as far as the records can be read: damage to them is known."""
    try:
        batches = list(artifact_batches(StoreReader.open(str(folder.records))))
    except StoreError:
        return
    for channel, position, _ in batches:
        try:
            texts = channel.at(position)
        except StoreError:
            continue
        for text in texts:
            row = findings.note(folder.records, partial(_row, text))
            if row is not None:
                path = folder.artifacts / row.file
                findings.files += len(files_below(path)) if path.exists() else 0
                findings.note(path, partial(_check_artifact, folder, row))


def _check_checkpoints(folder: RunFolder, findings: _Findings) -> None:
    """Compare each checkpoint with its digests. One that a run replaces meanwhile is no damage."""
    checkpoints = CheckpointFolder(folder.checkpoints)
    for number in checkpoints.numbers():
        damages: list[StoreError] = []
        try:
            checkpoint = checkpoints.index(number)
        except StoreError as error:
            damages, files = [error], 1
        else:
            damages, files = (
                list(checkpoints.damages(number, checkpoint)),
                1 + len(checkpoint.digests),
            )
        if checkpoints.path_of(number).is_dir():
            findings.files += files
            for damage in damages:
                path, _, what = str(damage).partition(": ")
                findings.add(path, None, what)


def _row(text: str, _: Path) -> ArtifactRow:
    return read_row(text)


def _check_artifact(folder: RunFolder, row: ArtifactRow, path: Path) -> None:
    try:
        Artifact(folder.artifacts, row, 1).check()
    except StoreError as error:
        # The path is named already.
        raise StoreError(str(error).removeprefix(f"{path} is damaged: ")) from error


def _check_table(path: Path) -> None:
    try:
        verify_parquet(str(path))
    except StoreError as error:
        # The path is named already.
        _, separator, what = str(error).partition(f"`{path}` is damaged at byte ")
        if not separator:
            raise
        offset, _, what = what.partition(": ")
        raise StoreError(f"{what} (byte {offset})") from error
