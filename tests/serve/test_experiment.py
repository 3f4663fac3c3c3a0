"""Experiments whose runs go to a server: while they go on, when it is gone, and when either is killed."""

from __future__ import annotations

import gc
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from sklearn.linear_model import LinearRegression

import specplan
from specplan import Experiment, ExperimentContext, FitPhase, ModelGraph, ModelNode
from specplan.errors import RemoteError, RunError
from specplan.results.locate import all_runs
from specplan.store.layout import RunFolder
from specplan.store.tags import change_tags, read_tags
from specplan.track import background
from specplan.track.remote_fetch import fetch_newest
from tests.objects.parts import sensor_data
from tests.serve.conftest import TOKEN, Running, running

if TYPE_CHECKING:
    from specplan.results.open import Run


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECPLAN_TOKEN", TOKEN)
    monkeypatch.setattr(background, "PATIENCE", 120.0)  # the machine may be slow


def send_all(exp: Experiment) -> None:
    background = exp.run._background
    assert background is not None
    while not background.flush():
        time.sleep(0.1)


def steps(run: Run) -> list[int]:
    found: list[int] = run.metrics(split="train").arrow.column("step").to_pylist()
    return found


def only(root: Path, prefix: str) -> Run:
    (folder,) = [each for each in all_runs(root) if f"/{prefix}/" in str(each.path)]
    return specplan.open(folder.path)


def test_tags_of_a_run_that_goes_on_reach_the_server(server: Running, tmp_path: Path) -> None:
    exp = Experiment("bob/p/live", dash_root=tmp_path, dash_url=server.url, tags=["draft"])
    with exp.run:
        send_all(exp)
        here = exp.run_folder
        assert here is not None
        change_tags(RunFolder(here), {"kept": "yes"}, ["draft"])
        send_all(exp)
        assert read_tags(RunFolder(server.root / "bob/p/live" / here.name)) == {"kept": "yes"}


def test_a_hybrid_run_is_in_both_places(server: Running, tmp_path: Path) -> None:
    exp = Experiment("alice/p/hybrid", dash_url=server.url, dash_root=tmp_path)
    with exp.run:
        exp.metrics("train").log(step=0)
        exp.flush()
        send_all(exp)
        there = only(server.root, "alice/p/hybrid")
        assert (steps(there), there.status) == ([0.0], "running")
        exp.metrics("train").log(step=1)
    here = only(tmp_path, "alice/p/hybrid")
    there.refresh()
    assert (steps(there), there.status, there.id) == (steps(here), "completed", here.id)
    with exp.run:
        assert exp.metrics("train").stats()["totalDataPoints"] == 2
        exp.metrics("train").log(step=2)
    assert steps(there.refresh()) == [0.0, 1.0, 2.0]
    assert len(there.run_file.sessions) == 2
    files = [each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()]
    assert not any(TOKEN.encode() in content for content in files)


def test_no_server_changes_a_bit_of_what_is_trained(
    server: Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Parameters, and the random numbers after them, with a server, with one that is dead, and without."""
    monkeypatch.setattr(background, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"

    def trained(name: str, url: str | None) -> bytes:
        torch.manual_seed(3)
        model = torch.nn.Sequential(
            torch.nn.Linear(8, 16), torch.nn.Dropout(), torch.nn.Linear(16, 1)
        )
        optimizer = torch.optim.Adam(model.parameters())
        with Experiment(f"alice/bits/{name}", dash_url=url, dash_root=tmp_path).run as exp:
            for step in range(200):
                optimizer.zero_grad()
                loss = model(torch.randn(32, 8)).square().mean()
                loss.backward()
                optimizer.step()
                exp.metrics("train").log(loss=loss.item(), step=step)
            exp.files("models").save(model.state_dict(), to="model.safetensors")
        values = [*model.parameters(), torch.randn(8)]
        return b"".join(value.detach().numpy().tobytes() for value in values)

    alone = trained("alone", None)
    assert trained("hybrid", server.url) == alone
    assert trained("dead", dead) == alone
    assert "does not answer" in caplog.text
    assert len(steps(only(server.root, "alice/bits/hybrid"))) == 200


def test_an_exception_is_told_to_the_server(server: Running, tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Experiment("alice/p/failed", dash_url=server.url, dash_root=tmp_path).run,
    ):
        1 / 0  # noqa: B018
    there = only(server.root, "alice/p/failed")
    assert there.status == "failed"
    assert there.run_file.error is not None
    assert there.run_file.error.type == "ZeroDivisionError"


def planned(prefix: str, url: str, root: Path | None) -> Experiment:
    experiment = Experiment(prefix, dash_url=url, dash_root=root, readme="of it", tags=["first"])
    ModelGraph(nodes=[ModelNode("Sum", LinearRegression(), sensor_data().reference())])
    experiment.execution_plan.add_phase(FitPhase.from_split("fit", split="train"))
    return experiment


def test_the_run_of_a_plan_is_sent(server: Running, tmp_path: Path) -> None:
    here = planned("alice/p/plan", server.url, tmp_path).run()["fit"].run
    there = only(server.root, "alice/p/plan")
    assert (there.id, there.status, there.tags) == (here.id, "completed", {"first": None})
    assert there.plan.experiment.description == "of it"
    assert here.folder.path.parent == tmp_path / "alice/p/plan"


def test_the_run_of_a_plan_that_the_server_keeps_leaves_nothing_here(server: Running) -> None:
    experiment = planned("alice/p/remote-plan", server.url, None)
    results = experiment.run()
    folder = results["fit"].run.folder.path
    assert folder.is_dir(), "results are read from it"
    # A program goes on with its own runs only, not with that of the plan.
    with Experiment("alice/p/remote-plan", dash_url=server.url, dash_root=None).run as exp:
        exp.log("another run")
        assert exp.run_folder is not None
        assert exp.run_folder.name != folder.name
    del experiment, results, exp
    ExperimentContext().activate()
    gc.collect()
    assert not folder.exists()
    ids = {each.path.name for each in all_runs(server.root) if "remote-plan" in str(each.path)}
    assert folder.name in ids
    assert len(ids) == 2


def test_a_remote_run_leaves_nothing_here(server: Running) -> None:
    with Experiment("alice/p/remote", dash_url=server.url, dash_root=None).run as exp:
        exp.metrics("train").log(step=0)
        exp.files("models").save({"w": 1}, to="model.json")
        folder = exp.run_folder
    assert folder is not None
    assert not folder.exists()
    there = only(server.root, "alice/p/remote")
    assert (steps(there), there.status) == ([0.0], "completed")
    assert there.artifacts["models/model.json"].read() == {"w": 1}


def test_a_remote_run_goes_on_where_the_server_has_it(server: Running, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.txt").write_text("a")
    exp = Experiment("alice/p/again", dash_url=server.url, dash_root=None, readme="why")
    with exp.run:
        exp.params.set(rate=0.1)
        exp.metrics("train").log(step=0, bad=float("inf"))
        exp.tracks("robot").append(_ts=1, x=1)
        exp.run.active().log_metrics({"cpu": 0.5}, split="system")
        for value in (1, 2):
            exp.files("models").save({"w": value}, to="model.json")
        exp.files("models").save(tmp_path / "folder")
    with exp.run:
        assert exp.params.get() == {"rate": 0.1}
        assert exp.metrics("train").stats()["totalDataPoints"] == 1
        assert '"w": 2' in exp.files("models").read_text("model.json")
        exp.files("models").download("folder", tmp_path / "copy")
        exp.metrics("train").log(step=1)
        exp.run.active().log_metrics({"cpu": 0.75}, split="system", step=1)
        exp.files("models").save({"w": 3}, to="model.json")
        folder = exp.run_folder
    assert folder is not None
    assert not folder.exists()
    assert (tmp_path / "copy/a.txt").read_text() == "a"
    there = only(server.root, "alice/p/again")
    assert (steps(there), there.plan.experiment.description) == ([0.0, 1.0], "why")
    assert there.metrics("cpu").arrow.column("value").to_pylist() == [0.5, 0.75]
    versions = there.artifacts.versions("models/model.json")
    assert [artifact.read()["w"] for artifact in versions] == [1, 2, 3]
    assert len(there.run_file.sessions) == 2


def test_a_run_that_cannot_be_taken_whole_leaves_nothing_open(
    server: Running, tmp_path: Path
) -> None:
    with Experiment("alice/p/gone", dash_url=server.url, dash_root=None).run as exp:
        exp.files("models").save({"w": 1}, to="model.json")
    there = only(server.root, "alice/p/gone")
    (there.folder.artifacts / "models/model.json").unlink()
    client = server.client()
    with pytest.raises(RemoteError, match="the file is gone"):
        fetch_newest(client, "alice/p/gone", tmp_path / "spool")
    gc.collect()  # the error knows the frames that it came through
    opened = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert [each for each in opened if "spool" in each] == []
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_server_that_is_gone_stops_nothing_and_gets_everything_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "PATIENCE", 0.1)
    with running(tmp_path / "server") as server:
        server.end()
        exp = Experiment("alice/p/later", dash_url=server.url, dash_root=None)
        with exp.run:
            exp.metrics("train").log(step=0)
            exp.flush()
            folder = exp.run_folder
        assert folder is not None
        first, record = caplog.records
        assert first.getMessage().startswith("a new run of `alice/p/later` is begun: http")
        assert record.getMessage().startswith(f"1 records of run `{folder.name}` could not be sent")
        assert f"`mlx sync {folder} --to {server.url}` sends them" in record.getMessage()
        assert specplan.open(folder).status == "completed"
        server.start()
        with exp.run:
            exp.metrics("train").log(step=1)
        assert not folder.exists()
        assert steps(only(server.root, "alice/p/later")) == [0.0, 1.0]


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses_stops_nothing(
    server: Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    url = server.url
    if status == 401:
        monkeypatch.setenv("SPECPLAN_TOKEN", "another-token-than-that")
    else:
        url = url.replace("127.0.0.1", "127.0.0.2")
        monkeypatch.setattr(background, "PATIENCE", 0.1)
    with Experiment("alice/p/refused", dash_url=url, dash_root=tmp_path).run as exp:
        exp.metrics("train").log(step=0)
    assert specplan.open(exp.run.root / "alice/p/refused", root=tmp_path).status == "completed"
    assert "could not be sent" in caplog.text


def test_what_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="is no address of a server, such as"):
        Experiment("a/b", dash_url="ftp://x", dash_root=tmp_path)
    with pytest.raises(ValueError, match="holds no password"):
        Experiment("a/b", dash_url="http://me:secret@x", dash_root=tmp_path)
    monkeypatch.delenv("SPECPLAN_TOKEN")
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    monkeypatch.setenv("SPECPLAN_TOKEN_FILE", str(file))
    with pytest.raises(RunError, match="others may read the token\nhint: chmod 600"):
        Experiment("a/b", dash_url="http://localhost:1", dash_root=tmp_path)
    file.chmod(0o600)
    Experiment("a/b", dash_url="http://localhost:1", dash_root=tmp_path)
    assert list(tmp_path.iterdir()) == [file]


PROGRAM = """
import os, signal, sys
from specplan import Experiment
from specplan.track import background
from specplan.track.remote_fetch import fetch_newest
background.PATIENCE = 120.0
url, root, last = sys.argv[1], sys.argv[2] or None, int(sys.argv[3])
with Experiment("alice/p/killed", dash_url=url, dash_root=root).run as exp:
    done = exp.metrics("train").stats()["totalDataPoints"]
    for step in range(done, 300):
        exp.metrics("train").log(step=step)
        if step % 50 == 0:
            exp.flush()
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("is_hybrid", [True, False])
def test_a_program_that_is_killed_again_and_again_has_every_step_once(
    tmp_path: Path, is_hybrid: bool
) -> None:
    with running(tmp_path / "server") as server:
        for turn, last in enumerate((60, 170, 300)):
            command = [sys.executable, "-c", PROGRAM, server.url]
            folder = str(tmp_path / "here") if is_hybrid else ""
            subprocess.run([*command, folder, str(last)], check=last == 300)
            if turn == 1:
                server.end(signal.SIGKILL)
                server.start()
        there = only(server.root, "alice/p/killed")
    assert (steps(there), there.status) == (list(range(300)), "completed")
    if is_hybrid:
        assert steps(only(tmp_path / "here", "alice/p/killed")) == list(range(300))
