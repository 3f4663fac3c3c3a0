"""`mlx list`, `show`, `metrics` and `export`."""

from __future__ import annotations

import csv
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.plan.model import Results
from specplan.results.status import read_run_file
from specplan.store.checked_json import encode_checked
from specplan.store.layout import RunFolder
from specplan.store.recorder import Recorder
from specplan.store.run_file import Status

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

SHOWN = """\
run      line/RUN, version 1
status   completed
started  TIME
ended    TIME, after SECONDS s
plan     b3:HASH
seed     1
host     HOST
with     python VERSION, specplan VERSION, torch VERSION, SYSTEM

phases
phase  kind   split  rows  steps  epoch  kept  status     took
train  train  train    30  3 x 4      2     2  completed  SECONDS s
test   eval   test     10  1                   completed  SECONDS s

records
phase  node  role     field      dtype    shape   batches  rows
train  Data  default  sample_id  int64    scalar        4    30
train  MLP   default  outputs    float32  1             4    30
train  MLP   default  targets    float32  1             4    30
test   Data  default  sample_id  int64    scalar        1    10
test   MLP   default  outputs    float32  1             1    10
test   MLP   default  targets    float32  1             1    10

metrics
phase  split  node  name        epoch     value
train  train        train_loss      2  VALUE
train  train  MLP   mse             2  VALUE
test   test   MLP   mse             0  VALUE
test   test         eval_loss       0  VALUE

tables
file                                           rows
runs/line/RUN/tables/metrics.parquet             33
runs/line/RUN/tables/execution-train.parquet     30
runs/line/RUN/tables/execution-test.parquet      10

results  runs/line/RUN
query    polars.scan_parquet("runs/line/RUN/tables/metrics.parquet").collect()
"""


@pytest.fixture
def killed(finished: Path, tmp_path: Path) -> RunFolder:
    """A run whose process is gone before it wrote its tables."""
    (source,) = (finished / "runs/line").iterdir()
    folder = RunFolder(tmp_path / "runs/line" / source.name)
    shutil.copytree(source, folder.path)
    shutil.rmtree(folder.tables)
    run_file = read_run_file(folder)
    session = msgspec.structs.replace(run_file.sessions[0], boot_id="another", ended_at=None)
    *ended, phase = run_file.phases
    phases = (*ended, msgspec.structs.replace(phase, status=Status.RUNNING, ended_at=None))
    changed = msgspec.structs.replace(
        run_file, status=Status.RUNNING, sessions=(session,), phases=phases
    )
    folder.run_file.write_bytes(encode_checked(changed))
    return folder


def test_show(mlx: Mlx, finished: Path) -> None:
    result = mlx("show", "line", folder=finished)
    assert (result.returncode, result.stderr) == (0, "")
    (run,) = (finished / "runs/line").iterdir()
    text = result.stdout.replace(run.name, "RUN")
    text = re.sub(r"b3:[0-9a-f]{64}", "b3:HASH", text)
    text = re.sub(r"\d{4}-\d\d-\d\d [\d:]+ UTC", "TIME", text)
    text = re.sub(r"(python|specplan|torch) \d\S*?(?=,)", r"\1 VERSION", text)
    text = re.sub(r"^host .*$", "host     HOST", text, flags=re.M)
    text = re.sub(r"VERSION, \w+ \w+$", "VERSION, SYSTEM", text, flags=re.M)
    text = re.sub(r"\d+\.\d\d s$", "SECONDS s", text, flags=re.M)
    text = re.sub(r"\d\.\d{4,}", "VALUE", text)
    squeezed = re.sub(r" +", " ", text), re.sub(r" +", " ", SHOWN)
    assert squeezed[0].splitlines() == squeezed[1].splitlines()


def test_show_as_json(mlx: Mlx, finished: Path) -> None:
    summary: dict[str, Any] = json.loads(mlx("show", "line", "--json", folder=finished).stdout)
    assert summary["status"] == "completed"
    assert summary["kept_epochs"] == {"train": 2}
    assert [table["rows"] for table in summary["tables"]] == [33, 30, 10]
    assert summary["records"][1] == {
        "phase": "train",
        "node": "MLP",
        "role": "default",
        "field": "outputs",
        "dtype": "float32",
        "shape": [1],
        "batches": 4,
        "rows": 30,
    }


def test_a_killed_run(mlx: Mlx, killed: RunFolder, tmp_path: Path) -> None:
    shown = mlx("show", "line", folder=tmp_path)
    assert "status   interrupted" in shown.stdout
    assert re.search(r"train .* 2  completed +[\d.]+ s\ntest .* interrupted\n", shown.stdout)
    assert "running" not in shown.stdout
    assert "tables" not in shown.stdout
    assert f'specplan.open("runs/line/{killed.path.name}").metrics()' in shown.stdout
    exported = mlx("export", "line", folder=tmp_path)
    tables = f"runs/line/{killed.path.name}/tables"
    assert (exported.returncode, exported.stderr) == (0, "")
    assert exported.stdout == (
        f"{tables}/metrics.parquet  33 rows\n"
        f"{tables}/execution-train.parquet  30 rows\n"
        f"{tables}/execution-test.parquet  10 rows\n"
    )
    again = mlx("export", "line", folder=tmp_path)
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == "every table is there; --force writes them again\n"
    forced = mlx("export", "line", "--force", folder=tmp_path)
    assert forced.stdout == exported.stdout


def test_a_running_run_is_not_exported(mlx: Mlx, killed: RunFolder, tmp_path: Path) -> None:
    run_file = read_run_file(killed)
    session = msgspec.structs.replace(run_file.sessions[0], host="elsewhere")
    changed = msgspec.structs.replace(run_file, sessions=(session,))
    killed.run_file.write_bytes(encode_checked(changed))
    result = mlx("export", "line", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: run `line/{killed.path.name}` is still running; its tables are written when it "
        "ends\nhint: `mlx metrics` reads it meanwhile; --force writes what is committed\n"
    )
    assert mlx("export", "line", "--force", folder=tmp_path).returncode == 0


def test_metrics(mlx: Mlx, finished: Path) -> None:
    last = mlx("metrics", "line", folder=finished).stdout.splitlines()
    assert last[0].split() == ["phase", "node", "split", "name", "epoch", "batch", "step", "value"]
    assert len(last) == 5
    every = mlx("metrics", "line", "--all", folder=finished).stdout.splitlines()
    assert len(every) == 34
    some = mlx("metrics", "line", "--name", "mse", "--phase", "train", folder=finished)
    assert len(some.stdout.splitlines()) == 2


def test_metrics_for_programs(mlx: Mlx, finished: Path) -> None:
    arguments = ("metrics", "line", "--all", "--name", "mse", "--format")
    rows = json.loads(mlx(*arguments, "json", folder=finished).stdout)
    table = list(csv.DictReader(mlx(*arguments, "csv", folder=finished).stdout.splitlines()))
    assert [row["value"] for row in rows] == [float(row["value"]) for row in table]
    assert list(rows[0]) == list(table[0])
    assert (rows[-1]["batch"], table[-1]["batch"]) == (None, "")


def test_artifacts_are_shown(mlx: Mlx, killed: RunFolder, tmp_path: Path) -> None:
    shutil.rmtree(killed.records)
    recorder = Recorder(killed, killed.path.name, results=Results())
    for epoch in range(2):
        recorder.artifact("notes/day", "a" * (epoch + 1), epoch=epoch)
    recorder.artifact("config", {})
    recorder.close()
    shown = mlx("show", "line", folder=tmp_path).stdout
    run = f"runs/line/{killed.path.name}"
    assert (
        "\nartifacts\n"
        "artifact   kind  phase  epoch  versions  bytes  file\n"
        f"notes/day  text             1         2      2  {run}/artifacts/notes/day.2.txt\n"
        f"config     json                       1      3  {run}/artifacts/config.json\n"
    ) in shown
    summary = json.loads(mlx("show", "line", "--json", folder=tmp_path).stdout)
    assert [artifact["artifact"] for artifact in summary["artifacts"]] == ["notes/day", "config"]


def test_losses_and_stalls_are_shown(mlx: Mlx, killed: RunFolder, tmp_path: Path) -> None:
    counters = {"dropped": 1, "dropped_artifacts": 2, "stalls": 3, "stall_nanoseconds": 41_500_000}
    run_file = msgspec.structs.replace(read_run_file(killed), statistics=counters)
    killed.run_file.write_bytes(encode_checked(run_file))
    shown = mlx("show", "line", folder=tmp_path).stdout
    assert "\nlost     1 record, 2 artifacts\n" in shown
    assert "\nstalled  3 times, 0.042 s in all: the disk was slower than the run\n" in shown


def test_unknown_metrics(mlx: Mlx, finished: Path) -> None:
    result = mlx("metrics", "line", "--name", "loss", folder=finished)
    known = "`train_loss`, `mse`, `eval_loss`; did you mean `train_loss`?"
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"error: no metric `loss` was logged; there: {known}\n"
    result = mlx("metrics", "line", "--phase", "trian", folder=finished)
    assert (result.returncode, result.stdout) == (1, "")
    known = "`train`, `test`; did you mean `train`?"
    assert result.stderr == f"error: the run has no phase `trian`; it has {known}\n"


def test_list(mlx: Mlx, finished: Path) -> None:
    (run,) = (finished / "runs/line").iterdir()
    lines = mlx("list", folder=finished).stdout.splitlines()
    assert lines[0].split() == ["experiment", "run", "version", "status", "host", "started", "plan"]
    assert lines[1].split()[:4] == ["line", run.name, "1", "completed"]
    (entry,) = json.loads(mlx("list", "line", "--json", folder=finished).stdout)
    assert entry["folder"] == f"runs/line/{run.name}"
    assert json.loads(mlx("list", "other", "--json", folder=finished).stdout) == []


def test_a_damaged_run_does_not_hide_the_others(
    mlx: Mlx, killed: RunFolder, tmp_path: Path
) -> None:
    damaged = tmp_path / "runs/line/20000101-000000"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    result = mlx("list", folder=tmp_path)
    assert result.returncode == 0
    assert killed.path.name in result.stdout
    assert result.stderr.startswith("warning: runs/line/20000101-000000/run.json is damaged: ")


def test_no_runs(mlx: Mlx, tmp_path: Path) -> None:
    result = mlx("list", folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (
        0,
        "",
        "there are no runs below `runs`\n",
    )


def test_records_that_are_gone(mlx: Mlx, killed: RunFolder, tmp_path: Path) -> None:
    shutil.rmtree(killed.records)
    assert "status   interrupted" in mlx("show", "line", folder=tmp_path).stdout
    assert mlx("metrics", "line", folder=tmp_path).stderr == "no such metrics; recorded: none\n"
    result = mlx("export", "line", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"error: run `line/{killed.path.name}` has no records\n"
