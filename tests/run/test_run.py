from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from specplan._native import StoreReader
from specplan.errors import DataError, RunError
from specplan.plan.canonical import read_plan
from specplan.plan.compile import compile_mapping, compile_path
from specplan.run.display import Silent
from specplan.run.run import run_plan
from specplan.store.layout import RunFolder
from specplan.store.run_file import RunFile, Status
from tests.run import specs

LONG_RUN = """
import sys
from pathlib import Path
from tests.run import specs
specs.run(specs.compiled(specs.train(epochs=100_000)), Path(sys.argv[1]))
"""


def read_run_file(folder: RunFolder) -> RunFile:
    return msgspec.json.decode(folder.run_file.read_bytes(), type=RunFile)


def parquet_spec(path: str) -> dict[str, Any]:
    return {
        "specplan": 1,
        "experiment": {"id": "files"},
        "data": {
            "Set": {
                "source": {"use": "parquet", "path": path},
                "features": ["a", "b"],
                "targets": ["y"],
            }
        },
        "graph": {
            "nodes": {"Net": {"model": specs.MLP, "input": "Set.features", "target": "Set.y"}},
            "optimizer": specs.ADAM,
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [specs.train(split=None, epochs=1), specs.evaluation(split=None)],
    }


def write_parquet(path: Path, rows: int = 64) -> None:
    rng = np.random.default_rng(0)
    pq.write_table(pa.table({name: rng.standard_normal(rows) for name in "aby"}), path)


def test_a_run_folder_holds_what_a_reader_needs(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data.parquet")
    plan = compile_mapping(parquet_spec("data.parquet"), folder=tmp_path)
    outcome = run_plan(plan, root=tmp_path / "runs", display=Silent())
    folder, run_file = outcome.folder, outcome.run_file
    assert run_file == read_run_file(folder)
    assert (run_file.status, run_file.version, run_file.error) == (Status.COMPLETED, 1, None)
    assert [(phase.path, phase.status) for phase in run_file.phases] == [
        ("train", Status.COMPLETED),
        ("eval", Status.COMPLETED),
    ]
    assert run_file.sessions[0].ended_at is not None
    assert folder.path == tmp_path / "runs" / "files" / run_file.run_id
    assert run_file.statistics["records"] > 0
    assert folder.metrics_table.exists()
    assert folder.execution_table("train").exists()
    assert folder.execution_table("eval").exists()
    environment = json.loads(folder.environment_file.read_text())
    assert environment["versions"] == run_file.versions
    assert str(tmp_path) not in folder.environment_file.read_text()
    again = run_plan(read_plan(folder.plan_file), root=tmp_path / "runs", display=Silent())
    assert again.run_file.plan_id == run_file.plan_id
    assert again.run_file.version == 2
    assert again.run_file.run_id != run_file.run_id


def test_data_are_checked_before_a_folder_is_made(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data.parquet")
    plan = compile_mapping(parquet_spec("data.parquet"), folder=tmp_path)
    write_parquet(tmp_path / "data.parquet", rows=65)
    with pytest.raises(DataError, match="changed since the plan was compiled"):
        run_plan(plan, root=tmp_path / "runs", display=Silent())
    (tmp_path / "data.parquet").unlink()
    with pytest.raises(DataError, match=r"FeatureSet `Set`: there is no file `.*data\.parquet`"):
        run_plan(plan, root=tmp_path / "runs", display=Silent())
    assert not (tmp_path / "runs").exists()


def test_a_memory_table_must_be_the_one_that_was_compiled(tmp_path: Path) -> None:
    plan = specs.compiled(specs.train())
    unbound = msgspec.structs.replace(plan, tables={"other": {}})
    with pytest.raises(DataError, match="`set` is not bound here; bound: `other`"):
        specs.run(unbound, tmp_path)
    changed = msgspec.structs.replace(plan, tables={"set": specs.regression(rows=499)})
    with pytest.raises(DataError, match="`set` changed since the plan was compiled"):
        specs.run(changed, tmp_path)


def test_a_node_cannot_go_on_from_another_description(tmp_path: Path) -> None:
    state = specs.run(specs.compiled(specs.train()), tmp_path).state
    wider = {"Net": specs.node({**specs.MLP, "hidden_dim": 33})}
    with pytest.raises(RunError, match="node `Net` has weights from a run in which"):
        specs.run(specs.compiled(specs.train(), nodes=wider), tmp_path, state)


class Watch(Silent):
    """Reads the table of the first phase when the second begins."""

    folder: Path
    rows = 0

    def run_started(self, plan: Any, run_id: str, folder: Path) -> None:  # noqa: ARG002
        self.folder = folder

    def phase_started(self, phase: Any) -> None:
        if phase.path == "eval":
            table = RunFolder(self.folder).execution_table("train")
            self.rows = pq.read_metadata(table).num_rows


def test_the_table_of_a_phase_is_there_when_the_next_begins(tmp_path: Path) -> None:
    watch = Watch()
    plan = specs.compiled(specs.train(), specs.evaluation())
    run_plan(plan, root=tmp_path, display=watch)
    assert watch.rows == 2 * plan.plan.phases[0].rows


class Broken(Silent):
    """Fails in the second epoch."""

    def epoch_ended(self, phase: Any, epoch: int, values: Any) -> None:  # noqa: ARG002
        if epoch == 1:
            raise ZeroDivisionError("no luck")


def test_a_failed_run_says_why_and_keeps_its_records(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        run_plan(specs.compiled(specs.train()), root=tmp_path, display=Broken())
    assert str(caught.value) == "phase `train`: ZeroDivisionError: no luck"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    [path] = (tmp_path / "tests").iterdir()
    folder = RunFolder(path)
    run_file = read_run_file(folder)
    assert run_file.status == run_file.phases[0].status == Status.FAILED
    assert run_file.error is not None
    assert (run_file.error.type, run_file.error.message) == ("ZeroDivisionError", "no luck")
    assert "Traceback" in folder.error_log.read_text()
    reader = StoreReader.open(str(folder.records))
    assert reader.closed
    assert reader.tensors()[0].batches == 26
    assert folder.metrics_table.exists()


def start_long_run(root: Path) -> tuple[subprocess.Popen[bytes], RunFolder]:
    """A child process that trains until it is stopped, and has recorded something."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([".", *sys.path])}
    child = subprocess.Popen(
        [sys.executable, "-c", LONG_RUN, str(root)],
        cwd=Path(__file__).parents[2],
        env=environment,
    )
    while True:
        assert child.poll() is None
        for path in (root / "tests").glob("[!.]*/run.json"):
            folder = RunFolder(path.parent)
            if recorded_batches(folder) > 20:
                return child, folder
        time.sleep(0.05)


def recorded_batches(folder: RunFolder) -> int:
    if not (folder.records / "store.json").exists():
        return 0
    tensors = StoreReader.open(str(folder.records)).tensors()
    return tensors[0].batches if tensors else 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_a_run_between_steps(tmp_path: Path, number: int, code: int) -> None:
    child, folder = start_long_run(tmp_path)
    child.send_signal(number)
    child.wait(timeout=240)
    assert child.returncode == code
    run_file = read_run_file(folder)
    assert run_file.status == run_file.phases[0].status == Status.INTERRUPTED
    assert run_file.sessions[0].ended_at is not None
    reader = StoreReader.open(str(folder.records))
    assert reader.closed
    ids, outputs, _ = reader.tensors()
    assert ids.batches == outputs.batches > 20
    assert folder.metrics_table.exists()


@pytest.mark.timeout(180)
def test_records_are_readable_after_a_kill(tmp_path: Path) -> None:
    child, folder = start_long_run(tmp_path)
    child.kill()
    child.wait(timeout=240)
    run_file = read_run_file(folder)
    assert run_file.status == Status.RUNNING
    assert run_file.sessions[0].pid == child.pid
    reader = StoreReader.open(str(folder.records))
    assert not reader.closed
    for channel in reader.tensors():
        assert channel.batches > 20
        assert all(len(channel.at(position)) in (32, 16) for position in range(channel.batches))


def test_the_run_folder_holds_the_spec_and_where_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "project/data").mkdir(parents=True)
    write_parquet(tmp_path / "project/data/set.parquet")
    text = json.dumps(parquet_spec("data/set.parquet"), indent=1)
    (tmp_path / "project/spec.json").write_text(text, encoding="utf-8")
    compiled = compile_path(tmp_path / "project/spec.json")
    folder = specs.run(compiled, tmp_path / "elsewhere/runs").folder
    assert compile_path(folder.spec_file).plan.id == compiled.plan.id
    places = json.loads(folder.path.joinpath("plan.map.json").read_bytes())
    line = text.splitlines().index('   "Net": {') + 1
    assert places["/graph/nodes/Net"] == {
        "file": "../../../../project/spec.json",
        "line": line,
        "column": 11,
    }
    outcome = specs.run(read_plan(folder.plan_file), tmp_path)
    assert not outcome.folder.spec_file.exists()


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("rows", 400, "`x` has 500 rows, the plan says 400"),
        ("dtype", "float32", "`x` is float64, the plan says float32"),
    ],
)
def test_a_plan_that_describes_its_data_wrongly(
    part: str, value: Any, message: str, tmp_path: Path
) -> None:
    compiled = specs.compiled(specs.evaluation(split=None))
    data = compiled.plan.data["Set"]
    if part == "rows":
        data = replace(data, rows=value, splits=(), splitter=None)
    else:
        column = replace(data.columns["x"], dtype=value)
        data = replace(data, columns={**data.columns, "x": column})
    phases = tuple(replace(phase, rows=data.rows) for phase in compiled.plan.phases)
    plan = replace(compiled.plan, data={"Set": data}, phases=phases)
    with pytest.raises(DataError, match=f"FeatureSet `Set`: {message}"):
        specs.run(replace(compiled, plan=plan), tmp_path)
