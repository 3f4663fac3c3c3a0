"""`mlx init`: what it writes compiles as it is, and editors find the schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specplan.plan.compile import compile_path

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("name", ["spec.yaml", "deep/first.json"])
def test_what_is_written_compiles(mlx: Mlx, tmp_path: Path, name: str) -> None:
    result = mlx("init", name, folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
    spec = tmp_path / name
    folder = spec.parent.relative_to(tmp_path)
    assert result.stderr.splitlines() == [
        f"wrote {name}",
        f"wrote {folder / 'experiment.schema.json'}",
        f"wrote {folder / 'data/example.parquet'}",
        f"next: mlx run {name}",
    ]
    assert compile_path(spec).warnings == ()
    assert (spec.parent / "experiment.schema.json").read_text() == mlx("schema").stdout
    text = spec.read_text()
    if name.endswith(".json"):
        assert json.loads(text)["$schema"] == "experiment.schema.json"
    else:
        assert text.startswith("# yaml-language-server: $schema=experiment.schema.json\n")


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("2 cells/spec.yaml", "experiment_2_cells"), ("2 cells/on.yaml", "on")],
)
def test_specs_of_one_name_are_experiments_of_their_folders(
    mlx: Mlx, tmp_path: Path, name: str, chosen: str
) -> None:
    assert mlx("init", name, folder=tmp_path).returncode == 0
    assert compile_path(tmp_path / name).plan.experiment.id == chosen


@pytest.mark.parametrize(
    ("target", "chosen", "loss"),
    [(None, "kind", "cross_entropy"), ("size in cm", "size in cm", "mse")],
)
def test_the_columns_of_a_file(
    mlx: Mlx, tmp_path: Path, target: str | None, chosen: str, loss: str
) -> None:
    rows = np.arange(60)
    columns = {
        "name": [f"plant {row}" for row in rows],
        "size in cm": rows / 7,
        "on": np.sqrt(rows),
        "kind": rows % 3,
    }
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "data/two words.parquet")
    options = [] if target is None else ["--target", target]
    arguments = ["specs/first.yaml", "--data", "data/two words.parquet", *options]
    result = mlx("init", *arguments, folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
    compiled = compile_path(tmp_path / "specs/first.yaml")
    (node,) = compiled.plan.graph.nodes.values()
    assert node.target is not None
    assert node.target.columns == (chosen,)
    assert node.shape == ((3,) if loss == "cross_entropy" else (1,))
    assert compiled.plan.data["TwoWords"].source.path == "../data/two words.parquet"
    assert compiled.plan.phases[0].losses[0].label == loss
    assert "left out, as they are not numbers of one shape: `name`\n" in result.stderr


def test_files_that_are_there_stay(mlx: Mlx, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("mine\n")
    result = mlx("init", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: `spec.yaml` is there already\n"
        "hint: name another file, or write over it with --force\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["spec.yaml"]
    assert mlx("init", "--force", folder=tmp_path).returncode == 0
    assert compile_path(tmp_path / "spec.yaml").plan.phases


def test_data_that_gives_no_example(mlx: Mlx, tmp_path: Path) -> None:
    pq.write_table(pa.table({"name": ["a", "b"], "x": [1.0, 2.0]}), tmp_path / "one.parquet")
    result = mlx("init", "--data", "one.parquet", folder=tmp_path)
    assert result.returncode == 1
    assert "an example needs two columns of numbers; found: x" in result.stderr
    result = mlx("init", "--data", "one.parquet", "--target", "nam", folder=tmp_path)
    assert result.returncode == 2
    assert "no column of numbers `nam`; known: `x`" in result.stderr


def test_a_csv_file_is_told_how_it_becomes_a_table(mlx: Mlx, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x,y\n1,2\n")
    result = mlx("init", "--data", "rows.csv", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "error: rows.csv is no table of Parquet or Arrow\nhint: it looks like CSV"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
