"""The bill against what runs take. `UPDATE_GOLDEN=1 pytest tests/plan/test_cost.py` writes the text anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from specplan.base.amounts import count, decimal, size
from specplan.plan.compile import compile_mapping, compile_path
from specplan.plan.cost import Cost, cost, space_warning
from specplan.plan.cost_text import cost_text
from specplan.plan.recorded_bytes import STORE_FILES
from specplan.run.display import Silent
from specplan.run.run import run_plan

if TYPE_CHECKING:
    from specplan.plan.model import Compiled
    from specplan.run.outcome import Outcome

GOLDEN = Path(__file__).parent.parent / "golden/cost"
ROWS = 600
RANDOM = np.random.default_rng(0)
TABLE: dict[str, Any] = {
    "curve": RANDOM.normal(size=(ROWS, 10)).astype(np.float32),
    "series": RANDOM.normal(size=(ROWS, 3, 20)).astype(np.float32),
    "image": RANDOM.normal(size=(ROWS, 1, 12, 9)).astype(np.float32),
    "target": RANDOM.normal(size=ROWS),
    "wide": RANDOM.normal(size=(ROWS, 40)),
    "kind": RANDOM.integers(0, 3, ROWS),
}


def node(use: str, source: str | list[str], target: str | None = None, **model: Any) -> Any:
    described = {"model": {"use": use, **model}, "input": source}
    return described if target is None else {**described, "target": f"S.{target}"}


def train(losses: list[str], *, batch: int = 32, **changes: Any) -> dict[str, Any]:
    sampler = {"use": "simple", "batch_size": batch, "shuffle": True}
    phase = {"phase": "train", "label": "train", "split": "train", "epochs": 2, "losses": losses}
    return {**phase, "sampler": sampler, **changes}


def compiled_of(
    nodes: dict[str, Any],
    losses: dict[str, Any],
    *phases: Any,
    more: dict[str, Any] | None = None,
    **changes: Any,
) -> Compiled:
    features = ["curve", "series", "image"]
    targets = ["target", "wide", "kind"]
    splits = {"use": "random", "ratios": {"train": 0.75, "test": 0.25}}
    tables = {"S": TABLE, **(more or {})}
    spec: dict[str, Any] = {
        "experiment": {"id": "cost"},
        "run": {"threads": 1},
        "data": {
            label: {
                "source": {"use": "memory", "name": label},
                "features": features,
                "targets": targets,
                "splits": splits,
            }
            for label in tables
        },
        "graph": {"nodes": nodes, "optimizer": {"use": "adam"}},
        "losses": losses,
        "plan": list(phases),
        **changes,
    }
    return compile_mapping(spec, tables=tables)


MSE = {"use": "mse", "node": "Net"}
NET = {"Net": node("mlp", "S.curve", "target", hidden_dim=24)}
EVALUATION = {"use": "evaluation", "split": "test", "losses": ["mse"], "every_n_epochs": 2}
TEST = {"phase": "eval", "label": "test", "split": "test", "losses": ["mse"], "batch_size": 50}


def mlp() -> Compiled:
    """Batches that do not fill the split, evaluation between epochs, another split after them."""
    phase = train(["mse"], epochs=5, batch=32, callbacks=[EVALUATION])
    return compiled_of(NET, {"mse": MSE}, phase, TEST)


def drop_last() -> Compiled:
    """A last batch that is left out; a target of several elements; no hidden layer."""
    nodes = {"Net": node("mlp", "S.series", "wide", n_layers=0)}
    phase = train(["mse"], sampler={"use": "simple", "batch_size": 64, "drop_last": True})
    return compiled_of(nodes, {"mse": MSE}, phase, TEST)


def convolutions() -> Compiled:
    """One and two dimensions, strides, pooling, dropout, classes."""
    nodes = {
        "Net": node("cnn", "S.series", "target", stride=2, hidden_dim=5, dropout=0.2),
        "Classes": node("cnn", "S.image", "kind", output_shape=[3], pooling=2, kernel_size=2),
        "Features": node("cnn", "S.curve", flatten_output=False),
        "Late": node("temporal_cnn", "Features", "target", n_layers=3, dropout=0.1),
    }
    losses = {
        "mse": MSE,
        "ce": {"use": "cross_entropy", "node": "Classes", "weight": 0.5},
        "late": {"use": "mse", "node": "Late"},
    }
    return compiled_of(nodes, losses, train(["mse", "ce", "late"], record="last"), TEST)


def several() -> Compiled:
    """Encoders, one of them frozen in the second phase, a merge, an estimator that a gradient does not cross."""
    nodes = {
        "One": node("mlp", "S.curve", output_shape=[4]),
        "Two": node("mlp", "S.series", output_shape=[6], activation="tanh"),
        "Scaled": node("sklearn.preprocessing:StandardScaler", "S.curve"),
        "Fuse": {"merge": {"use": "concat"}, "input": ["One", "Two", "Scaled"]},
        "Forest": node("sklearn.tree:DecisionTreeRegressor", "Fuse", "target", max_depth=2),
        "Net": node("mlp", "Fuse", "target"),
        "Late": node("mlp", "Forest", "target", hidden_dim=8),
    }
    losses = {"mse": MSE, "late": {"use": "mse", "node": "Late"}}
    return compiled_of(
        nodes,
        losses,
        {"phase": "fit", "label": "fit", "split": "train", "active": ["Scaled", "Forest"]},
        train(["mse"], label="all", batch=50, record="none"),
        train(["mse"], label="some", active=["One", "Net"], batch=50),
        train(["mse"], label="first", active=["Two"], batch=50),
        train(["late"], label="late", batch=50),
        TEST,
    )


def accumulating() -> Compiled:
    """Gradients of several batches, limited; rates in one cycle; recorded outputs of every node; two evaluations."""
    nodes = {
        "Encoder": node("temporal_cnn", "S.series", output_shape=[3]),
        "Net": node("mlp", "Encoder", "target"),
    }
    again = {**EVALUATION, "as": "again", "split": "train", "run_on_start": True, "batch_size": 70}
    callbacks = [EVALUATION, again, {"use": "learning_rate", "schedule": "one_cycle"}]
    phase = train(["mse"], epochs=3, accumulate=4, record_nodes="all", callbacks=callbacks)
    graph = {"nodes": nodes, "optimizer": {"use": "adamw"}, "clip": {"norm": 1.0}}
    return compiled_of(nodes, {"mse": MSE}, phase, TEST, graph=graph)


def apart() -> Compiled:
    """Nodes with optimizers of their own, between which no gradient passes."""
    nodes = {
        "Early": {**node("mlp", "S.curve", "target"), "optimizer": {"use": "adam"}},
        "Net": {**node("mlp", "Early", "target"), "optimizer": {"use": "sgd"}},
    }
    losses = {"mse": MSE, "early": {"use": "mse", "node": "Early"}}
    return compiled_of(nodes, losses, train(["mse", "early"]), TEST, graph={"nodes": nodes})


def roles() -> Compiled:
    """Tuples of rows, once with a loss that looks at one row of each, and a loss of two nodes."""
    nodes = {
        "Encoder": node("cnn", "S.series", output_shape=[3]),
        "Net": node("mlp", "S.curve", "target"),
        "Other": node("mlp", "S.curve", "target", hidden_dim=9),
    }
    arguments = ["outputs.anchor", "outputs.positive", "outputs.negative"]
    losses = {
        "near": {"use": "triplet_margin", "node": "Encoder", "args": arguments},
        "one": {**MSE, "args": ["outputs.anchor", "targets.anchor"]},
        "alike": {**MSE, "args": ["outputs.anchor", "Other.outputs.positive"]},
    }
    sampler = {
        "use": "triplet",
        "batch_size": 96,
        "pos_conditions": {"kind": {"mode": "similar", "weight_mode": "linear"}},
        "neg_conditions": {"kind": {"mode": "dissimilar"}},
        "max_samples_per_anchor": 2,
    }
    phases = [train([label], label=label, sampler=sampler, accumulate=3) for label in losses]
    return compiled_of(nodes, losses, *phases)


def feeds() -> Compiled:
    """Two FeatureSets of other sizes, in batches of other sizes, in folds of both, again and again."""
    nodes = {
        "Net": node("mlp", "S.curve", "target"),
        "Other": {**node("mlp", "T.curve", hidden_dim=7), "target": "T.target"},
    }
    inputs = [
        {"node": label, "split": "train", "sampler": {"use": "simple", "batch_size": size}}
        for label, size in (("Net", 32), ("Other", 20))
    ]
    phases: list[Any] = [
        {"phase": "train", "label": schedule, "inputs": inputs, "batch_schedule": schedule}
        | {"losses": ["mse", "other"], "epochs": 1}
        for schedule in ("zip_strict", "zip_cycle", "alternate_strict", "alternate_cycle")
    ]
    judge = {"phase": "eval", "label": "judge", "split": "val", "losses": ["other"]}
    also = {"T": {"of": ["train", "test"]}}
    folds = {"use": "folds", "data": "S", "n": 2, "of": ["train", "test"], "also": also}
    return compiled_of(
        nodes,
        {"mse": MSE, "other": {"use": "mse", "node": "Other"}},
        {"group": "folds", "for_each": folds, "do": [*phases[1:3], judge]},
        {"group": "seeds", "for_each": {"use": "seeds", "n": 2}, "do": phases[::3]},
        {"group": "twice", "repeat": {"max": 2}, "do": [phases[0], TEST]},
        more={"T": {name: column[:233] for name, column in TABLE.items()}},
    )


SPECS = [mlp, drop_last, convolutions, several, accumulating, apart, roles, feeds]


@pytest.fixture(scope="module", params=SPECS, ids=[spec.__name__ for spec in SPECS])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bill, its run, and the operations that torch counted in it."""
    compiled = request.param()
    with FlopCounterMode(display=False) as counter:
        outcome = run_plan(compiled, root=tmp_path_factory.mktemp("runs"), display=Silent())
    return cost(compiled.plan), outcome, counter.get_total_flops()


@pytest.mark.slow
def test_operations_are_those_that_torch_counts(ran: tuple[Cost, Outcome, int]) -> None:
    bill, _, counted = ran
    assert bill.flops == counted


@pytest.mark.slow
def test_parameters_are_those_of_the_modules(ran: tuple[Cost, Outcome, int]) -> None:
    bill, outcome, _ = ran
    modules = outcome.state.modules().values()
    found = sum(value.numel() for module in modules for value in module.parameters())
    assert bill.parameters == found


def used(folder: Path) -> Counter[str]:
    """Blocks on the disk by kind of file."""
    found: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        kind, *names = path.relative_to(folder).parts
        if kind == "records":
            kind = "store" if len(names) == 1 else "tensors"
            if names[0] == "metrics":
                kind = "metrics"
            elif names[-1].startswith("index"):
                kind = "index"
        found[kind] += path.stat().st_blocks * 512
    return found


@pytest.mark.slow
def test_records_take_what_the_bill_says(ran: tuple[Cost, Outcome, int]) -> None:
    bill, outcome, _ = ran
    found = used(outcome.folder.path)
    for kind in ("tensors", "index", "metrics"):
        said = sum(getattr(phase.recorded, kind) for phase in bill.phases)
        assert said == pytest.approx(found[kind], rel=0.02), kind
    assert found["store"] == STORE_FILES
    records = sum(found[kind] for kind in ("tensors", "index", "metrics", "store"))
    assert bill.records == pytest.approx(records, rel=0.02)
    assert found["tables"] <= bill.tables <= 8 * found["tables"]
    logged = {phase.path: phase for phase in bill.phases}
    assert logged.keys() == {phase.path for phase in outcome.run_file.phases}


@pytest.mark.slow
def test_large_records(tmp_path: Path) -> None:
    """Several chunks, a last one that is mostly used and one that is not, labels that are too long for views."""
    nodes = {"A_net_with_a_long_label": node("mlp", "S.curve", "wide", hidden_dim=4, n_layers=1)}
    losses = {"mean_squared_error": {"use": "mse", "node": "A_net_with_a_long_label"}}
    phases = [
        train(["mean_squared_error"], label=label, epochs=epochs, batch=batch)
        for label, epochs, batch in (("train_it", 40, 7), ("train_it_once_more", 12, 450))
    ]
    compiled = compiled_of(nodes, losses, *phases)
    outcome = run_plan(compiled, root=tmp_path, display=Silent())
    found = used(outcome.folder.path)
    records = sum(found[kind] for kind in ("tensors", "index", "metrics", "store"))
    assert found["tensors"] > 4 << 20
    assert cost(compiled.plan).records == pytest.approx(records, rel=0.01)
    assert len(list(outcome.folder.records.rglob("chunk-000001.arrow"))) > 1


def test_text(folder: Path) -> None:
    text = cost_text(cost(compile_path(folder / "spec.yaml").plan))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / "cells.txt").write_text(text, encoding="utf-8")
    assert text == (GOLDEN / "cells.txt").read_text(encoding="utf-8")


def test_a_phase_that_may_end_early_is_counted_whole() -> None:
    stopping = {"use": "early_stopping", "monitor": "train_loss", "patience": 1}
    [may, _] = cost(_two_phases([stopping])).phases
    [may_not, _] = cost(_two_phases([])).phases
    assert may.may_end_early == ("early stopping on train_loss may end it sooner",)
    assert (may.steps, may.flops) == (may_not.steps, may_not.flops)


def _two_phases(callbacks: list[Any]) -> Any:
    phase = train(["mse"], callbacks=callbacks, record="none")
    return compiled_of(NET, {"mse": MSE}, phase, TEST).plan


def test_the_rest_of_memory_follows_the_optimizer() -> None:
    """Weights and gradients take 4 bytes, an optimizer as many for each number that it keeps."""
    kept = {
        "sgd": 0, "sgd momentum": 1, "adam": 2, "adamw amsgrad": 3, "rmsprop": 1,
        "rmsprop centered momentum": 3,
    }  # fmt: skip
    for words, numbers in kept.items():
        use, *options = words.split()
        changes = {option: 0.9 if option == "momentum" else True for option in options}
        graph = {"nodes": NET, "optimizer": {"use": use, **changes}}
        phases = [train(["mse"]), TEST]
        plan = compiled_of(NET, {"mse": MSE}, plan=phases, graph=graph).plan
        for phase in cost(plan).phases:
            memory, weights = phase.memory, 4 * (plan.graph.nodes["Net"].parameters or 0)
            assert (memory.parameters, memory.gradients) == (weights, weights)
            assert memory.optimizer == numbers * weights, words


MEASURED = """
import sys
from pathlib import Path
from specplan.run.display import Silent
from specplan.run.run import run_plan
from tests.plan.test_cost import peak_spec


def kibibytes(key):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(key + ":")[2].split()[0])


name, folder = sys.argv[1:]
run_plan(peak_spec(name, small=True), root=Path(folder), display=Silent())
compiled = peak_spec(name)
# Compiling looked at all of the table: the peak is counted from here.
Path("/proc/self/clear_refs").write_text("5")
before = kibibytes("VmRSS")
run_plan(compiled, root=Path(folder), display=Silent())
print((kibibytes("VmHWM") - before) * 1024)
"""


def peak_spec(name: str, *, small: bool = False) -> Compiled:
    """Plans of which one part of memory takes most: the data, the weights, or what a batch leaves behind."""
    rows, width, hidden, batch = {
        "data": (300_000, 64, 8, 4096),
        "weights": (128, 64, 1500, 64),
        "activations": (8192, 64, 512, 8192),
    }[name]
    if small:
        rows, hidden, batch = 512, 8, 64
    x = np.ones((rows, width), np.float32)
    spec: dict[str, Any] = {
        "data": {"S": {"source": {"use": "memory", "name": "S"}, "features": ["x"], "targets": ["y"]}},
        "graph": {
            "nodes": {"Net": {
                "model": {"use": "mlp", "hidden_dim": hidden, "n_layers": 4},
                "input": "S.x", "target": "S.y",
            }},
            "optimizer": {"use": "adam"},
        },
        "losses": {"mse": MSE},
        "plan": [train(["mse"], split=None, batch=batch, epochs=1, record="none")],
    }  # fmt: skip
    del spec["plan"][0]["split"]
    return compile_mapping(spec, tables={"S": {"x": x, "y": np.ones(rows, np.float32)}})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data", "weights", "activations"])
def test_memory_is_within_a_factor_of_two(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURED, name, str(tmp_path)]
    measured = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    compiled = peak_spec(name)
    tables = sum(column.nbytes for column in compiled.tables["S"].values())
    # The arrays are there before the run, and were counted before it.
    said = cost(compiled.plan).peak_memory - tables
    assert said / 2 < measured < said * 2


def test_too_little_room(tmp_path: Path) -> None:
    compiled = compiled_of(NET, {"mse": MSE}, train(["mse"], epochs=10**12), TEST)
    found = space_warning(compiled, tmp_path / "not/there")
    assert found is not None
    assert (found.code, found.severity) == ("SP802", "warning")
    words = r"recording needs about 22\.4 PiB and tables up to 14\.5 PiB, [0-9.]+ .iB are free in "
    assert re.fullmatch(words + f"`{tmp_path}/not/there`", found.message)
    assert found.hint == (
        "most of it is of phase `train`; `record: last` or `record: none` takes less"
    )
    assert str(found.origin) == "plan[0]"
    assert space_warning(mlp(), tmp_path) is None


@pytest.mark.parametrize(
    ("number", "bytes_", "decimals"),
    [
        (0, "0 B", "0"),
        (1023, "1023 B", "1.0 k"),
        (1024, "1.0 KiB", "1.0 k"),
        (1024**2 - 1, "1.0 MiB", "1.0 M"),
        (999, "999 B", "999"),
        (1024**7, "1024.0 EiB", "1180.6 E"),
    ],
)
def test_amounts(number: int, bytes_: str, decimals: str) -> None:
    assert (size(number), decimal(number)) == (bytes_, decimals)


def test_counts() -> None:
    assert (count(1, "row"), count(1200, "row")) == ("1 row", "1,200 rows")
