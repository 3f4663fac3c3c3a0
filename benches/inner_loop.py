"""The inner loop: rows into batches, a step of a small model, and what the interpreter and checkpoints add to it.

Run: `.venv/bin/python benches/inner_loop.py [--quick] [--only ingest|batches|steps|checkpoints]`
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rounds import Column, Contender, Goal, Measured, folder, goals, interleave, options, table
from torch.utils.data import DataLoader, TensorDataset

from specplan import Experiment, FeatureSet
from specplan.plan.compile import compile_mapping
from specplan.run.batches import batches
from specplan.run.display import Silent
from specplan.run.run import run_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from specplan.plan.model import Compiled, Phase

FEATURES = 10
BATCH = 32
ROWS = 20_000
STEP_ROWS = 4_000
EPOCHS = 10

HAND = "by hand in torch"
GATHER = "specplan, gather"
PLAN_NONE, PLAN_ALL = "plan, record none", "plan, record all"
WITHOUT, WITH = "plan without checkpoints", "plan with checkpoints"


class PhaseSeconds(Silent):
    """Keeps how long the last phase took."""

    seconds = 0.0

    def phase_ended(self, phase: Phase, seconds: float, values: Any) -> None:
        """Keep the seconds."""
        self.seconds = seconds


def rows(count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Features and targets, float32."""
    generator = np.random.default_rng(0)
    features = generator.standard_normal((count, FEATURES)).astype(np.float32)
    return features, generator.standard_normal((count, 1)).astype(np.float32)


def milliseconds(call: Callable[[], object]) -> dict[str, float]:
    """How long a call takes."""
    started = time.perf_counter()
    call()
    return {"time": (time.perf_counter() - started) * 1e3}


def ingest() -> Measured:
    """A table of 20,000 rows of ten numbers, with a random split of 80 to 20."""
    features, targets = rows(ROWS)

    def ours() -> None:
        feature_set = FeatureSet.from_dict(
            label="Data",
            data={"x": features, "y": targets},
            feature_keys="x",
            target_keys="y",
        )
        feature_set.split_random(ratios={"train": 0.8, "test": 0.2}, seed=13)

    def listed() -> None:
        feature_set = FeatureSet.from_dict(
            label="Data",
            data={"x": list(features), "y": list(targets)},
            feature_keys="x",
            target_keys="y",
        )
        feature_set.split_random(ratios={"train": 0.8, "test": 0.2}, seed=13)

    def sklearn() -> None:
        from sklearn.model_selection import train_test_split

        train_test_split(features, targets, test_size=0.2, random_state=13)

    def once(call: Callable[[], None]) -> Callable[[], dict[str, float]]:
        def run() -> dict[str, float]:
            Experiment("bench", registration_policy="overwrite")
            return milliseconds(call)

        return run

    contenders = {
        "specplan, arrays": once(ours),
        "specplan, lists of rows": once(listed),
        "train_test_split of scikit-learn": once(sklearn),
    }
    return interleave([Contender(name=n, run=c) for n, c in contenders.items()], rounds=ROUNDS)


def in_memory_batches() -> Measured:
    """One epoch of shuffled batches of 32 rows."""
    features, targets = (torch.from_numpy(each) for each in rows(ROWS))
    steps = -(-ROWS // BATCH)

    def gather() -> Iterator[object]:
        order = np.random.default_rng(0).permutation(ROWS)
        return batches([features, targets], order, BATCH)

    def by_hand() -> Iterator[object]:
        order = torch.from_numpy(np.random.default_rng(0).permutation(ROWS))
        for chosen in order.split(BATCH):
            yield features[chosen], targets[chosen]

    def loader() -> Iterator[object]:
        dataset = TensorDataset(features, targets)
        return iter(DataLoader(dataset, batch_size=BATCH, shuffle=True))

    def once(make: Callable[[], Iterator[object]]) -> Callable[[], dict[str, float]]:
        def run() -> dict[str, float]:
            torch.set_num_threads(1)
            started = time.perf_counter()
            for _ in make():
                pass
            return {"batch": (time.perf_counter() - started) / steps * 1e6}

        return run

    contenders = {GATHER: gather, "features[order] by hand": by_hand, "torch's DataLoader": loader}
    return interleave(
        [Contender(name=name, run=once(make)) for name, make in contenders.items()], rounds=ROUNDS
    )


def compiled(record: str, **checkpoint: Any) -> Compiled:
    """The model of the experiment guide, trained for ten epochs."""
    features, targets = rows(STEP_ROWS)
    spec = {
        "specplan": 1,
        "experiment": {"id": "bench"},
        "run": {"seed": 42, "threads": 1, "dirty_git": "ignore"},
        "data": {
            "Data": {
                "source": {"use": "memory", "name": "Data"},
                "features": ["x"],
                "targets": ["y"],
            }
        },
        "graph": {
            "nodes": {
                "MLP": {
                    "model": {"use": "mlp", "output_shape": [1], "n_layers": 2, "hidden_dim": 32},
                    "input": "Data.x",
                    "target": "Data.y",
                }
            },
            "optimizer": {"use": "adam", "lr": 1e-3},
        },
        "losses": {"mse": {"use": "mse", "node": "MLP", "args": ["outputs", "targets"]}},
        "plan": [
            {
                "phase": "train",
                "label": "train",
                "epochs": EPOCHS,
                "losses": ["mse"],
                "record": record,
                "sampler": {"use": "simple", "batch_size": BATCH, "shuffle": True, "seed": 42},
            }
        ],
        **checkpoint,
    }
    return compile_mapping(spec, tables={"Data": {"x": features, "y": targets}})


def by_plan(plan: Compiled) -> Callable[[], dict[str, float]]:
    """Microseconds a step through the interpreter, recording included."""
    steps = plan.plan.phases[0].steps * EPOCHS

    def once() -> dict[str, float]:
        watch = PhaseSeconds()
        with folder() as root:
            run_plan(plan, root=root, display=watch)
        return {"step": watch.seconds / steps * 1e6}

    return once


def by_hand() -> dict[str, float]:
    """Microseconds a step of the best loop by hand: whole batches by index, no copy of what is not needed."""
    features, targets = (torch.from_numpy(each) for each in rows(STEP_ROWS))
    torch.set_num_threads(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 32), torch.nn.ReLU(),
        torch.nn.Linear(32, 32), torch.nn.ReLU(),
        torch.nn.Linear(32, 1),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = torch.nn.functional.mse_loss
    losses = []
    steps = 0
    started = time.perf_counter()
    for epoch in range(EPOCHS):
        order = torch.from_numpy(np.random.default_rng([42, epoch]).permutation(STEP_ROWS))
        for chosen in order.split(BATCH):
            loss = loss_of(model(features[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            steps += 1
    return {"step": (time.perf_counter() - started) / steps * 1e6}


def training_steps() -> Measured:
    """A step of the model of the experiment guide: 1,441 parameters, batches of 32."""
    contenders = {
        HAND: by_hand,
        PLAN_NONE: by_plan(compiled("none")),
        PLAN_ALL: by_plan(compiled("all")),
    }
    return interleave([Contender(name=n, run=c) for n, c in contenders.items()], rounds=ROUNDS)


def checkpoints() -> Measured:
    """The same with the checkpoints that a run makes by default, and with none."""
    contenders = {
        WITHOUT: by_plan(compiled("none", checkpoint={"save_on": [], "every_seconds": None})),
        WITH: by_plan(compiled("none")),
    }
    return interleave([Contender(name=n, run=c) for n, c in contenders.items()], rounds=ROUNDS)


def main() -> None:
    """Print a table for each section, and the goals."""
    global ROUNDS  # noqa: PLW0603 -- the one option
    chosen = options("The inner loop", rounds=7, quick=3)
    ROUNDS = chosen.rounds
    found = []
    for name, measure, column in SECTIONS:
        if chosen.only not in name:
            continue
        measured = measure()
        print(f"{measure.__doc__}\n\n{table(name, measured, [column])}\n")
        found += GOALS[name](measured)
    print(goals(found))


ROUNDS = 7
SECTIONS = [
    ("ingest", ingest, Column("time", "ms")),
    ("batches", in_memory_batches, Column("batch", "a batch, us", GATHER)),
    ("steps", training_steps, Column("step", "a step, us", HAND)),
    ("checkpoints", checkpoints, Column("step", "a step, us", WITHOUT)),
]
GOALS: dict[str, Callable[[Measured], list[Goal]]] = {
    "ingest": lambda measured: [
        Goal("ingest of 20,000 x 10 with splits, ms", 50, measured.best("specplan, arrays", "time"))
    ],
    "batches": lambda measured: [
        Goal("a batch in memory, us", 6, measured.best(GATHER, "batch")),
        Goal(
            "a batch / the DataLoader's", 0.1, measured.ratio(GATHER, "torch's DataLoader", "batch")
        ),
    ],
    "steps": lambda measured: [
        Goal("a step of a plan / by hand", 1.02, measured.ratio(PLAN_NONE, HAND, "step"))
    ],
    "checkpoints": lambda measured: [
        Goal("with checkpoints / without", 1.01, measured.ratio(WITH, WITHOUT, "step"))
    ],
}


if __name__ == "__main__":
    main()
