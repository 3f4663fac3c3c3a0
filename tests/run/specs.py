"""Small specs over tables in memory, and what tests read of the runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from specplan._native import StoreReader
from specplan.plan.canonical import write_plan
from specplan.plan.compile import compile_mapping
from specplan.plan.streams import seed_of
from specplan.run.display import Silent
from specplan.run.run import run_plan
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from specplan.plan.model import Compiled
    from specplan.run.outcome import Outcome
    from specplan.run.state import State

ADAM = {"use": "adam", "lr": 1e-3}
RANDOM = {"use": "random", "ratios": {"train": 0.8, "test": 0.2}, "seed": 13}
MLP = {"use": "mlp", "n_layers": 2, "hidden_dim": 32}


def regression(rows: int = 500, features: int = 10) -> dict[str, NDArray[Any]]:
    """A noisy function of standard normal features, in float64 as files often have it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, features))
    y = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.standard_normal(rows)
    return {"x": x, "y": y}


def images(rows: int = 200) -> dict[str, NDArray[Any]]:
    """Images of shape (1, 8, 8) and one of ten classes."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((rows, 1, 8, 8)).astype(np.float32)
    return {"x": x, "y": rng.integers(0, 10, rows)}


def train(**changes: Any) -> dict[str, Any]:
    """Two epochs over the split `train` in shuffled batches of 32."""
    sampler = {"use": "simple", "batch_size": 32, "shuffle": True, "seed": 7}
    phase = {"phase": "train", "label": "train", "split": "train", "epochs": 2}
    return phase | {"sampler": sampler, "losses": ["mse"]} | changes


def evaluation(**changes: Any) -> dict[str, Any]:
    """The split `test` at once."""
    return {"phase": "eval", "label": "eval", "split": "test", "losses": ["mse"]} | changes


def fit(**changes: Any) -> dict[str, Any]:
    """All scikit-learn nodes on the split `train`."""
    return {"phase": "fit", "label": "fit", "split": "train"} | changes


def node(model: Mapping[str, Any], source: str = "Set.x") -> dict[str, Any]:
    """A node that learns `y`."""
    return {"model": dict(model), "input": source, "target": "Set.y"}


def compiled(
    *phases: Mapping[str, Any],
    columns: Mapping[str, NDArray[Any]] | None = None,
    nodes: Mapping[str, Any] | None = None,
    optimizer: Mapping[str, Any] | None = ADAM,
    losses: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    code: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    splits: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    live: Mapping[str, Any] | None = None,
    scale: Sequence[Mapping[str, Any]] = (),
    clip: Mapping[str, float] | None = None,
) -> Compiled:
    """A graph over the columns `x` and `y`, split 80 : 20 into `train` and `test`."""
    spec = {
        "specplan": 1,
        "experiment": {"id": "tests"},
        "run": {"seed": 42, "threads": 1},
        "data": {
            "Set": {
                "source": {"use": "memory", "name": "set"},
                "features": ["x"],
                "targets": ["y"],
                "tags": list(tags),
                "splits": splits or RANDOM,
                "scale": list(scale),
            }
        },
        "graph": {"nodes": nodes or {"Net": node(MLP)}, "optimizer": optimizer, "clip": clip},
        "losses": {"mse": {"use": "mse", "node": "Net"}} if losses is None else losses,
        "metrics": metrics or {},
        "code": code or {},
        "plan": list(phases),
    }
    return compile_mapping(spec, folder=folder, tables={"set": columns or regression()}, live=live)


def run(plan: Compiled, root: Path, state: State | None = None) -> Outcome:
    """Run without a display."""
    return run_plan(plan, root=root, display=Silent(), state=state)


def rows_of(rows: int, split: str) -> NDArray[np.int64]:
    """The row numbers of a split, as numpy shuffles them."""
    order = np.arange(rows)
    np.random.default_rng(13).shuffle(order)
    return order[: rows - rows // 5] if split == "train" else order[rows - rows // 5 :]


def seeded(name: str) -> torch.Generator:
    """Seed torch's global generator as the stream `name` of a test's plan is."""
    return torch.manual_seed(seed_of(42, name))


def epoch_order(rows: int, epoch: int) -> torch.Tensor:
    """The order of the sampler of `train`."""
    return torch.from_numpy(np.random.default_rng([7, epoch]).permutation(rows))


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether all parameters are equal, bit for bit."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def metrics(outcome: Outcome) -> list[dict[str, Any]]:
    """The rows of the metrics in order: batch -1 for a whole epoch, None for no node or split."""
    reader = StoreReader.open(str(outcome.folder.records))
    tables = [
        pa.ipc.open_file(path).read_all().slice(first, rows)
        for path, first, rows in reader.metric_files()
    ]
    rows = pa.concat_tables(tables).to_pylist()
    return [{key: None if value == "" else value for key, value in row.items()} for row in rows]


def values(outcome: Outcome, phase: str, name: str, *, whole: bool = True) -> list[float]:
    """One series: its values for whole epochs, or for batches."""
    return [
        row["value"]
        for row in metrics(outcome)
        if (row["phase"], row["name"], row["batch"] == -1) == (phase, name, whole)
    ]


def killed(plan: Compiled, root: Path, at: tuple[int, int]) -> RunFolder:
    """The run that a process left which was killed at the end of a step: of an epoch, and a batch of it."""
    write_plan(plan, root / "plan.json")
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from specplan.plan.canonical import read_plan\n"
        "from specplan.run.display import Silent\n"
        "from specplan.run.hooks import Hooks, PhaseHooks\n"
        "from specplan.run.run import run_plan\n"
        "def end(epoch, batch, _registers):\n"
        f"    if (epoch, batch) == {at}:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "hooks = Hooks(inside=(lambda _phase, _context: PhaseHooks(batch_ended=(end,)),))\n"
        "run_plan(read_plan(Path('plan.json')), root=Path('killed'), display=Silent(), hooks=hooks)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=root)
    assert done.returncode == -signal.SIGKILL
    [folder] = (root / "killed/tests").iterdir()
    return RunFolder(folder)


def recorded(outcome: Outcome, phase: str, field: str) -> list[NDArray[Any]]:
    """The batches that were recorded of `field` of the first node that has it."""
    for channel in StoreReader.open(str(outcome.folder.records)).tensors():
        if (channel.phase, channel.field) == (phase, field):
            return [channel.at(position) for position in range(channel.batches)]
    return []
