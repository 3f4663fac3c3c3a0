"""Every digest of a run folder, compared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from specplan._native import StoreReader, verify_parquet, verify_store
from specplan.errors import PlanError, RunError, StoreError
from specplan.plan.canonical import read_plan
from specplan.results.artifacts import artifacts_of
from specplan.results.status import read_run_file
from specplan.store.checked_json import matches_checksum

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from specplan.store.layout import RunFolder


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

    def check(self, path: Path, check: Callable[[Path], object]) -> None:
        """Look at a file, if there is one. What `check` raises is wrong with it."""
        if not path.is_file():
            if os.path.lexists(path):
                self.add(path, None, "it is not a file")
            return
        self.files += 1
        try:
            check(path)
        except (PlanError, RunError, StoreError) as error:
            what = str(error).removeprefix(f"{path}: ").removeprefix(f"{path} ")
            self.add(path, None, what)


def verify_run(folder: RunFolder) -> Verification:
    """Compare every digest of a run; goes on after a damage.

    Works while the run goes on, and after it was killed.

    Raises:
        StoreError: a record file is of a later version.
    """
    findings = _Findings(folder)
    if not os.path.lexists(folder.run_file):
        findings.add(folder.run_file, None, "the file is missing")
    findings.check(folder.run_file, lambda _: read_run_file(folder))
    findings.check(folder.plan_file, lambda path: _check_plan(folder, path))
    for path in (folder.spec_file, folder.map_file):
        findings.check(path, _check_json)
    findings.check(folder.environment_file, _check_checksum)
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


def _check_plan(folder: RunFolder, path: Path) -> None:
    plan = read_plan(path).plan
    try:
        run_file = read_run_file(folder)
    except RunError:
        return  # a damage of its own
    if run_file.plan_id != plan.id:
        raise PlanError(f"{path}: it is not the plan of the run, which is {run_file.plan_id}")


def _check_json(path: Path) -> None:
    try:
        msgspec.json.decode(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: is not JSON: {error}") from error


def _check_checksum(path: Path) -> None:
    if not matches_checksum(path.read_bytes()):
        raise RunError(f"{path}: it does not match its checksum")


def _check_artifacts(folder: RunFolder, findings: _Findings) -> None:
    try:
        artifacts = artifacts_of(folder, StoreReader.open(str(folder.records)))
    except StoreError:
        return  # a damage of the records, which they told themselves
    for name in artifacts:
        for artifact in artifacts.versions(name):
            findings.files += 1
            try:
                artifact.check()
            except StoreError as error:
                what = str(error).removeprefix(f"{artifact.path} ").removeprefix("is damaged: ")
                findings.add(artifact.path, None, what)


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
