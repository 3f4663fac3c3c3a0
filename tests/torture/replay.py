"""What may be on disk after a loss of power: states made from the log of what a writer did.

A file system may have put any part of what was not synced on disk, in any order: bytes of a file are certain after
a sync of that file, names of a folder after a sync of that folder.
"""

from __future__ import annotations

import enum
import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture.figures import Row, Size
from tests.torture.kills import FEWEST_CAUGHT, WORKLOADS
from tests.torture.tools import Checker, Operation, Tally, Tools, other_boot_id, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTOR = 512
PAGE = 4096
LEVELS = ("process", "disk")
CONTINUED_EACH = 7
"""One state of so many is continued to the end of the workload: no divisor of the number of losses."""
STATES = {Size.QUICK: 200, Size.LONG: 2000}
"""Of each level and workload."""


@dataclass
class Node:
    """A file or folder, whatever names it has."""

    folder: bool
    synced: list[int] = field(default_factory=list)
    """Places in the log at which it was synced."""


@dataclass
class Step:
    """One operation on a node."""

    place: int
    kind: str
    """write, truncate or name."""
    node: Node
    holder: Node | None = None
    """The folder that a name is in."""
    name: str = ""
    old: tuple[Node, str] | None = None
    """The folder and name that a rename takes away."""
    removes: bool = False
    offset: int = 0
    data: bytes = b""

    def certain(self, crash: int) -> bool:
        """Whether a sync before the crash put it on disk."""
        carrier = self.holder or self.node
        return any(self.place < synced < crash for synced in carrier.synced)


@dataclass
class History:
    """What a writer did and said, in order."""

    root: Node
    steps: list[Step]
    said: list[tuple[int, bytes]]
    length: int


def history(operations: list[Operation], folder: Path) -> History:
    """The log of a writer below a folder that was empty and on disk before."""
    root = Node(folder=True)
    nodes = {str(folder): root}
    past = History(root, [], [], len(operations))
    for place, done in enumerate(operations):
        if done.name == "say":
            past.said.append((place, done.data))
        elif done.result >= 0 and done.name == "fsync":
            nodes[done.path].synced.append(place)
        elif done.result >= 0:
            past.steps += _steps(place, done, nodes)
    return past


def _steps(place: int, done: Operation, nodes: dict[str, Node]) -> list[Step]:
    """What an operation changes; `nodes` are those that have names now."""
    if done.name == "fallocate":
        # It changes no byte that a reader looks at.
        return []
    path = Path(done.path)
    makes_file = done.name == "open" and done.second == "new"
    if done.name == "mkdir" or makes_file:
        node = nodes[done.path] = Node(folder=not makes_file)
        return [Step(place, "name", node, nodes[str(path.parent)], path.name)]
    if done.name == "open":
        truncates = done.second == "truncate"
        return [Step(place, "truncate", nodes[done.path])] if truncates else []
    if done.name in {"write", "truncate"}:
        return [Step(place, done.name, nodes[done.path], offset=done.offset, data=done.data)]
    node, holder = nodes.pop(done.path), nodes[str(path.parent)]
    if done.name == "unlink":
        return [Step(place, "name", node, holder, path.name, removes=True)]
    if done.name == "rename":
        nodes[done.second] = node
        target = Path(done.second)
        old = (holder, path.name)
        return [Step(place, "name", node, nodes[str(target.parent)], target.name, old)]
    raise ValueError(f"no model of {done.name}")


class Loss(enum.Enum):
    """What of the uncertain steps is lost."""

    NOTHING = enum.auto()
    EVERYTHING = enum.auto()
    ONE = enum.auto()
    ALL_BUT_ONE = enum.auto()
    HALF = enum.auto()
    TORN_AT_SECTOR = enum.auto()
    TORN_AT_PAGE = enum.auto()
    BYTES = enum.auto()
    """Names are there, files are as short as they were."""
    BYTES_NOT_SIZES = enum.auto()
    """Names and sizes are there, and zeros."""
    NAMES = enum.auto()


def write_state(
    past: History, crash: int, loss: Loss, generator: random.Random, target: Path
) -> None:
    """Make the files as they may be when the power goes just before operation `crash`."""
    before = [step for step in past.steps if step.place < crash]
    uncertain = [step for step in before if not step.certain(crash)]
    chosen = generator.choice(uncertain) if uncertain else None
    files: dict[int, list[Step]] = {}
    names: dict[int, dict[str, Node]] = {id(past.root): {}}
    for step in before:
        kept = step if step.certain(crash) else _what_is_left(step, chosen, loss, generator)
        if kept is None:
            continue
        if kept.kind != "name":
            files.setdefault(id(kept.node), []).append(kept)
            continue
        assert kept.holder is not None
        if kept.old is not None:
            names.get(id(kept.old[0]), {}).pop(kept.old[1], None)
        entries = names.setdefault(id(kept.holder), {})
        if kept.removes:
            entries.pop(kept.name, None)
        else:
            entries[kept.name] = kept.node
    _write_folder(past.root, names, files, target)


def _what_is_left(
    step: Step, chosen: Step | None, loss: Loss, generator: random.Random
) -> Step | None:
    is_name = step.kind == "name"
    match loss:
        case Loss.NOTHING:
            return step
        case Loss.EVERYTHING:
            return None
        case Loss.ONE:
            return None if step is chosen else step
        case Loss.ALL_BUT_ONE:
            return step if step is chosen else None
        case Loss.HALF:
            return step if generator.random() < 0.5 else None
        case Loss.TORN_AT_SECTOR:
            return _torn(step, SECTOR, generator) if step is chosen else step
        case Loss.TORN_AT_PAGE:
            return _torn(step, PAGE, generator) if step is chosen else step
        case Loss.BYTES:
            return step if is_name else None
        case Loss.BYTES_NOT_SIZES:
            return step if is_name else _zeros(step)
        case Loss.NAMES:
            return None if is_name else step


def _torn(step: Step, unit: int, generator: random.Random) -> Step | None:
    """Only what lies before some unit of the disk is written."""
    first = step.offset // unit + 1
    last = (step.offset + len(step.data) - 1) // unit
    if step.kind != "write" or last < first:
        return None
    end = generator.randint(first, last) * unit - step.offset
    return Step(step.place, "write", step.node, offset=step.offset, data=step.data[:end])


def _zeros(step: Step) -> Step:
    if step.kind == "truncate":
        return step
    # The size grows, and what was not there before reads as zeros.
    end = step.offset + len(step.data)
    return Step(step.place, "grow", step.node, offset=end)


def _write_folder(
    node: Node, names: dict[int, dict[str, Node]], files: dict[int, list[Step]], target: Path
) -> None:
    target.mkdir()
    for name, child in names.get(id(node), {}).items():
        path = target / name
        if child.folder:
            _write_folder(child, names, files, path)
            continue
        with path.open("wb", buffering=0) as file:
            for step in files.get(id(child), []):
                if step.kind == "truncate":
                    os.ftruncate(file.fileno(), step.offset)
                elif step.kind == "grow":
                    size = os.fstat(file.fileno()).st_size
                    os.ftruncate(file.fileno(), max(size, step.offset))
                else:
                    os.pwrite(file.fileno(), step.data, step.offset)


def replay_loop(
    tools: Tools,
    workload: str,
    level: str,
    states: int,
    scratch: Path,
    *,
    forget_syncs: bool = False,
) -> Tally:
    """Check so many states that a loss of power may leave of one run of the writer.

    With `forget_syncs` nothing was ever certain to be on disk: a writer whose syncs do nothing.
    """
    live, log, said = scratch / "live", scratch / "log", scratch / "said"
    live.mkdir(parents=True)
    environment = tools.environment(live, log=log, data=True)
    status = tools.write(["write", live / "store", workload, level], said, environment)
    assert status == 0, said.read_text()
    operations = read_log(log)
    if forget_syncs:
        operations = [done for done in operations if done.name != "fsync"]
    past = history(operations, live)
    shutil.rmtree(scratch)
    scratch.mkdir()
    generator = random.Random(f"{workload} {level}")
    tally = Tally()
    boot_id = other_boot_id(scratch)
    with Checker(tools, workload, boot_id=boot_id) as checker:
        for number in range(states):
            crash = generator.randint(0, past.length)
            loss = list(Loss)[number % len(Loss)]
            state = scratch / "state"
            write_state(past, crash, loss, generator, state)
            said.write_bytes(b"".join(line for place, line in past.said if place < crash))
            verdict = checker.check(state / "store", said, power_lost=True)
            tally.add(verdict.violation, f"{loss.name} at {crash} of {level}", verdict.microseconds)
            shutil.rmtree(state)
    return tally


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P2: states of the disk that a loss of power may leave."""
    command = f"python -m tests.torture replay --size {size}"
    for workload in WORKLOADS if size is Size.LONG else ("eager",):
        for level in LEVELS:
            tally = replay_loop(tools, workload, level, STATES[size], scratch / workload / level)
            facts = f"slowest check {tally.slowest_check / 1000:.0f} ms"
            test = f"replayed writes of `{workload}` at level `{level}`: lost, torn or reordered"
            yield Row("P2", test, tally.trials, len(tally.violations), facts, command)
    folder = scratch / "forgotten"
    caught = replay_loop(tools, "eager", "disk", STATES[size], folder, forget_syncs=True)
    missed = 0 if len(caught.violations) >= FEWEST_CAUGHT else 1
    facts = f"{len(caught.violations):,} broken promises were found out"
    test = "the same with a history whose syncs are left out has to fail"
    yield Row("P2", test, caught.trials, missed, facts, command)
