"""Train the same spec with recording on, off and failing: the weights have to be the same."""

from __future__ import annotations

import contextlib
import hashlib
import resource
from typing import TYPE_CHECKING, Any

from specplan.plan.compile import compile_mapping
from specplan.run.state import State
from tests.run import specs
from tests.torture.figures import Row, Size
from tests.torture.tools import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.torture.tools import Tools

RECORDINGS = ("all", "none", "failing")
LARGEST_FILE = 512 << 10
"""Too small for any chunk of records, large enough for what else a run writes."""


def _regression(**changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "specplan": 1,
        "experiment": {"id": "trained"},
        "run": {"seed": 42, "threads": 1},
        "data": {
            "Set": {
                "source": {"use": "memory", "name": "set"},
                "features": ["x"],
                "targets": ["y"],
                "splits": {"use": "random", "ratios": {"train": 0.8, "test": 0.2}, "seed": 13},
            }
        },
        "graph": {
            "nodes": {"Net": specs.node(specs.MLP | {"dropout": 0.2})},
            "optimizer": dict(specs.ADAM),
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [specs.train(epochs=3), specs.evaluation()],
        "results": {"on_error": "drop"},
    }
    return spec | changes


def _after_a_fit() -> dict[str, Any]:
    scaled = {"model": {"use": "sklearn.preprocessing:StandardScaler"}, "input": "Set.x"}
    nodes = {"Scaled": scaled, "Net": specs.node(specs.MLP, "Scaled")}
    phases = [specs.fit(active=["Scaled"]), specs.train(epochs=3), specs.evaluation()]
    return _regression(graph={"nodes": nodes, "optimizer": dict(specs.ADAM)}, plan=phases)


def _two_phases() -> dict[str, Any]:
    nodes = {"Other": specs.node(specs.MLP), "Net": specs.node(specs.MLP)}
    first = specs.train(label="first", active=["Net"], epochs=1)
    phases = [first, specs.train(), specs.evaluation()]
    graph = {"nodes": nodes, "optimizer": {"use": "sgd", "lr": 0.01, "momentum": 0.9}}
    return _regression(graph=graph, plan=phases)


SPECS: dict[str, Callable[[], dict[str, Any]]] = {
    "dropout": _regression,
    "after a fit": _after_a_fit,
    "two phases": _two_phases,
}


def train(name: str, recording: str, root: Path) -> tuple[str, int]:
    """A digest of all weights after a run, and how many records were lost."""
    spec = SPECS[name]()
    for phase in spec["plan"]:
        phase["record"] = "none" if recording == "none" else "all"
    compiled = compile_mapping(spec, tables={"set": specs.regression()})
    state = State()
    with _largest_file(LARGEST_FILE if recording == "failing" else None):
        outcome = specs.run(compiled, root, state)
    digest = hashlib.blake2b()
    for label, module in sorted(state.modules().items()):
        digest.update(label.encode())
        for parameter in module.state_dict().values():
            digest.update(parameter.numpy().tobytes())
    return digest.hexdigest(), outcome.run_file.statistics["dropped"]


def compare(name: str, scratch: Path) -> str | None:
    """Why the three ways of recording did not give the same weights, if they did not."""
    trained = {recording: train(name, recording, scratch / recording) for recording in RECORDINGS}
    if len({digest for digest, _ in trained.values()}) != 1:
        return f"the weights depend on the recording: {trained}"
    lost = {recording: dropped for recording, (_, dropped) in trained.items()}
    if lost["all"] or lost["none"] or not lost["failing"]:
        return f"records were lost where none should be, or none where all should be: {lost}"
    return None


def rows(tools: Tools, size: Size, scratch: Path) -> Iterator[Row]:
    """P15: recording never changes the training."""
    del tools
    tally = Tally()
    for name in SPECS:
        tally.add(compare(name, scratch / name), name)
    command = f"python -m tests.torture training --size {size}"
    test = "equal weights with recording on, off, and failing under `drop`"
    yield Row("P15", test, tally.trials, len(tally.violations), ", ".join(SPECS), command)


@contextlib.contextmanager
def _largest_file(size: int | None) -> Iterator[None]:
    """No file of this process may grow beyond a size."""
    old, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (old if size is None else size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (old, hard))
