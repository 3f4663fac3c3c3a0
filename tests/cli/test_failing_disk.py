"""Runs whose records cannot be written, under both policies."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specplan.results.open import open_run
from specplan.store.run_file import Status
from tests.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from specplan.results.open import Run

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

ROWS, WIDTH, EPOCHS, BATCHES = 320, 64, 24, 8

pytestmark = pytest.mark.timeout(180)  # new processes import torch


@pytest.fixture
def wide(project: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """A spec that records 3.8 MiB of outputs and targets."""
    x = np.linspace(-1, 1, ROWS, dtype=np.float32)
    y = pa.FixedSizeListArray.from_arrays(np.repeat(x, WIDTH), WIDTH)
    pq.write_table(pa.table({"x": x, "y": y}), project / "line.parquet")
    spec["data"]["Data"].pop("splits")
    for phase in spec["plan"]:
        del phase["split"]
    spec["plan"][0] |= {"epochs": EPOCHS, "record": "all"}
    spec["plan"][0]["sampler"]["batch_size"] = ROWS // BATCHES
    return spec


@pytest.fixture(name="small_disk")
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    with small_disk(tmp_path, "3m") as disk:
        yield disk


def run(
    project: Path,
    spec: dict[str, Any],
    on_error: str,
    *arguments: str,
    most_bytes: int = resource.RLIM_INFINITY,
) -> subprocess.CompletedProcess[str]:
    """Run the spec in a process whose files may not become larger than that."""
    spec["results"] = {"on_error": on_error}
    (project / "line.json").write_text(json.dumps(spec))
    limit = (most_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    return subprocess.run(
        [sys.executable, "-m", "specplan.cli.main", "run", "line.json", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )


def check_what_is_left(run: Run) -> int:
    """Every batch that is there is whole; returns how many."""
    outputs = run.tensors("MLP", phase="train")
    targets = run.tensors("MLP", "targets", phase="train")
    rows = run.tensors("Data", "sample_id", phase="train")
    expected = np.linspace(-1, 1, ROWS, dtype=np.float32)
    for key in targets:
        if key in rows:
            np.testing.assert_array_equal(targets[key][:, 3], expected[rows[key]])
    return len(outputs) + len(targets)


def test_a_run_that_drops_records_is_complete_and_says_so(
    project: Path, wide: dict[str, Any], mlx: Mlx
) -> None:
    result = run(project, wide, "drop", "--quiet", most_bytes=2 << 20)
    assert result.returncode == 0, result.stderr
    opened = open_run("line", root=project / "runs")
    assert opened.status is Status.COMPLETED
    statistics = opened.statistics
    lost = statistics["dropped"]
    assert lost > 0
    assert (
        result.stderr == f"warning: the run is complete, but {lost} records could not be written\n"
    )
    assert check_what_is_left(opened) < 2 * EPOCHS * BATCHES
    assert statistics["dropped_artifacts"] == statistics["dropped_tables"] == 0
    # A round of writing that fails takes the metrics with it that were logged in it.
    assert 0 < opened.metrics("train_loss", "train").num_rows <= EPOCHS * (BATCHES + 1)
    shown = mlx("show", "line", folder=project).stdout
    assert f"\nlost     {lost} records\n" in shown
    summary = json.loads(mlx("show", "line", "--json", folder=project).stdout)
    assert summary["statistics"] == statistics
    assert not opened.folder.reserve.exists()


def test_a_run_that_stops_names_the_error_and_keeps_what_was_before(
    project: Path, wide: dict[str, Any], mlx: Mlx
) -> None:
    result = run(project, wide, "stop", most_bytes=2 << 20)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "File too large" in last
    opened = open_run("line", root=project / "runs")
    assert opened.status is Status.FAILED
    assert opened.run_file.error is not None
    assert opened.run_file.error.type == "StoreError"
    assert f"error: {opened.run_file.error.message}" == last
    assert check_what_is_left(opened) > 2 * BATCHES
    assert "status   failed" in mlx("show", "line", folder=project).stdout


@pytest.mark.parametrize("on_error", ["drop", "stop"])
def test_a_disk_that_is_really_full(
    project: Path, wide: dict[str, Any], small_disk: Path, on_error: str
) -> None:
    result = run(project, wide, on_error, "--root", str(small_disk))
    opened = open_run("line", root=small_disk)
    check_what_is_left(opened)
    if on_error == "drop":
        assert result.returncode == 0, result.stderr
        assert opened.status is Status.COMPLETED
        assert opened.statistics["dropped"] > 0
        assert "warning: the run is complete, but " in result.stderr
        assert all(phase.status is Status.COMPLETED for phase in opened.phases)
    else:
        assert result.returncode == 1
        assert "No space left on device" in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr
        assert opened.status is Status.FAILED
        assert opened.run_file.error is not None
        assert f"error: {opened.run_file.error.message}" == result.stderr.splitlines()[-1]
        assert "No space left on device" in opened.folder.error_log.read_text()
