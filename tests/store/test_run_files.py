from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest
from msgspec.structs import replace

from specplan.store.checked_json import matches_checksum
from specplan.store.run_file import BestEpoch, RunFile, Status
from specplan.store.run_files import Journal, Surroundings, create_run, locked
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lock_file_is_open_for_writing_and_no_link(tmp_path: Path) -> None:
    """NFS locks nothing that is open for reading only."""
    file = tmp_path / "lock"
    file.touch()
    (tmp_path / "link").symlink_to(file)
    with locked(file):
        opened = psutil.Process().open_files()
    assert [each.mode for each in opened if each.path == str(file)] == ["r+"]
    with pytest.raises(OSError, match="symbolic link"), locked(tmp_path / "link"):
        pass


def create(root: Path) -> Journal:
    return create_run(
        root,
        specs.compiled(specs.train()),
        Surroundings(environment={"git": None}, versions={"a": "1"}),
    )


def test_runs_of_the_same_second_get_their_own_folder_and_version(tmp_path: Path) -> None:
    journals: list[Journal] = []
    threads = [threading.Thread(target=lambda: journals.append(create(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({journal.folder.path for journal in journals}) == 8
    assert sorted(journal.run_file.version for journal in journals) == list(range(1, 9))
    assert not list((tmp_path / "tests").glob(".*"))


def test_a_timestamp_gives_each_run_an_experiment_of_its_own(tmp_path: Path) -> None:
    compiled = specs.compiled(specs.train())
    names = replace(compiled.plan.experiment, add_timestamp=True)
    stamped = replace(compiled, plan=replace(compiled.plan, experiment=names))
    journals = [create_run(tmp_path, stamped, Surroundings()) for _ in range(3)]
    experiments = [journal.run_file.experiment for journal in journals]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(experiments)
    assert len(set(experiments)) == 3
    for journal in journals:
        name = journal.folder.path.parent.name
        assert journal.run_file.experiment == name
        assert re.fullmatch(r"tests-\d{8}-\d{6}(\.\d)?", name)
        assert journal.run_file.version == 1


def test_run_json_is_whole_at_every_change(tmp_path: Path) -> None:
    journal = create(tmp_path)

    def on_file() -> RunFile:
        return msgspec.json.decode(journal.folder.run_file.read_bytes(), type=RunFile)

    assert on_file() == journal.run_file
    journal.phase_started("train")
    journal.epoch_kept(3, BestEpoch(epoch=3, value=0.5))
    journal.phase_ended(Status.COMPLETED)
    assert on_file() == journal.run_file
    assert journal.run_file.kept_epochs == {"train": 3}
    assert journal.run_file.phases[0].best == BestEpoch(epoch=3, value=0.5)
    assert journal.folder.reserve.stat().st_size == 65536
    journal.phase_started("eval")
    journal.ended(Status.INTERRUPTED, error=None, statistics={"records": 1})
    assert on_file() == journal.run_file
    assert [phase.status for phase in journal.run_file.phases] == ["completed", "interrupted"]
    assert journal.run_file.sessions[0].ended_at is not None
    assert sorted(path.name for path in journal.folder.path.iterdir()) == [
        "environment.json",
        "logs",
        "plan.json",
        "run.json",
        "spec.json",
    ]
    (warning,) = journal.folder.warnings_log.read_text().splitlines()
    assert warning == (
        "data.Set.splits.ratios.test: warning[SP306]: no phase reads split `test` of Set"
    )


def test_run_json_and_environment_json_end_with_their_checksum(tmp_path: Path) -> None:
    folder = create(tmp_path).folder
    for path in (folder.run_file, folder.environment_file):
        content = path.read_bytes()
        assert list(msgspec.json.decode(content))[-1] == "crc32"
        assert matches_checksum(content)
        assert not matches_checksum(content.replace(b"\n  ", b"\n   ", 1))
