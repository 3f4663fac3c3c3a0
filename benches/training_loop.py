"""What keeping scalars, or scalars and all tensors, of every step adds to a training loop.

All loops live in one process and take turns, an epoch each in shuffled order; a share compares a turn
with the baseline's turn of the same round, so that noise which lasts longer than a round cancels.

Run: `.venv/bin/python benches/training_loop.py [--quick]`
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from keepers import ALL, BASELINE, COPIES, KEEPERS, PLAN_ALL, PLAN_NONE, SCALARS
from rounds import Goal, digits, folder, goals, is_installed, options

from specplan.plan.compile import compile_mapping
from specplan.run.display import Silent
from specplan.run.run import run_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keepers import Open
    from numpy.typing import NDArray

    from specplan.plan.model import Phase

BATCH = 256
CLASSES = 128
WARM_UP = 2
SETTLE = 0.04
"""Seconds after a turn in which the drainer ends its work: its processor time belongs to the turn."""


class Size(NamedTuple):
    """A multi-layer perceptron, and how many steps its epochs have."""

    name: str
    features: int
    hidden: int
    layers: int
    steps: int

    def rows(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features and classes."""
        generator = np.random.default_rng(0)
        count = self.steps * BATCH
        features = generator.standard_normal((count, self.features), np.float32)
        return features, generator.integers(0, CLASSES, count)


SIZES = [
    Size("19,200 parameters", 20, 128, 1, 200),
    Size("1,013,504 parameters", 256, 832, 2, 40),
]


class Turns:
    """A loop in a thread of its own that does an epoch whenever it is its turn.

    Attributes:
        processor: seconds of processor time that the thread took for its last epoch.
    """

    def __init__(self, loop: Callable[[Turns], None]) -> None:
        self.processor = 0.0
        self._started = 0.0
        self._loop = loop
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._failure: BaseException | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def take(self) -> None:
        """Let it do one epoch; after the last one, end."""
        self._go.release()
        self._done.acquire()
        if self._failure is not None:
            raise self._failure

    def epoch_ended(self) -> None:
        """Called by the loop: hand over until it is its turn again."""
        self.processor = time.thread_time() - self._started
        self._done.release()
        self._go.acquire()
        self._started = time.thread_time()

    def _run(self) -> None:
        self._go.acquire()
        self._started = time.thread_time()
        try:
            self._loop(self)
        except BaseException as failure:  # noqa: BLE001 -- raised again by `take`
            self._failure = failure
        self._done.release()


class _Epochs(Silent):
    """Hands over after each epoch of a plan."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def epoch_ended(self, phase: Phase, epoch: int, values: Any) -> None:
        self._turns.epoch_ended()


def by_hand(size: Size, epochs: int, path: Path, open_keeper: Open) -> Callable[[Turns], None]:
    """The loop that a careful user would write."""
    features, classes = map(torch.from_numpy, size.rows())

    def loop(turns: Turns) -> None:
        torch.set_num_threads(1)
        layers: list[torch.nn.Module] = []
        width = size.features
        for _ in range(size.layers):
            layers += [torch.nn.Linear(width, size.hidden), torch.nn.ReLU()]
            width = size.hidden
        model = torch.nn.Sequential(*layers, torch.nn.Linear(width, CLASSES))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        loss_of = torch.nn.functional.cross_entropy
        keeper = open_keeper(path)
        keep = keeper.keep
        for epoch in range(epochs):
            order = np.random.default_rng([42, epoch]).permutation(len(classes))
            for batch, chosen in enumerate(torch.from_numpy(order).split(BATCH)):
                outputs = model(features[chosen])
                targets = classes[chosen]
                loss = loss_of(outputs, targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                keep(epoch, batch, loss, outputs, targets, chosen)
            turns.epoch_ended()
        keeper.close()

    return loop


def by_plan(size: Size, epochs: int, path: Path, record: str) -> Callable[[Turns], None]:
    """The same network through a plan; the losses of every step are logged whatever `record` says."""
    features, classes = size.rows()
    model = {
        "use": "mlp", "output_shape": [CLASSES], "n_layers": size.layers, "hidden_dim": size.hidden,
    }  # fmt: skip
    source = {"use": "memory", "name": "Rows"}
    spec = {
        "specplan": 1,
        "experiment": {"id": "bench"},
        "run": {"seed": 42, "threads": 1},
        "data": {
            "Rows": {
                "source": source, "features": ["x"], "targets": ["y"],
                "splits": {"use": "random", "ratios": {"train": 1.0}, "seed": 13},
            }
        },
        "graph": {
            "nodes": {"MLP": {"model": model, "input": "Rows.x", "target": "Rows.y"}},
            "optimizer": {"use": "adam", "lr": 1e-3},
        },
        "losses": {"cross_entropy": {"use": "cross_entropy", "node": "MLP"}},
        "plan": [
            {
                "phase": "train", "label": "train", "split": "train", "epochs": epochs,
                "sampler": {"use": "simple", "batch_size": BATCH, "shuffle": True, "seed": 42},
                "losses": ["cross_entropy"], "record": record,
            }
        ],
    }  # fmt: skip
    compiled = compile_mapping(spec, tables={"Rows": {"x": features, "y": classes}})

    def loop(turns: Turns) -> None:
        run_plan(compiled, root=path, display=_Epochs(turns))

    return loop


class Step(NamedTuple):
    """Microseconds of a step in one turn: on the clock, of the loop's own thread, of all threads."""

    clock: float
    own: float
    every: float


Steps = dict[str, list[Step]]


def added(steps: Steps, name: str, figure: str) -> tuple[float, float, float]:
    """Quartiles of the share that a step is longer than the baseline's of the same round, in percent."""
    pairs = zip(steps[name], steps[BASELINE], strict=True)
    shares = [100 * (getattr(mine, figure) / getattr(base, figure) - 1) for mine, base in pairs]
    low, middle, high = np.percentile(shares, [25, 50, 75]).tolist()
    return low, middle, high


def measure(size: Size, rounds: int) -> Steps:
    """Let every loop take its turn in each round."""
    epochs = WARM_UP + rounds
    with ExitStack() as stack:
        loops = {}
        for name, (open_keeper, needs) in KEEPERS.items():
            if needs is None or is_installed(needs):
                path = stack.enter_context(folder())
                loops[name] = Turns(by_hand(size, epochs, path, open_keeper))
        for name, record in ((PLAN_NONE, "none"), (PLAN_ALL, "all")):
            path = stack.enter_context(folder())
            loops[name] = Turns(by_plan(size, epochs, path, record))
        steps: Steps = {name: [] for name in loops}
        order = list(loops)
        shuffle = random.Random(0).shuffle
        for number in range(epochs):
            shuffle(order)
            for name in order:
                processor, started = time.process_time(), time.perf_counter()
                loops[name].take()
                clock = time.perf_counter() - started
                time.sleep(SETTLE)
                turn = (clock, loops[name].processor, time.process_time() - processor)
                if number >= WARM_UP:
                    steps[name].append(Step(*(seconds / size.steps * 1e6 for seconds in turn)))
        for turns in loops.values():
            turns.take()
    return steps


def report(size: Size, steps: Steps) -> str:
    """A Markdown table of one network."""
    heads = [
        f"{size.name}, batch {BATCH}", "a step, us", "added, %", "CPU of its thread, added, %",
        "CPU of all threads, added, %",
    ]  # fmt: skip
    lines = [heads, ["---"] * len(heads)]
    for name, turns in steps.items():
        clock = [turn.clock for turn in turns]
        line = [name, f"{digits(min(clock))} ({digits(statistics.median(clock))})"]
        for figure in Step._fields:
            low, middle, high = added(steps, name, figure)
            line.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
        lines.append(line)
    lines += [
        [name, f"not installed ({needs})", "-", "-", "-"]
        for name, (_, needs) in KEEPERS.items()
        if name not in steps
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def limits(size: Size, steps: Steps) -> list[Goal]:
    """What was aimed at, for one network."""
    scalars, everything, copies = (
        added(steps, name, "clock")[1] for name in (SCALARS, ALL, COPIES)
    )
    if size is SIZES[1]:
        return [Goal(f"{size.name}: scalars and all tensors, % of the step", 2, everything)]
    return [
        Goal(f"{size.name}: scalars, % of the step", 2.5, scalars),
        Goal(f"{size.name}: scalars and all tensors, % of the step", 6, everything),
        Goal(f"{size.name}: the same / {COPIES}", 1, everything / copies),
    ]


def main() -> None:
    """Print a table of each network, and the goals."""
    chosen = options("A training loop", rounds=9, quick=3)
    found = []
    for size in SIZES:
        if chosen.only in size.name:
            steps = measure(size, chosen.rounds)
            print(report(size, steps), end="\n\n")
            found += limits(size, steps)
    print(goals(found))


if __name__ == "__main__":
    main()
