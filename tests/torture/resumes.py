"""P8: a run that is killed, and resumed, ends with the bits of one that nobody disturbed.

Each run is a process of its own, forked from one that has imported everything. It is killed at a step, at
an operation on the files of a checkpoint, or at any moment; resumed, perhaps killed again, and resumed.
Then everything that it leaves behind is compared: weights, estimators, optimizer, metrics, tensors, tables, and
what run.json says of phases.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.torture.endings import ending_of
from tests.torture.figures import Row, Size
from tests.torture.killed_programs import MOMENTS, PROGRAMS, kill_at
from tests.torture.resumed_specs import OWN_MODELS, SPECS, columns
from tests.torture.tools import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from specplan.run.hooks import Hooks
    from tests.torture.tools import Tools

PAIRS = {Size.QUICK: 60, Size.LONG: 1_000}
ENDING = "ending.json"
SECONDS = 120.0
"""After which a run hangs."""


class Stop(NamedTuple):
    """Where a process is killed: after so many steps of its own, file operations, or milliseconds."""

    kind: str
    at: int

    def __str__(self) -> str:
        return f"{self.kind} {self.at}"


def resumed(
    name: str, stops: list[Stop], folder: Path, expected: dict[str, str], broken: str = ""
) -> str | None:
    """What a run that was stopped left behind that an undisturbed one does not, if anything."""
    folder.mkdir(parents=True)
    for stop in [*stops, None]:
        code = _life(name, folder, stop, broken)
        if stop is None and code != 0:
            return f"the last session ended with {code}: {_said(folder)}"
        if stop is not None and code not in (0, -signal.SIGKILL):
            return f"{stop}: a session ended with {code}: {_said(folder)}"
    ending = folder / ENDING
    if not ending.exists() and any(stop.kind == "millisecond" for stop in stops):
        return None  # killed after the run was over, before its program had said what it left
    found: dict[str, str] = json.loads(ending.read_text())
    other = [part for part in {**expected, **found} if expected.get(part) != found.get(part)]
    return f"other bits in {', '.join(sorted(other))}" if other else None


def undisturbed(name: str, folder: Path) -> tuple[dict[str, str], float]:
    """What a run leaves behind, and the seconds that it takes."""
    folder.mkdir(parents=True)
    started = time.monotonic()
    code = _life(name, folder, None, "")
    if code != 0:
        raise AssertionError(f"{name}: the run ended with {code}: {_said(folder)}")
    return json.loads((folder / ENDING).read_text()), time.monotonic() - started


def trials(size: Size, seed: int = 5) -> Iterator[tuple[str, list[Stop]]]:
    """Specs and where their runs are killed: every step of one, then random places, then two in one run."""
    rng = random.Random(seed)
    names = list(SPECS)
    every = range(1, 14) if size is Size.LONG else range(1, 14, 4)
    planned = [("every step", [Stop("step", at)]) for at in every]
    yield from planned
    for index in range(PAIRS[size] - len(planned)):
        stops = [_random_stop(rng) for _ in range(1 + (index % 4 == 3))]
        yield names[index % len(names)], stops


def check(size: Size, scratch: Path, broken: str = "") -> Tally:
    """Stop and resume runs of every spec."""
    tally = Tally()
    references: dict[str, dict[str, str]] = {}
    for number, (name, stops) in enumerate(trials(size)):
        if name not in references:
            references[name], _ = undisturbed(name, scratch / f"reference-{len(references)}")
        folder = scratch / f"trial-{number}"
        what = f"{name}, {', then '.join(map(str, stops))}"
        tally.add(resumed(name, stops, folder, references[name], broken), what)
    return tally


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P8: what was killed and resumed has the same bits."""
    del tools
    tally = check(size, scratch)
    tally.show()
    command = f"python -m tests.torture resumes --size {size}"
    facts = f"{len(SPECS)} specs, killed at steps, file operations and moments, some twice"
    yield Row(
        "P8", "killed and resumed: equal bits", tally.trials, len(tally.violations), facts, command
    )


BROKEN: dict[str, Callable[[], None]] = {}
"""Faults by name: each makes the process in which it is called resume wrongly."""


def _broken(make: Callable[[], None]) -> Callable[[], None]:
    BROKEN[make.__name__.removeprefix("_")] = make
    return make


@_broken
def _commit_before_the_records() -> None:
    """The cursor of a checkpoint is behind its records: rows are recorded twice."""
    from specplan.store.recorder import Recorder

    commit = Recorder.commit
    Recorder.commit = lambda self: max(0, commit(self) - 3)  # type: ignore[method-assign]


@_broken
def _no_generators() -> None:
    from specplan.run import checkpoints

    usual = checkpoints._continue

    def without(training: Any, state: Any, values: Any, folder: Any) -> None:
        import torch

        before = torch.get_rng_state()
        usual(training, state, values, folder)
        torch.set_rng_state(before)

    checkpoints._continue = without


@_broken
def _no_sums() -> None:
    from specplan.run.position import Position

    usual = Position.values
    Position.values = lambda self: usual(self) | {"sums": self.sums * 0}  # type: ignore[method-assign]


@_broken
def _no_optimizer() -> None:
    from specplan.run.state import State

    usual = State.kept_optimizer

    def fresh(self: State, component: Any, groups: Any, values: Any) -> Any:
        return usual(self, component, groups, {**values, "state": {}})

    State.kept_optimizer = fresh  # type: ignore[method-assign]


@_broken
def _no_gradients() -> None:
    from specplan.run.state import State

    def forget(self: State, gradients: Any) -> None:
        del self, gradients

    State.put_gradients = forget  # type: ignore[method-assign]


@_broken
def _one_step_early() -> None:
    from specplan.run.position import Position

    usual = Position.values

    def earlier(self: Position) -> dict[str, Any]:
        return usual(self) | {"steps": max(0, self.steps - 1)}

    Position.values = earlier  # type: ignore[method-assign]


@_broken
def _no_patience() -> None:
    from specplan.run.early_stopping import Stopper

    usual = Stopper.values
    Stopper.values = lambda self: usual(self) | {"waited": 0}  # type: ignore[method-assign]


def _random_stop(rng: random.Random) -> Stop:
    kind = rng.choice(["step", "step", "file", "file", "millisecond"])
    return Stop(kind, rng.randint(1, {"step": 30, "file": 150, "millisecond": 700}[kind]))


_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.torture.resumed_specs", "tests.torture.resumes_preload"])


def _life(name: str, folder: Path, stop: Stop | None, broken: str) -> int:
    """Run or resume in a process of its own; its exit code, negative for a signal."""
    process = _CONTEXT.Process(target=_session, args=(name, folder, stop, broken))
    process.start()
    try:
        if stop is not None and stop.kind == "millisecond":
            process.join(stop.at / 1000)
            process.kill()
        process.join(SECONDS)
        if process.exitcode is None:
            return -signal.SIGALRM
        return process.exitcode
    finally:
        process.kill()
        process.join()
        process.close()


def _said(folder: Path) -> str:
    path = folder / "error.txt"
    return path.read_text() if path.exists() else "it said nothing"


def _session(name: str, folder: Path, stop: Stop | None, broken: str) -> None:
    """The first session of a run, or the next one of that which is there."""
    if broken:
        BROKEN[broken]()
    try:
        (_run_program if name in PROGRAMS else _run_or_resume)(name, folder, stop)
    except BaseException:  # noqa: BLE001 -- the parent reports it
        (folder / "error.txt").write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def _run_program(name: str, folder: Path, stop: Stop | None) -> None:
    """A program of objects from its beginning: it finds out itself what there is to go on with."""
    if stop is not None and stop.kind in MOMENTS:
        kill_at(stop.kind, stop.at)
    elif stop is not None and stop.kind == "file":
        _kill_at_operation(stop.at, folder)
    (folder / ENDING).write_text(json.dumps(PROGRAMS[name](folder)))


def _run_or_resume(name: str, folder: Path, stop: Stop | None) -> None:
    from specplan.plan.compile import compile_mapping
    from specplan.run.display import Silent
    from specplan.run.resume import resume_run
    from specplan.run.run import run_plan
    from specplan.store.layout import RunFolder

    tables = {"set": columns(name)}
    (folder / "models.py").write_text(OWN_MODELS)
    hooks = _killing(stop, folder)
    found = sorted(path.parent for path in folder.glob("runs/resumed/[!.]*/run.json"))
    if found:
        outcome = resume_run(
            RunFolder(found[0]), display=Silent(), trust=True, tables=tables, hooks=hooks
        )
        if outcome is None:
            return
    else:
        compiled = compile_mapping(SPECS[name](), folder=folder, tables=tables)
        outcome = run_plan(
            compiled, root=folder / "runs", display=Silent(), trust=True, hooks=hooks
        )
    ending = json.dumps(ending_of(outcome.folder, outcome.state))
    (folder / ENDING).write_text(ending)


def _killing(stop: Stop | None, folder: Path) -> Hooks:
    """Hooks, or something outside of them, that kill this process where it is to be stopped."""
    from specplan.run.hooks import Hooks, PhaseHooks

    if stop is not None and stop.kind == "file":
        _kill_at_operation(stop.at, folder)
    if stop is None or stop.kind != "step":
        return Hooks()
    left = [stop.at]

    def count(_epoch: int, _batch: int, _registers: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return Hooks(inside=(lambda _phase, _context: PhaseHooks(batch_ended=(count,)),))


def _kill_at_operation(number: int, folder: Path) -> None:
    """Kill this process at an operation of Python on the files of checkpoints and of run.json."""
    left = [number]
    events = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in events or str(folder) not in str(arguments[0]):
            return
        if "checkpoints" in str(arguments[0]) or "run.json" in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(see)
