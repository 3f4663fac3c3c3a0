"""The command as people use it: a folder with data and specs, and a way to call it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specplan.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPEC: dict[str, Any] = {
    "specplan": 1,
    "experiment": {"id": "line"},
    "run": {"seed": 1, "threads": 1},
    "data": {
        "Data": {
            "source": {"use": "parquet", "path": "line.parquet"},
            "features": ["x"],
            "targets": ["y"],
            "splits": {"use": "random", "ratios": {"train": 0.75, "test": 0.25}, "seed": 1},
        }
    },
    "graph": {
        "nodes": {
            "MLP": {
                "model": {"use": "mlp", "n_layers": 1, "hidden_dim": 4},
                "input": "Data.x",
                "target": "Data.y",
            }
        },
        "optimizer": {"use": "sgd", "lr": 0.05},
    },
    "losses": {"mse": {"use": "mse", "node": "MLP"}},
    "plan": [
        {
            "phase": "train",
            "label": "train",
            "split": "train",
            "epochs": 3,
            "sampler": {"use": "simple", "batch_size": 8},
            "losses": ["mse"],
            "record": "last",
        },
        {"phase": "eval", "label": "test", "split": "test", "losses": ["mse"]},
    ],
}


def write_project(folder: Path) -> None:
    """A spec and its data."""
    x = np.linspace(-1, 1, 40, dtype=np.float32)
    pq.write_table(pa.table({"x": x, "y": 2 * x + 1}), folder / "line.parquet")
    (folder / "line.json").write_text(json.dumps(SPEC, indent=2) + "\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with `line.json` and its data."""
    write_project(tmp_path)
    return tmp_path


@pytest.fixture
def spec() -> dict[str, Any]:
    """The contents of `line.json`, for changing."""
    copy: dict[str, Any] = json.loads(json.dumps(SPEC))
    return copy


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `line.json` was run once, with the root `runs`. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    write_project(folder)
    result = run_mlx("run", "line.json", folder=folder)
    assert result.returncode == 0, result.stderr
    for made in folder.glob("runs/line/*/checkpoints"):
        shutil.rmtree(made)  # that a machine under load has time for, and tests count files
    (folder / "out.txt").write_text(result.stdout)
    (folder / "err.txt").write_text(result.stderr)
    return folder


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `sweep.json` was run, two runs at a time, with the root `runs`. Not to be changed."""
    folder = tmp_path_factory.mktemp("swept")
    write_project(folder)
    vary = {"graph.optimizer.lr": [0.05, 0.1], "graph.nodes.MLP.model.hidden_dim": [2, 4]}
    sweep = {"vary": vary, "metric": "test/mse"}
    (folder / "sweep.json").write_text(json.dumps({**SPEC, "sweep": sweep}))
    result = run_mlx("sweep", "sweep.json", "-j", "2", folder=folder)
    assert result.returncode == 0, result.stderr
    (folder / "out.txt").write_text(result.stdout)
    (folder / "err.txt").write_text(result.stderr)
    return folder


def run_mlx(
    *arguments: str, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Call the command in this process: a new one would import torch again."""
    handler = signal.getsignal(signal.SIGTERM)
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.delenv("SPECPLAN_HOME", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        if folder is not None:
            patch.chdir(folder)
        with pytest.raises(SystemExit) as ending:
            main(arguments)
    signal.signal(signal.SIGTERM, handler)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    assert isinstance(ending.value.code, int)
    return subprocess.CompletedProcess(arguments, ending.value.code, *texts)


@pytest.fixture(scope="session")
def mlx() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command: `mlx(*arguments, folder=None, **environment)`."""
    return run_mlx
