"""Runs of other tools as run folders."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import specplan
from specplan.errors import RunError
from specplan.exchange.from_jsonl import runs_of_jsonl
from specplan.exchange.sources import SOURCES
from specplan.exchange.take import take
from specplan.exchange.targets import Target
from specplan.exchange.written import meant
from specplan.store.run_file import Status
from specplan.track.entries import File
from specplan.track.portable import Portable
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.results.open import Run

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of MLflow's own libraries
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def taken(tool: str, place: Path | str, root: Path) -> list[Run]:
    """The runs that are taken, opened."""
    folders = [take(found, root, source=tool) for found in SOURCES[tool](str(place))]
    return [specplan.open(folder.path) for folder in folders if folder is not None]


def rows(run: Run, name: str) -> list[tuple[int, int, str]]:
    """Step, time in milliseconds, and value as a text of a metric."""
    table = run.metrics(name).arrow.to_pylist()
    return [(row["step"], row["time"].value // 1_000_000, str(row["value"])) for row in table]


def params(run: Run) -> dict[str, Any]:
    """What was set for a run."""
    found: dict[str, Any] = json.loads(run.folder.params_file.read_text())
    return found


def fill_mlflow(uri: str, outside: Path) -> None:
    """Two runs in MLflow; the artifacts of the second are somewhere else."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(uri)
    here = client.create_experiment("group/exp", artifact_location=str(Path("files").absolute()))
    run = client.create_run(here, start_time=1_700_000_000_000, tags={"team": "blue"})
    numbers = {"lr": "0.1", "size": "32", "version": "3.10", "on": "True", "name": "x"}
    values = [0.5, math.nan, math.inf, -math.inf]
    client.log_batch(
        run.info.run_id,
        params=[Param(name, value) for name, value in numbers.items()],
        metrics=[
            Metric("train/loss", value, 1_700_000_001_000 + step, step)
            for step, value in enumerate(values)
        ],
    )
    client.log_text(run.info.run_id, "hello", "notes/a.txt")
    client.set_terminated(run.info.run_id, "KILLED", 1_700_000_009_000)
    (outside / "secret.txt").write_text("secret")
    there = client.create_experiment("elsewhere", artifact_location=str(outside))
    other = client.create_run(there, start_time=1_700_000_100_000)
    client.log_text(other.info.run_id, "kept out", "b.txt")


def check_mlflow(found: list[Run]) -> None:
    """What `fill_mlflow` made."""
    other, run = sorted(found, key=lambda each: each.experiment)
    assert (run.experiment, run.status, run.version) == ("group/exp", "cancelled", 1)
    assert run.run_file.created_at == "2023-11-14T22:13:20.000Z"
    assert run.run_file.sessions[-1].ended_at == "2023-11-14T22:13:29.000Z"
    assert params(run) == {"lr": 0.1, "size": 32, "version": "3.10", "on": True, "name": "x"}
    assert run.plan.experiment.tags == {"team": "blue"}
    times = [1_700_000_001_000 + step for step in range(4)]
    assert rows(run, "train/loss") == list(
        zip(range(4), times, ["0.5", "nan", "inf", "-inf"], strict=True)
    )
    assert run.artifacts["notes/a.txt"].path.read_text() == "hello"
    assert other.status == "interrupted"
    assert list(other.artifacts) == []


def test_runs_of_a_database_of_mlflow(
    mlflow_database: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, mlx: Mlx
) -> None:
    fill_mlflow(mlflow_database, tmp_path_factory.mktemp("outside"))
    before = (tmp_path / "mlflow.db").read_bytes()
    words = ("import", "--from", "mlflow", "mlflow.db", "--root", "runs")
    first = mlx(*words, folder=tmp_path)
    assert (first.returncode, len(first.stdout.splitlines())) == (0, 2)
    assert "its artifacts are in `" in first.stderr
    check_mlflow([specplan.open(path.parent) for path in (tmp_path / "runs").rglob("run.json")])
    again = mlx(*words, folder=tmp_path)
    assert again.stdout == ""
    assert again.stderr.count("it is there already") == 2
    assert (tmp_path / "mlflow.db").read_bytes() == before
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name[0] == "."] == []


def test_runs_of_a_folder_of_mlflow(
    mlflow_database: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del mlflow_database  # it leaves MLflow as it was
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    place = tmp_path / "mlruns"
    monkeypatch.chdir(tmp_path_factory.mktemp("beside"))
    fill_mlflow(str(place), tmp_path_factory.mktemp("outside"))
    run = next(each for each in taken("mlflow", place, tmp_path / "runs") if "/" in each.experiment)
    assert next(value for _, _, value in rows(run, "train/loss")) == "0.5"
    assert list(run.artifacts) == []  # they are beside the folder


@pytest.mark.slow
def test_runs_of_a_server_of_mlflow(
    mlflow_database: str, mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    del mlflow_database  # it leaves MLflow as it was
    (tmp_path / "temporary").mkdir()
    client = MlflowClient(mlflow_server)
    for name, place in (("served", None), ("told", f"file://{tmp_path}")):
        experiment = client.create_experiment(f"imported-{name}", artifact_location=place)
        run = client.create_run(experiment)
        if place is None:
            client.log_text(run.info.run_id, "hello", "notes/a.txt")
    ours = tmp_path / run.info.run_id / "artifacts"
    ours.mkdir(parents=True)
    (ours / "secret.txt").write_text("of this machine")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    found = [each for each in SOURCES["mlflow"](mlflow_server) if "imported-" in each.experiment]
    assert [(len(each.files), each.remarks) for each in found] == [
        (1, ()),
        (0, (f"its artifacts are in `{ours}` of the server's machine",)),
    ]
    every = taken("mlflow", mlflow_server, tmp_path / "runs")
    served = next(run for run in every if run.experiment == "imported-served")
    assert served.artifacts["notes/a.txt"].path.read_text() == "hello"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_run_that_was_sent_to_tensorboard_comes_back(tmp_path: Path) -> None:
    run = TrackedRun.start(tmp_path / "runs", "exp")
    run.set_params({"lr": 0.5, "depth": 3, "on": True, "name": "x"})
    for step, value in enumerate([0.5, math.nan, math.inf]):
        run.log_metrics({"loss": value}, step=step, time=1_700_000_000_000_000_000 + step)
    run.end()
    Target.of(f"tensorboard:{tmp_path / 'events'}").send(specplan.open(run.folder.path))
    (back,) = taken("tensorboard", tmp_path / "events", tmp_path / "back")
    assert (back.experiment, back.id) == ("events", f"exp-{run.id}")
    assert params(back) == {"lr": 0.5, "depth": 3, "on": True, "name": "x"}
    assert rows(back, "loss") == [
        (step, 1_700_000_000_000, value) for step, value in enumerate(["0.5", "nan", "inf"])
    ]
    assert taken("tensorboard", tmp_path / "events", tmp_path / "back") == []


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.tfevents").write_bytes(b"garbage that is no record of anything" * 9)
    with pytest.raises(RunError, match="^no events in "):
        taken("tensorboard", tmp_path / "x.tfevents", tmp_path)
    (tmp_path / "x.wandb").write_bytes(b"garbage")
    (tmp_path / "x.db").write_bytes(b"garbage")
    with pytest.raises(RunError, match=r"no file of W&B"):
        taken("wandb", tmp_path / "x.wandb", tmp_path)
    with pytest.raises(RunError, match=r"no database of SQLite"):
        taken("mlflow", tmp_path / "x.db", tmp_path)
    (tmp_path / "empty").mkdir()
    for tool in SOURCES:
        with pytest.raises(RunError, match="^no "):
            taken(tool, tmp_path / "empty", tmp_path)
        with pytest.raises(RunError, match="^no "):
            taken(tool, tmp_path / "nothing", tmp_path)


WANDB = """
import math, sys, wandb
settings = wandb.Settings(console="off", x_disable_meta=True, x_disable_stats=True)
run = wandb.init(
    project="my-project", config={"lr": 0.1, "net": {"depth": 3}}, tags=["blue"], notes="why",
    dir=sys.argv[1], settings=settings,
)
for value in (0.5, math.nan, math.inf):
    run.log({"loss": value, "text": "hi"})
run.finish(exit_code=int(sys.argv[2]))
"""


@pytest.mark.slow
def test_an_offline_run_of_wandb(tmp_path: Path) -> None:
    quiet = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    subprocess.run(
        [sys.executable, "-c", WANDB, str(tmp_path), "1"], check=True, env={**os.environ, **quiet}
    )
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (folder / "files/link.txt").symlink_to("/etc/hostname")
    (found,) = SOURCES["wandb"](str(tmp_path))
    assert found.remarks == (
        "`text` holds no numbers",
        "the file `link.txt` is a link that leaves its folder",
    )
    (run,) = taken("wandb", folder, tmp_path / "runs")
    assert (run.experiment, run.status) == ("my-project", "failed")
    assert run.plan.experiment.tags == {"blue": None}
    assert run.plan.experiment.description == "why"
    assert params(run) == {"lr": 0.1, "net": {"depth": 3}}
    assert [(step, value) for step, _, value in rows(run, "loss")] == [
        (0, "0.5"),
        (1, "nan"),
        (2, "inf"),
    ]
    assert "requirements.txt" in run.artifacts
    (file,) = folder.glob("*.wandb")
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"\.wandb:7: it is damaged"):
        taken("wandb", folder, tmp_path / "again")


def test_a_run_that_cannot_be_filled_leaves_nothing_open(tmp_path: Path) -> None:
    found = Portable(
        experiment="study",
        name="a",
        status=Status.COMPLETED,
        files=(File("there.txt", tmp_path / "not there"),),
    )
    with pytest.raises(FileNotFoundError) as raised:
        take(found, tmp_path / "runs", source="jsonl")
    # As long as the error is there, so is the run that could not be filled.
    assert raised.traceback
    links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert [path for path in links if ".import-" in str(path) and ".lock" in path.name] == []
    assert list((tmp_path / "runs").glob(".import-*")) == []


def test_rows_of_metrics_in_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"step": 1, "metric": "loss", "value": 0.5, "split": "train", "timestamp": 1700000000.5, '
        '"run_id": "a"}',
        '{"step": 2, "metric": "loss", "value": NaN, "split": "train", '
        '"timestamp": "2023-11-14T22:13:21Z", "run_id": "a"}',
        "",
        '{"step": 3, "metric": "loss", "value": "-inf", "run_id": "b"}',
        '{"metrics": {"loss": 1.0, "odd": null}, "not_finite": {"odd": {"": "nan"}}}',
    ]
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp/rows.jsonl").write_text("\n".join(lines))
    a, b, rest = taken("jsonl", tmp_path / "exp/rows.jsonl", tmp_path / "runs")
    assert [(each.experiment, each.id) for each in (a, b, rest)] == [
        ("exp", "a"),
        ("exp", "b"),
        ("exp", "rows"),
    ]
    assert rows(a, "loss") == [(1, 1_700_000_000_500, "0.5"), (2, 1_700_000_001_000, "nan")]
    assert a.metrics("loss").arrow.column("split").to_pylist() == ["train", "train"]
    assert [value for _, _, value in rows(b, "loss")] == ["-inf"]
    assert [value for _, _, value in rows(rest, "odd")] == ["nan"]


def test_folders_of_another_local_tracker(tmp_path: Path) -> None:
    for name in ("run_1", "run_2"):
        folder = tmp_path / "experiments" / name
        folder.mkdir(parents=True)
        (folder / "params.json").write_text('{"lr": 0.1}')
        (folder / "metrics.jsonl").write_text('{"step": null, "metrics": {"loss": 0.5}}\n')
    found = taken("jsonl", tmp_path / "experiments", tmp_path / "runs")
    assert [(each.experiment, each.id) for each in found] == [
        ("experiments", "run_1"),
        ("experiments", "run_2"),
    ]
    assert params(found[0]) == {"lr": 0.1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"step": 1, "metrc": "loss", "value": 1}', "the key `metric` is missing"),
        ('{"step": 1, "metric": "loss", "value": "a"}', "the value of `loss` is no number"),
        ('{"step": 1, "metric": "loss", "value": null}', "the value of `loss` is no number"),
        ('{"step": 1e999, "metric": "loss", "value": 1}', "infinity"),
        ('{"step": 1, "metric": 5, "value": 1}', "`metric` and `split` are texts"),
        ("[1]", "a row is an object"),
        ("{", "Expecting"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"step": 0, "metric": "loss", "value": 1}}\n{line}\n')
    with pytest.raises(RunError, match=r"rows\.jsonl:2: ") as error:
        list(runs_of_jsonl(str(file)))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("0.1", 0.1), ("1e-05", 1e-05), ("3.10", "3.10"), ("007", "007"), ("None", None)],
)
def test_params_are_numbers_where_nothing_is_lost(text: str, value: object) -> None:
    assert meant(text) == value
    assert type(meant(text)) is type(value)
