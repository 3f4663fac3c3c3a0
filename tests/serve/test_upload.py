"""Runs that are sent to a server, and what is there afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

import specplan
from specplan import Experiment
from specplan._native import StoreReader
from specplan.base.redaction import REDACTED
from specplan.results.settings import read_params
from specplan.store.layout import RunFolder
from specplan.store.tags import change_tags, read_tags
from specplan.track.portable import portable
from specplan.track.remote import upload
from specplan.track.run import TrackedRun
from tests.serve.conftest import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.results.open import Run
    from tests.serve.conftest import Running

COLUMNS = ["phase", "node", "split", "name", "epoch", "batch", "step", "time", "value"]


def test_a_run_is_at_the_server_what_it_is_here(server: Running, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner/a.txt").write_text("a")
    (folder / "empty").touch()
    exp = Experiment("alice/p/whole", dash_root=tmp_path / "dash", readme="why", tags=["a", "b=c"])
    with exp.run:
        exp.log("begun", rate=0.1)
        exp.params.set(rate=0.1, net={"width": 3})
        exp.metrics("train").log(loss=np.float32("nan"), note="nan", epoch=1)
        exp.metrics.log(step=7, value=2)
        exp.tracks("robot/position").append(_ts=1.5, x=1)
        exp.files("models").save({"w": [1, 2]}, to="model.json")
        exp.files("models").save({"w": [3]}, to="model.json")
        exp.files("all").save(folder)
        exp.files("models").save(b"", to="empty.bin")
        here = exp.run_folder
        assert here is not None
        upload(here, server.url, TOKEN)
        there = server.root / "alice/p/whole" / here.name
        assert specplan.open(there).status == "running"
        exp.log("over")
        exp.files("models").delete("empty.bin")
    sent = upload(here, server.url, TOKEN)
    assert (sent.rows, sent.points, sent.files) == (2, 0, 0)
    assert upload(here, server.url, TOKEN).rows == 0
    ours, theirs = specplan.open(here), specplan.open(there)
    assert theirs.status == "completed"
    assert told(theirs) == told(ours)
    for field in ("log", "metrics", "tracks", "deleted_files"):
        assert documents(theirs, field) == documents(ours, field)
    mine, other = (run.metrics().arrow.select(COLUMNS).to_pylist() for run in (ours, theirs))
    assert str(other) == str(mine)
    assert (there / "params.json").read_bytes() == (here / "params.json").read_bytes()
    assert theirs.plan.experiment == ours.plan.experiment
    assert list(theirs.artifacts) == list(ours.artifacts)
    for name in ours.artifacts:
        pairs = zip(theirs.artifacts.versions(name), ours.artifacts.versions(name), strict=True)
        for copy, original in pairs:
            copy.check()
            assert (copy.digest, copy.kind) == (original.digest, original.kind)


def told(run: Run) -> tuple[object, ...]:
    """What a run says of itself: its number, when it began and when it ended."""
    run_file = run.run_file
    return run_file.version, run_file.created_at, run_file.sessions[-1].ended_at


def test_a_run_keeps_its_number_and_times_at_a_server(server: Running, tmp_path: Path) -> None:
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for run_id, version in (("a", 1), ("b", 2), ("c", 2)):
        run = TrackedRun.start(
            tmp_path, "bob/numbered", run_id=run_id, version=version, began=began
        )
        run.end(at=began + timedelta(hours=1))
    for run_id in ("b", "a", "c"):
        upload(tmp_path / "bob/numbered" / run_id, server.url, TOKEN)
    there = server.root / "bob/numbered"
    assert told(specplan.open(there / "b")) == told(specplan.open(tmp_path / "bob/numbered/b"))
    assert told(specplan.open(there / "a"))[0] == 1
    assert told(specplan.open(there / "b"))[1:] == (
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T04:04:05.000Z",
    )
    assert told(specplan.open(there / "c"))[0] == 3  # its own number is taken there


def documents(run: Run, field: str) -> list[tuple[str, list[str]]]:
    reader = StoreReader.open(str(run.folder.records))
    return [
        (channel.node, [text for at in range(channel.batches) for text in channel.at(at)])
        for channel in reader.texts()
        if channel.field == field
    ]


@pytest.mark.parametrize("is_folder", [False, True])
def test_nothing_outside_of_a_run_is_sent(server: Running, tmp_path: Path, is_folder: bool) -> None:
    (tmp_path / "outside").mkdir()
    secret = tmp_path / "outside/secret.txt"
    secret.write_text("secret")
    run = TrackedRun.start(tmp_path, f"bob/linked-{is_folder}")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/a.txt").write_text("mine")
    run.log_artifact("x", tmp_path / "kept")
    run.log_artifact("y.txt", tmp_path / "kept/a.txt")
    run.end()
    forged = run.folder.artifacts / ("x/a.txt" if is_folder else "y.txt")
    forged.unlink()
    forged.symlink_to(secret)
    name = "x" if is_folder else "y.txt"
    sent = upload(run.folder.path, server.url, TOKEN)
    assert (sent.gone, sent.files) == ([name], 1)
    found = portable(specplan.open(run.folder.path))
    assert name not in [each.name for each in found.files]
    assert found.remarks == (f"the artifact `{name}` is a link out of its folder",)


def test_tags_that_are_changed_are_sent_again(server: Running, tmp_path: Path) -> None:
    run = TrackedRun.start(tmp_path, "bob/tagged", tags={"team": "blue", "draft": None})
    run.end()
    here, there = run.folder, RunFolder(server.root / "bob/tagged" / run.id)
    upload(here.path, server.url, TOKEN)
    change_tags(there, {"seen": "there"}, [])
    upload(here.path, server.url, TOKEN)
    assert read_tags(there) == {"team": "blue", "draft": None, "seen": "there"}
    change_tags(here, {"team": "red", "token": "hf_0123456789abcdefghijABCDEFGHIJ"}, ["draft"])
    upload(here.path, server.url, TOKEN)
    assert read_tags(there) == read_tags(here) == {"team": "red", "token": REDACTED}
    written = there.tags_file.stat().st_mtime_ns, there.run_file.read_bytes()
    upload(here.path, server.url, TOKEN)
    assert (there.tags_file.stat().st_mtime_ns, there.run_file.read_bytes()) == written


def test_a_run_that_is_there_gets_no_session_when_it_is_sent_again(
    server: Running, tmp_path: Path
) -> None:
    run = TrackedRun.start(tmp_path, "bob/idle")
    run.set_params({"rate": 0.1})
    run.log_metrics({"loss": 0.5})
    run.log_artifact("note", "text")
    there = server.root / "bob/idle" / run.id

    def sessions() -> int:
        upload(run.folder.path, server.url, TOKEN)
        return len(specplan.open(there).run_file.sessions)

    assert sessions() == 1
    run.end()
    assert sessions() == 1
    ended = specplan.open(there).run_file
    assert (sessions(), specplan.open(there).run_file) == (1, ended)
    run.folder.params_file.write_text('{"rate": 0.2}')
    assert (sessions(), read_params(RunFolder(there))) == (2, {"rate": 0.2})
