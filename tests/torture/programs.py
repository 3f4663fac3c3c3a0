"""P8 for programs of objects: killed, and started again, they end with the bits of one that nobody disturbed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.torture.figures import Row, Size
from tests.torture.killed_programs import MOMENTS, PROGRAMS
from tests.torture.resumes import Stop, resumed, undisturbed
from tests.torture.tools import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.torture.tools import Tools

QUICK: list[tuple[str, list[Stop]]] = [
    ("the plan", [Stop("batch", 5)]),
    ("the plan", [Stop("evaluation", 4)]),
    ("the plan", [Stop("boundary", 4)]),
    ("the plan", [Stop("file", 60), Stop("callback", 3)]),
    ("the plan", [Stop("millisecond", 600)]),
    ("the plan without checkpoints", [Stop("batch", 22)]),
    ("several calls", [Stop("batch", 3)]),
    ("several calls", [Stop("call", 3)]),
    ("boundaries", [Stop("callback", 5)]),
    ("boundaries", [Stop("call", 2), Stop("batch", 1)]),
]
LONG = 200


def trials(size: Size, seed: int = 11) -> Iterator[tuple[str, list[Stop]]]:
    """Programs and where they are killed."""
    yield from QUICK
    rng, names = random.Random(seed), list(PROGRAMS)
    for index in range(LONG - len(QUICK) if size is Size.LONG else 0):
        stops = [_random_stop(rng) for _ in range(1 + (index % 4 == 3))]
        yield names[index % len(names)], stops


def check(size: Size, scratch: Path) -> Tally:
    """Kill each of them and start it again."""
    tally = Tally()
    references: dict[str, dict[str, str]] = {}
    for number, (name, stops) in enumerate(trials(size)):
        if name not in references:
            references[name], _ = undisturbed(name, scratch / f"reference-{len(references)}")
        violation = resumed(name, stops, scratch / f"trial-{number}", references[name])
        tally.add(violation, f"{name}, {', then '.join(map(str, stops))}")
    return tally


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P8: what was killed and started again has the same bits."""
    del tools
    tally = check(size, scratch)
    tally.show()
    command = f"python -m tests.torture programs --size {size}"
    facts = f"{len(PROGRAMS)} programs of an `Experiment`, killed in steps, evaluations, callbacks, between calls"
    what = "programs killed and started again: equal bits and history"
    yield Row("P8", what, tally.trials, len(tally.violations), facts, command)


def _random_stop(rng: random.Random) -> Stop:
    most = {"batch": 40, "evaluation": 8, "callback": 9, "boundary": 8, "call": 7}
    kind = rng.choice([*MOMENTS, "batch", "file", "millisecond"])
    return Stop(kind, rng.randint(1, most.get(kind) or {"file": 150, "millisecond": 2000}[kind]))
