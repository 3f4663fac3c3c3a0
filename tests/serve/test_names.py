"""What a run may be called here it may be called everywhere: at a server, and in an archive that is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import specplan
from specplan.archive.names import DEEPEST, experiment_fault, run_fault
from specplan.errors import RemoteError
from specplan.exchange.take import take
from specplan.results.locate import all_runs
from specplan.results.run_archive import archive_run, extract_run
from specplan.store.layout import RunFolder
from specplan.store.run_file import Status
from specplan.track.local import LocalExperimentTracker
from specplan.track.names import as_part
from specplan.track.portable import Portable
from specplan.track.prefix import Prefix
from specplan.track.remote import upload
from specplan.track.run import TrackedRun
from tests.serve.conftest import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serve.conftest import Running

LONG = "é" * 100
DEEP = "/".join("abcdefgh")


@pytest.mark.parametrize(
    ("experiment", "run_id"),
    [
        ("a", "1"),
        (LONG, LONG),
        (DEEP, "r"),
        ("with space/_x-1.", "20261121-110000"),
        ("日本/本", "é."),
    ],
)
def test_a_run_goes_everywhere_under_its_name(
    server: Running, tmp_path: Path, experiment: str, run_id: str
) -> None:
    run = TrackedRun.start(tmp_path / "runs", experiment, run_id=run_id)
    run.end()
    assert [each.path for each in all_runs(tmp_path / "runs")] == [run.folder.path]
    archive = archive_run(run.folder, tmp_path / "x")
    assert extract_run(archive, tmp_path / "back").path == tmp_path / "back" / experiment / run_id
    upload(run.folder.path, server.url, TOKEN)
    assert specplan.open(server.root / experiment / run_id).experiment == experiment


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("a//b", "a relative path"),
        ("../x", "a relative path"),
        ("a/.b", "begins with a dot or has a colon"),
        ("a:b", "begins with a dot or has a colon|drives"),
        ("a\\b", "backslashes"),
        ("a\nb", "cannot be printed"),
        ("a/" + LONG + "x", "longer than 200 bytes"),
        (DEEP + "/i", f"more than {DEEPEST} parts"),
    ],
)
def test_a_name_that_cannot_be_is_refused_everywhere(
    server: Running, tmp_path: Path, name: str, reason: str
) -> None:
    expected = rf"cannot be the name of an experiment: .*({reason})"
    with pytest.raises(ValueError, match=expected):
        TrackedRun.start(tmp_path / "runs", name)
    with pytest.raises(RemoteError, match=expected) as refused:
        server.client().tell("POST", "", {"prefix": name})
    assert refused.value.status == 400
    if name:
        with pytest.raises(ValueError, match=expected):
            Prefix.of(name)
        with pytest.raises(ValueError, match=rf"cannot be the name of a run: .*({reason})"):
            LocalExperimentTracker(tmp_path / "local").start_run(name)
    assert not (tmp_path / "runs").exists()


def test_a_run_has_one_part(server: Running, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'a/b' cannot be the name of a run: it has one part"):
        TrackedRun.start(tmp_path, "e", run_id="a/b")
    with pytest.raises(RemoteError, match="'a/b' cannot be the name of a run: it has one part"):
        server.client().tell("POST", "", {"prefix": "e", "run": "a/b"})


def test_names_of_other_tools_become_names_of_ours(tmp_path: Path) -> None:
    hard = [LONG * 3, LONG * 3 + "x", "..", ".x", "a:b\\c", "\ud800\n", "", "x" * 199 + "é"]
    parts = [as_part(name) for name in hard]
    assert [fault for part in parts if (fault := run_fault(part))] == []
    assert len(set(parts)) == len(parts)
    deep = "/".join(["p"] * 20)
    taken = take(
        Portable(experiment=deep, name=LONG * 3, status=Status.COMPLETED), tmp_path, source="x"
    )
    assert isinstance(taken, RunFolder)
    assert experiment_fault(specplan.open(taken.path).experiment) is None
