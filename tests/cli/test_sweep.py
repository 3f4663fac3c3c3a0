"""`mlx sweep` as people type it, with real runs in processes of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.errors import RunError
from specplan.plan.compile import compile_path
from specplan.results.status import read_run_file
from specplan.run.display import Silent
from specplan.run.exec import exec_plan
from specplan.run.hooks import Hooks
from specplan.spec.composition import Composition
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder
from specplan.store.run_file import ErrorRecord, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.plan.model import Phase
    from specplan.run.context import Context

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

SWEEP: dict[str, Any] = {
    "vary": {"graph.optimizer.lr": [0.05, 0.1], "graph.nodes.MLP.model.hidden_dim": [2, 4]},
    "metric": "test/mse",
}
"""What `swept` of conftest.py was run with."""


def write_sweep(folder: Path, spec: dict[str, Any], **sweep: Any) -> None:
    """A spec with another sweep than that of `sweep.json`, under the same name."""
    (folder / "sweep.json").write_text(json.dumps({**spec, "sweep": {**SWEEP, **sweep}}, indent=2))


def status_of(mlx: Mlx, folder: Path, *options: str) -> dict[str, Any]:
    """The sweep as JSON."""
    result = mlx("sweep", "sweep.json", "--status", "--json", *options, folder=folder)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_every_point_is_an_ordinary_run(swept: Path, mlx: Mlx) -> None:
    points = status_of(mlx, swept)["points"]
    assert [tuple(point["values"].values()) for point in points] == [
        *((0.05, 2), (0.05, 4), (0.1, 2), (0.1, 4)),
    ]
    assert {point["status"] for point in points} == {"completed"}
    for point in points:
        shown = json.loads(mlx("show", point["run"], "--json", folder=swept).stdout)
        assert shown["plan"] == point["plan_id"]
        [measured] = [
            each for each in shown["metrics"] if (each["phase"], each["name"]) == ("test", "mse")
        ]
        assert measured["value"] == point["value"]
        spec = json.loads((swept / point["folder"] / "spec.json").read_text())
        assert spec["graph"]["optimizer"]["lr"] == point["values"]["graph.optimizer.lr"]
        assert "sweep" not in spec
    told = mlx("show", points[2]["run"], folder=swept).stdout
    assert re.search(r"^sweep +sweep-[0-9-]+: graph\.optimizer\.lr=0\.1, .*=2$", told, re.MULTILINE)


def test_a_damaged_sweep_is_told_of_by_its_runs(swept: Path, mlx: Mlx) -> None:
    point = status_of(mlx, swept)["points"][0]
    file = next((swept / point["folder"]).parent.glob("sweep-*/sweep.json"))
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"0.1", b"0.2"))
    result = mlx("show", point["run"], folder=swept)
    file.write_bytes(whole)
    assert result.returncode == 0
    assert "sweep.json is damaged: it does not match its checksum" in result.stdout


def test_what_is_printed(swept: Path, mlx: Mlx) -> None:
    lines = (swept / "out.txt").read_text().splitlines()
    assert lines[0].split() == [
        *("run", "graph.optimizer.lr", "graph.nodes.MLP.model.hidden_dim", "status", "test/mse"),
    ]
    points = status_of(mlx, swept)
    best = min(points["points"], key=lambda point: point["value"])
    assert points["best"] == best["index"]
    assert lines[-1] == f"best: {best['run']}, test/mse {best['value']:.6g}"
    said = (swept / "err.txt").read_text()
    assert f"{best['run']}  lr={best['values']['graph.optimizer.lr']:g}, hidden_dim=" in said


def test_compare_shows_what_varies(swept: Path, mlx: Mlx) -> None:
    shown = mlx("compare", "line", folder=swept).stdout
    assert "graph.optimizer.lr" in shown
    assert "hidden_dim" in shown


def test_a_sweep_that_is_over_runs_nothing_again(swept: Path, mlx: Mlx) -> None:
    before = {path: path.stat().st_mtime_ns for path in (swept / "runs").rglob("run.json")}
    result = mlx("sweep", "sweep.json", folder=swept)
    assert result.returncode == 0
    assert result.stderr.count("is completed already") == 4
    assert result.stdout == (swept / "out.txt").read_text()
    assert before == {path: path.stat().st_mtime_ns for path in (swept / "runs").rglob("run.json")}


def test_the_metrics_of_all_runs_are_one_table(swept: Path, mlx: Mlx) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    [folder] = (swept / "runs/line").glob("sweep-*")
    points = status_of(mlx, swept)["points"]
    wanted = {
        (
            point["values"]["graph.optimizer.lr"],
            point["values"]["graph.nodes.MLP.model.hidden_dim"],
            point["value"],
        )
        for point in points
    }
    columns = ["graph.optimizer.lr", "graph.nodes.MLP.model.hidden_dim", "value"]
    whole = pl.scan_parquet(f"{folder}/**/*.parquet").filter(
        (pl.col("phase") == "test") & (pl.col("name") == "mse") & pl.col("batch").is_null()
    )
    assert set(whole.select(columns).collect().rows()) == wanted
    frame = pd.read_parquet(folder / "metrics")
    chosen = frame[(frame.phase == "test") & (frame["name"] == "mse") & frame.batch.isna()]
    assert {*map(tuple, chosen[columns].to_numpy())} == wanted
    asked = duckdb.execute(
        f"""select "graph.optimizer.lr", "graph.nodes.MLP.model.hidden_dim", value
        from '{folder}/metrics/*.parquet' where phase = 'test' and name = 'mse' and batch is null"""
    ).fetchall()
    assert set(asked) == wanted


def test_the_bill_and_nothing_else(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    write_sweep(project, spec)
    result = mlx("sweep", "sweep.json", "--dry-run", "--seeds", "3", folder=project)
    assert (result.returncode, result.stderr) == (0, "")
    assert len([line for line in result.stdout.splitlines() if line.strip()[:1].isdigit()]) == 13
    assert "12 runs: 156 steps" in result.stdout
    assert not (project / "runs").exists()
    bill = json.loads(mlx("sweep", "sweep.json", "--dry-run", "--json", folder=project).stdout)
    one = json.loads(mlx("plan", "line.json", "--json", folder=project).stdout)
    assert (bill["runs"], bill["steps"]) == (4, 4 * one["steps"])
    assert bill["points"][3]["values"]["graph.nodes.MLP.model.hidden_dim"] == 4
    assert bill["points"][3]["flops"] == one["flops"]


def test_a_spec_without_a_sweep(mlx: Mlx, project: Path) -> None:
    result = mlx("sweep", "line.json", folder=project)
    assert result.returncode == 1
    assert "error[SP755]: the spec has no sweep" in result.stderr
    seeds = mlx("sweep", "line.json", "--seeds", "2", "--dry-run", "--json", folder=project)
    assert [point["values"] for point in json.loads(seeds.stdout)["points"]] == [
        {"run.seed": 0},
        {"run.seed": 1},
    ]


def test_every_point_is_compiled_before_the_first_run(
    mlx: Mlx, project: Path, spec: dict[str, Any]
) -> None:
    vary = {"plan.train.epochs": [1, 2.5], "graph.nodes.MLP.model.hiden_dim": [2, 3]}
    write_sweep(project, spec, vary=vary)
    result = mlx("sweep", "sweep.json", folder=project)
    assert result.returncode == 1
    lines = (project / "sweep.json").read_text().splitlines()
    places = [
        line.partition(": error")[0] for line in result.stderr.splitlines() if ": error" in line
    ]
    numbers = [int(place.split(":")[1]) - 1 for place in places]
    assert [lines[number].strip() for number in numbers] == [
        "2.5",
        '"graph.nodes.MLP.model.hiden_dim": [',
    ]
    assert "hint: did you mean `hidden_dim`" in result.stderr
    assert not (project / "runs").exists()


def test_values_that_do_not_fit_are_found_without_a_run(
    mlx: Mlx, project: Path, spec: dict[str, Any]
) -> None:
    right = {"graph.optimizer.lr": {"uniform": [0.1, 0.2]}, "plan.train.epochs": [1, 2]}
    method = {"use": "random"}
    write_sweep(project, spec, vary=right, method=method)
    assert mlx("validate", "sweep.json", folder=project).returncode == 0
    wrong = {
        "graph.optimizer.lr": {"uniform": [-1.0, 0.2]},
        "graph.nodes.MLP.model.activation": ["relu", "tanhh"],
        "plan.train.epoch": {"integers": [1, 9]},
    }
    write_sweep(project, spec, vary=wrong, method=method)
    result = mlx("validate", "sweep.json", "--format", "json", folder=project)
    assert result.returncode == 1
    lines = (project / "sweep.json").read_text().splitlines()
    assert [
        (found["code"], lines[found["line"] - 1].strip()) for found in json.loads(result.stdout)
    ] == [
        ("SP206", '"uniform": ['),
        ("SP203", '"tanhh"'),
        ("SP201", '"plan.train.epoch": {'),
    ]


def test_a_plan_is_executed_once_however_often_it_is_asked_for(project: Path) -> None:
    compiled = compile_path(project / "line.json")
    folder = RunFolder(project / "runs/line/mine")
    assert exec_plan(compiled, folder, display=Silent()) is Status.COMPLETED
    before = folder.run_file.read_bytes()
    assert exec_plan(compiled, folder, display=Silent()) is Status.COMPLETED
    assert folder.run_file.read_bytes() == before

    other = compile_path(project / "line.json", Composition(overrides=("run.seed=5",)))
    with pytest.raises(RunError, match="is a run of another plan"):
        exec_plan(other, folder, display=Silent())
    with pytest.raises(RunError, match="is no folder of experiment `line`"):
        exec_plan(compiled, RunFolder(project / "runs/elsewhere/mine"), display=Silent())


def test_a_plan_goes_on_where_it_failed(project: Path) -> None:
    compiled = compile_path(project / "line.json")
    folder = RunFolder(project / "runs/line/mine")

    def fails(phase: Phase, _: Context) -> None:
        if phase.path == "test":
            raise ValueError("not today")

    with pytest.raises(RunError, match="not today"):
        exec_plan(compiled, folder, display=Silent(), hooks=Hooks(phase_started=(fails,)))
    assert exec_plan(compiled, folder, display=Silent()) is Status.COMPLETED
    assert len(read_run_file(folder).sessions) == 2


def test_a_run_that_failed_is_left_alone_unless_it_is_to_be_tried_again(
    mlx: Mlx, swept: Path, tmp_path: Path
) -> None:
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    run_file = next(iter(sorted((tmp_path / "runs/line").glob("2*-001")))) / "run.json"
    failed = msgspec.structs.replace(
        read_run_file(RunFolder(run_file.parent)),
        status=Status.FAILED,
        error=ErrorRecord(type="ValueError", message="it was too hot"),
    )
    run_file.write_bytes(encode_checked(failed))
    result = mlx("sweep", "sweep.json", folder=tmp_path)
    assert result.returncode == 1
    assert f"{failed.run_id}: failed: it was too hot" in result.stderr
    assert "hint: `--retry-failed` tries it again" in result.stderr
    again = mlx("sweep", "sweep.json", "--retry-failed", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout == (swept / "out.txt").read_text()


def test_a_sweep_is_shown_without_its_spec(mlx: Mlx, swept: Path, tmp_path: Path) -> None:
    [folder] = (swept / "runs/line").glob("sweep-*")
    told = mlx("sweep", "sweep.json", "--status", folder=swept)
    for name in (str(folder), f"line/{folder.name}", folder.name):
        shown = mlx("show", name, folder=swept)
        assert (shown.returncode, shown.stdout) == (0, told.stdout)
    as_json = json.loads(mlx("show", folder.name, "--json", folder=swept).stdout)
    assert as_json["points"] == status_of(mlx, swept)["points"]
    assert mlx("show", "line/sweep-none", folder=swept).returncode == 1
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "runs/line", tmp_path / "runs/other")
    twice = mlx("show", folder.name, folder=tmp_path)
    assert twice.returncode == 1
    assert f"several sweeps are called `{folder.name}`: `line/{folder.name}`" in twice.stderr


def test_a_sweep_that_has_not_begun_names_those_that_have(mlx: Mlx, swept: Path) -> None:
    [folder] = (swept / "runs/line").glob("sweep-*")
    other = mlx("sweep", "sweep.json", "--status", "-c", "run.seed=9", folder=swept)
    assert other.returncode == 1
    assert f"hint: others of this experiment have: `{folder.name}`" in other.stderr


def test_a_table_in_the_making_is_not_among_the_tables(
    mlx: Mlx, swept: Path, tmp_path: Path
) -> None:
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    [folder] = (tmp_path / "runs/line").glob("sweep-*")
    tables = sorted((folder / "metrics").iterdir())
    tables[0].unlink()
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from specplan.sweep import dataset, folder\n"
        "Path.replace = lambda *_: os._exit(9)\n"
        "dataset.write_missing(folder.SweepFolder(Path(sys.argv[1])), ())\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert killed.returncode == 9
    assert sorted((folder / "metrics").iterdir()) == tables[1:]
    left = json.loads(mlx("gc", "--json", folder=tmp_path).stdout)["removed"]
    assert [Path(each["path"]).parent for each in left] == [folder.relative_to(tmp_path)]


def test_a_damaged_list_of_points_is_told(mlx: Mlx, swept: Path, tmp_path: Path) -> None:
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    [path] = (tmp_path / "runs/line").glob("sweep-*/sweep.json")
    path.write_text(path.read_text().replace("0.05", "0.07"))
    result = mlx("sweep", "sweep.json", folder=tmp_path)
    assert result.returncode == 1
    assert "sweep.json is damaged: it does not match its checksum" in result.stderr


def test_runs_that_cannot_begin_are_told(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    spec["losses"]["mse"]["use"] = "bce_with_logits"  # the targets are no shares, as a run sees
    write_sweep(project, spec, vary={"run.seed": [1]})
    result = mlx("sweep", "sweep.json", "--quiet", folder=project)
    assert result.returncode == 1, result.stderr
    assert "-000: did not begin: " in result.stderr
    assert "SP653" in result.stderr


def test_a_fault_beside_the_sweep_is_told_alone(
    mlx: Mlx, project: Path, spec: dict[str, Any]
) -> None:
    spec["graph"]["nodes"]["MLP"]["input"] = "Data.z"
    write_sweep(project, spec)
    result = mlx("sweep", "sweep.json", folder=project)
    assert result.returncode == 1
    assert result.stderr.endswith("1 error in sweep.json\n")


def test_a_run_that_has_no_time_left_goes_on_another_time(mlx: Mlx, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "from specplan.experiments import GracefulTimeout\n"
        "def work(helper, cfg: dict) -> None:\n"
        '    told = helper.folder / "told.txt"\n'
        "    if not told.exists():\n"
        "        told.touch()\n"
        '        raise GracefulTimeout("no time for another epoch")\n'
    )
    call = {"phase": "call", "label": "work", "use": "./work.py:work", "config": {"n": 1}}
    spec = {"specplan": 1, "experiment": {"id": "short"}, "plan": [call]}
    write_sweep(tmp_path, spec, vary={"plan.work.config.n": [1]}, metric=None)
    for code, status in ((75, "interrupted"), (0, "completed")):
        swept = mlx("sweep", "sweep.json", "--trust", folder=tmp_path)
        [point] = status_of(mlx, tmp_path)["points"]
        assert (swept.returncode, point["status"]) == (code, status)
        assert ("no time for another epoch" in swept.stderr) == (code == 75)
