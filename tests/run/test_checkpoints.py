"""Checkpoints that cannot be written, and those that are damaged."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pytest

from specplan.errors import RunError, StoreError
from specplan.plan.model import Checkpoints, Results
from specplan.results.status import read_run_file
from specplan.results.summary import losses
from specplan.results.verify import verify_run
from specplan.run.callback import Callback
from specplan.run.display import Silent
from specplan.run.hooks import Hooks
from specplan.run.run import run_plan
from specplan.store.checkpoints import CheckpointFolder
from specplan.store.layout import RunFolder
from specplan.store.run_file import Status
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled
    from specplan.run.context import Context
    from specplan.spec.diagnostics import Diagnostic

OFTEN = Checkpoints(every_n_steps=5, save_on=("phase_end",), keep=2)


class Told(Silent):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[Diagnostic] = []

    def warned(self, warning: Diagnostic) -> None:
        self.warnings.append(warning)


def plan_of(results: Results, checkpoint: Checkpoints | None = OFTEN, **changes: Any) -> Compiled:
    compiled = specs.compiled(specs.train(**changes.pop("phase", {})), **changes)
    plan = msgspec.structs.replace(compiled.plan, results=results, checkpoint=checkpoint)
    return msgspec.structs.replace(compiled, plan=plan)


def in_the_way(context: Context) -> None:
    """Puts a file where the folder of the checkpoints would be."""
    context.journal.folder.checkpoints.write_text("")


def folder_below(root: Path) -> RunFolder:
    [path] = (root / "tests").iterdir()
    return RunFolder(path)


NO_DISK = Hooks(run_started=(in_the_way,))


def test_a_run_that_may_lose_records_goes_on_without_checkpoints(tmp_path: Path) -> None:
    told = Told()
    plan = plan_of(Results(on_error="drop"))
    outcome = run_plan(plan, root=tmp_path, display=told, hooks=NO_DISK)
    # 26 steps: before the 6th, 11th, 16th, 21st and 26th.
    assert outcome.run_file.statistics["dropped_checkpoints"] == 5
    assert losses(outcome.run_file.statistics) == "5 checkpoints"
    assert [warning.code for warning in told.warnings] == ["SP808"] * 5
    place = outcome.folder.checkpoints / "000001"
    assert told.warnings[0].message == f"checkpoint `{place}` cannot be written: Not a directory"
    undisturbed = specs.run(plan, tmp_path / "other")
    assert "dropped_checkpoints" not in undisturbed.run_file.statistics
    nets = [each.state.nodes["Net"] for each in (outcome, undisturbed)]
    assert specs.same_weights(*nets)


def test_another_run_ends_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        run_plan(plan_of(Results()), root=tmp_path, display=Silent(), hooks=NO_DISK)
    folder = folder_below(tmp_path)
    place = folder.checkpoints / "000001"
    assert str(caught.value) == f"checkpoint `{place}` cannot be written: Not a directory"
    run_file = read_run_file(folder)
    assert run_file.status is Status.FAILED
    assert run_file.error is not None
    assert run_file.error.message == str(caught.value)


class Odd(Callback):
    """Its state holds what only pickle could store; it may ask the run to stop."""

    def __init__(self, *, stops: bool) -> None:
        super().__init__()
        self.stops = stops

    def on_batch_end(self) -> None:  # type: ignore[override]
        if self.stops:
            os.kill(os.getpid(), signal.SIGTERM)

    def state_dict(self) -> dict[str, Any]:
        return {"thing": object()}


def odd_plan(checkpoint: Checkpoints | None, *, stops: bool) -> Compiled:
    phase = {"callbacks": [{"use": "live:Odd"}]}
    return plan_of(Results(), checkpoint, phase=phase, live={"Odd": Odd(stops=stops)})


def test_a_state_that_cannot_be_stored_is_told(tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(SystemExit):
        run_plan(odd_plan(None, stops=True), root=tmp_path, display=told)
    [warning] = told.warnings
    assert warning.code == "SP806"
    assert warning.message.startswith(
        "there will be no checkpoint: `values.callbacks.Odd.thing` is"
    )
    assert warning.message.endswith("is a object, which cannot be stored without pickle")
    assert read_run_file(folder_below(tmp_path)).status is Status.INTERRUPTED


def test_it_is_an_error_where_checkpoints_were_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="which cannot be stored without pickle"):
        run_plan(odd_plan(OFTEN, stops=False), root=tmp_path, display=Silent())


class Late(Callback):
    """What it keeps is there from the start of its phase on."""

    def on_phase_start(self) -> None:  # type: ignore[override]
        self.lock = threading.Lock()

    def state_dict(self) -> dict[str, Any]:
        ASKED.append(self.label)
        return {"lock": self.lock}


ASKED: list[str] = []


def late_plan(*save_on: Literal["phase_end"]) -> Compiled:
    late = [{"use": "live:Late"}]
    phases = [specs.train(), *(specs.train(label=label, callbacks=late) for label in ("b", "c"))]
    compiled = specs.compiled(*phases, live={"Late": Late()})
    plan = msgspec.structs.replace(compiled.plan, checkpoint=Checkpoints(save_on=save_on))
    return msgspec.structs.replace(compiled, plan=plan)


def test_what_is_never_stored_needs_no_storable_state(tmp_path: Path) -> None:
    ASKED.clear()
    told = Told()
    outcome = run_plan(late_plan(), root=tmp_path, display=told)
    assert outcome.run_file.status is Status.COMPLETED
    assert told.warnings == []
    assert ASKED == ["Late"] * 3, "once for each phase"


def test_a_state_that_cannot_be_told_is_told_as_one_that_cannot_be_stored(tmp_path: Path) -> None:
    message = (
        r"^callback `Late.state_dict` failed: test_checkpoints.py:\d+: AttributeError: .*'lock'$"
    )
    with pytest.raises(RunError, match=message):
        run_plan(late_plan("phase_end"), root=tmp_path, display=Silent())


def test_damage_to_checkpoints_is_found(tmp_path: Path) -> None:
    folder = specs.run(plan_of(Results()), tmp_path).folder
    whole = verify_run(folder)
    assert whole.damages == ()
    checkpoints = CheckpointFolder(folder.checkpoints)
    older, newer = map(checkpoints.path_of, checkpoints.numbers())
    weights = newer / "state/weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (newer / "values.safetensors").unlink()
    (older / "checkpoint.json").write_bytes(b"{}")
    found = verify_run(folder)
    names = [path.relative_to(folder.path).as_posix() for path in (older, newer)]
    assert sorted(map(str, found.damages)) == [
        f"{names[0]}/checkpoint.json: the file does not match its checksum",
        f"{names[1]}/state/weights.safetensors: the file does not match its digest",
        f"{names[1]}/values.safetensors: the file is missing",
    ]
    assert found.files < whole.files


def test_a_checkpoint_that_nobody_finished_is_no_damage(tmp_path: Path) -> None:
    folder = specs.run(plan_of(Results()), tmp_path).folder
    (folder.checkpoints / ".000009.1").mkdir()
    assert verify_run(folder).damages == ()
