from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
import torch

import specplan
from specplan.errors import DataError, PlanError, RunError
from specplan.plan.compile import compile_mapping
from specplan.results.status import read_run_file
from specplan.run.display import Silent
from specplan.run.hooks import Hooks, PhaseHooks
from specplan.run.resume import resume_run
from specplan.run.run import run_plan
from specplan.store.checked_json import encode_checked
from specplan.store.checkpoints import CheckpointFolder
from specplan.store.layout import RunFolder
from specplan.store.run_file import Status
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.run.outcome import Outcome
    from specplan.spec.diagnostics import Diagnostic

EVERY_STEP = {"every_n_steps": 1, "save_on": [], "keep": 2}
STEPS = 26


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.places: list[str] = []
        self.warnings: list[Diagnostic] = []

    def resumed(self, place: str) -> None:
        self.places.append(place)

    def warned(self, warning: Diagnostic) -> None:
        self.warnings.append(warning)


def write_data(folder: Path) -> None:
    columns = specs.regression()
    x = pa.FixedSizeListArray.from_arrays(pa.array(columns["x"].ravel()), 10)
    table = pa.table({"x": x, "y": columns["y"]})
    with pa.ipc.new_file(folder / "set.arrow", table.schema) as writer:
        writer.write_table(table)


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "specplan": 1,
        "experiment": {"id": "tests"},
        "run": {"seed": 42},
        "data": {
            "Set": {
                "source": {"use": "arrow", "path": "set.arrow"},
                "features": ["x"],
                "targets": ["y"],
                "splits": specs.RANDOM,
            }
        },
        "graph": {
            "nodes": {"Net": specs.node(specs.MLP | {"dropout": 0.1})},
            "optimizer": specs.ADAM,
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [specs.train(), specs.evaluation()],
        "checkpoint": EVERY_STEP,
    } | changes


def stopped(folder: Path, at: int, **changes: Any) -> RunFolder:
    """The folder of a run that failed after so many steps."""
    write_data(folder)

    def fail(epoch: int, batch: int, _registers: Any) -> None:
        if epoch * (STEPS // 2) + batch + 1 == at:
            raise ZeroDivisionError("no luck")

    hooks = Hooks(inside=(lambda _phase, _context: PhaseHooks(batch_ended=(fail,)),))
    compiled = compile_mapping(spec(**changes), folder=folder)
    with pytest.raises(RunError, match="no luck"):
        run_plan(compiled, root=folder / "stopped", display=Silent(), hooks=hooks)
    [path] = (folder / "stopped/tests").iterdir()
    return RunFolder(path)


def whole(folder: Path, **changes: Any) -> Outcome:
    return specs.run(compile_mapping(spec(**changes), folder=folder), folder / "whole")


def metrics(outcome: Outcome) -> list[Any]:
    volatile = ("time", "sequence", "crc32")
    rows = specs.metrics(outcome)
    return [tuple(value for key, value in row.items() if key not in volatile) for row in rows]


def same(one: Outcome, other: Outcome) -> bool:
    weights = specs.same_weights(one.state.nodes["Net"], other.state.nodes["Net"])
    return weights and metrics(one) == metrics(other)


@pytest.mark.parametrize("at", [1, 2, 13, 14, 20, 26])
def test_a_run_ends_as_it_would_have_ended(tmp_path: Path, at: int) -> None:
    folder = stopped(tmp_path, at)
    told = Told()
    resumed = resume_run(folder, display=told)
    assert resumed is not None
    assert same(resumed, whole(tmp_path))
    # The last checkpoint is that before the step that failed: the first is made when one is done.
    done = at - 1
    place = f"train, epoch {done // 13}, step {done % 13}"
    assert told.places == [place if done else "its beginning: there is no checkpoint"]
    assert resumed.run_file.status is Status.COMPLETED
    assert [session.session for session in resumed.run_file.sessions] == [1, 2]
    assert resumed.run_file.error is None


def test_a_session_that_only_the_records_know_of_is_counted(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 14)
    before = folder.run_file.read_bytes()
    assert resume_run(folder, display=Silent()) is not None
    folder.run_file.write_bytes(before)  # as if the second session had been killed as it began
    resumed = resume_run(folder, display=Silent())
    assert resumed is not None
    assert same(resumed, whole(tmp_path))
    assert [session.session for session in resumed.run_file.sessions] == [1, 3]


def test_a_run_that_is_complete_is_left_alone(tmp_path: Path) -> None:
    write_data(tmp_path)
    outcome = whole(tmp_path)
    before = outcome.folder.run_file.read_bytes()
    assert resume_run(outcome.folder, display=Silent()) is None
    assert outcome.folder.run_file.read_bytes() == before


def test_another_number_of_threads_is_told_and_allowed(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    # Two threads wait for each other by turning: on a machine that is busy few steps are enough.
    torch.set_num_threads(2)
    try:
        folder = stopped(tmp_path, 2)
        torch.set_num_threads(1)
        with pytest.raises(RunError, match="SP805: .* same bits:\n  threads: 2 then, 1 now\nhint"):
            resume_run(folder, display=Silent())
        assert len(read_run_file(folder).sessions) == 1
        outcome = resume_run(folder, display=Silent(), allow_changes=True)
    finally:
        torch.set_num_threads(threads)
    assert outcome is not None
    assert outcome.run_file.sessions[1].changes == ("threads: 2 then, 1 now",)


def test_another_version_of_a_library_is_told(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 5)
    for number in CheckpointFolder(folder.checkpoints).numbers():
        path = CheckpointFolder(folder.checkpoints).path_of(number) / "checkpoint.json"
        index = msgspec.json.decode(path.read_bytes())
        index["surroundings"]["torch"] = "1.0"
        del index["crc32"]
        path.write_bytes(encode_checked(index))
    with pytest.raises(RunError, match=r"\n  torch: 1\.0 then, "):
        resume_run(folder, display=Silent())


def test_other_values_under_the_same_header_are_told(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 5)
    path = tmp_path / "set.arrow"
    content = bytearray(path.read_bytes())
    at = content.index(np.float64(specs.regression()["y"][7]).tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="\n  FeatureSet `Set`: other values than then"):
        resume_run(folder, display=Silent())


def test_other_data_are_refused_as_by_a_run(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 5)
    columns = specs.regression(rows=400)
    x = pa.FixedSizeListArray.from_arrays(pa.array(columns["x"].ravel()), 10)
    table = pa.table({"x": x, "y": columns["y"]})
    with pa.ipc.new_file(tmp_path / "set.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match="SP502(.|\n)*hint: put the data back; a run of the data"):
        resume_run(folder, display=Silent())


def test_another_plan_is_refused(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 5)
    text = folder.plan_file.read_text()
    folder.plan_file.write_text(text.replace('"epochs":2', '"epochs":3'))
    with pytest.raises(PlanError):
        resume_run(folder, display=Silent())


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 9)
    checkpoints = CheckpointFolder(folder.checkpoints)
    newest = checkpoints.path_of(checkpoints.numbers()[-1]) / "state/weights.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    told = Told()
    resumed = resume_run(folder, display=told)
    assert resumed is not None
    assert [warning.code for warning in told.warnings] == ["SP807"]
    assert "weights.safetensors: the file does not match its digest" in told.warnings[0].message
    assert told.places == ["train, epoch 0, step 7"]
    assert same(resumed, whole(tmp_path))


def test_a_run_that_goes_on_is_refused(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 5)
    run_file = read_run_file(folder)
    session = msgspec.structs.replace(run_file.sessions[0], ended_at=None, pid=os.getpid())
    running = msgspec.structs.replace(run_file, status=Status.RUNNING, sessions=(session,))
    folder.run_file.write_bytes(encode_checked(running))
    with pytest.raises(RunError, match=f"still goes on, as process {os.getpid()}"):
        resume_run(folder, display=Silent())


def test_tables_in_memory_have_to_be_given_again(tmp_path: Path) -> None:
    tables = {"set": specs.regression()}
    write_data(tmp_path)
    compiled = compile_mapping(spec(data=_memory()), tables=tables)
    hooks = Hooks(phase_ended=(_fail,))
    with pytest.raises(RunError, match="no luck"):
        run_plan(compiled, root=tmp_path, display=Silent(), hooks=hooks)
    [path] = (tmp_path / "tests").iterdir()
    with pytest.raises(DataError, match="the memory table `set` is not bound here"):
        specplan.resume(path)
    assert specplan.resume(path, tables=tables).status is Status.COMPLETED


def _fail(_phase: Any, _context: Any) -> None:
    raise ZeroDivisionError("no luck")


def _memory() -> dict[str, Any]:
    source = {"use": "memory", "name": "set"}
    return {"Set": {"source": source, "features": ["x"], "targets": ["y"], "splits": specs.RANDOM}}


def test_from_python(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 5)
    run = specplan.resume(folder.path)
    assert run.status is Status.COMPLETED
    assert specplan.resume(folder.path).id == run.id
