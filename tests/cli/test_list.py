"""`mlx list`: which runs, which columns, in which order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from specplan.store.run_file import Status
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

RUNS: tuple[tuple[str, float, float | None, Status, dict[str, str | None]], ...] = (
    ("alice/study", 0.1, 0.9, Status.COMPLETED, {"fold": "1"}),
    ("alice/study", 0.01, 0.3, Status.COMPLETED, {"fold": "2", "good": None}),
    ("alice/other", 0.001, None, Status.FAILED, {}),
    ("bob", 0.01, 0.1, Status.COMPLETED, {}),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, `run-0` to `run-3`. Not to be changed."""
    folder = tmp_path_factory.mktemp("listed")
    for number, (experiment, rate, loss, status, tags) in enumerate(RUNS):
        run = TrackedRun.start(folder / "runs", experiment, run_id=f"run-{number}", tags=tags)
        run.set_params({"lr": rate})
        if loss is not None:
            run.log_metrics({"loss": 1.0})
            run.log_metrics({"loss": loss})
        run.end(status)
    return folder


def names(mlx: Mlx, root: Path, *arguments: str) -> str:
    result = mlx("list", "--json", *arguments, folder=root)
    assert (result.returncode, result.stderr) == (0, "")
    return " ".join(row["run"].removeprefix("run-") for row in json.loads(result.stdout))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "0 1 2 3"),
        (("alice",), "0 1 2"),
        (("alice/study/",), "0 1"),
        (("alice/*", "bob"), "0 1 2 3"),
        (("*/run-1",), "1"),
        (("bob/run-3", "alice/other"), "2 3"),
        (("ali",), ""),
        (("--status", "FAILED"), "2"),
        (("--status", "done", "--status", "error"), "0 1 2 3"),
        (("--tag", "good"), "1"),
        (("--tag", "fold=1"), "0"),
        (("--tag", "fold", "--tag", "good"), "1"),
        (("--since", "1h"), "0 1 2 3"),
        (("--until", "1h"), ""),
        (("--since", "2020-01-01", "--until", "2020-01-02T10:00"), ""),
        (("--where", "params.lr < 0.1 and metrics.loss < 0.5"), "1 3"),
        (("--where", "not metrics.loss"), "2"),
        (("--sort", "metrics.loss"), "3 1 0 2"),
        (("--sort", "-metrics.loss"), "0 1 3 2"),
        (("--sort", "params.lr,-run"), "2 3 1 0"),
        (("--sort", "-run", "--limit", "2"), "3 2"),
    ],
)
def test_which_runs(mlx: Mlx, root: Path, arguments: tuple[str, ...], expected: str) -> None:
    assert names(mlx, root, *arguments) == expected


def test_columns(mlx: Mlx, root: Path) -> None:
    columns = "run,status,params.lr,metrics.loss,tags"
    result = mlx("list", "alice", "--columns", columns, folder=root)
    assert result.stdout == (
        "run    status     params.lr  metrics.loss  tags\n"
        "run-0  completed        0.1           0.9  fold=1\n"
        "run-1  completed       0.01           0.3  fold=2 good\n"
        "run-2  failed         0.001\n"
    )
    (row,) = json.loads(
        mlx("list", "bob", "--json", "--columns", "run,params,metrics", folder=root).stdout
    )
    assert row == {"run": "run-3", "params": {"lr": 0.01}, "metrics": {"loss": 0.1}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--where", "params.lr < "),
            "expected a number, a word or a text in quotes\n  params.lr < \n              ^\n",
        ),
        (("--columns", "loss"), "a run has no `loss`; it has"),
        (("--sort", "run,param.lr"), "a run has no `param.lr`; it has"),
        (("--status", "runing"), "no status `runing`; known: `created`, `running`, "),
        (("--since", "99999999999d"), "`99999999999d` is no time: "),
        (("--until", "0001-01-01T00:00+14:00"), "`0001-01-01T00:00+14:00` is no time: "),
        (("--since", "soon"), "`soon` is no time: `2026-01-31`, `2026-01-31T12:00`, or an age"),
    ],
)
def test_wrong_usage(mlx: Mlx, root: Path, arguments: tuple[str, ...], message: str) -> None:
    result = mlx("list", *arguments, folder=root)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


def test_nothing_is_so(mlx: Mlx, root: Path) -> None:
    result = mlx("list", "--where", "params.rate < 1", folder=root)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "no run below `runs` passes the filter; none has `params.rate`\n"
    result = mlx("list", "--where", "metrics.losss < 1", folder=root)
    assert result.stderr.endswith("none has `metrics.losss`\nhint: did you mean `metrics.loss`?\n")
    result = mlx("list", "bob", "--status", "failed", folder=root)
    assert result.stderr == "no run of `bob` below `runs` passes the filter\n"


def test_what_a_run_says_of_itself_does_not_move_the_cursor(mlx: Mlx, tmp_path: Path) -> None:
    run = TrackedRun.start(tmp_path, "study")
    run.set_params({"name": "a\x1b[2J\nb"})
    run.end()
    result = mlx("list", "--columns", "params.name", "--root", str(tmp_path))
    assert result.stdout == "params.name\na\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b\n"
