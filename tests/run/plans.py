"""Plans built by hand, so that tests of the runtime do not depend on the compiler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.plan.memory import read_memory_header
from specplan.plan.model import (
    Argument,
    Column,
    Compiled,
    Component,
    Data,
    Eval,
    Experiment,
    Graph,
    Node,
    Numerics,
    Objective,
    Phase,
    Plan,
    Read,
    Record,
    Sampler,
    Source,
    Train,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ROWS = 500
FEATURES = 10


def regression_columns(rows: int = ROWS, features: int = FEATURES) -> dict[str, NDArray[Any]]:
    """A noisy non-linear function of standard normal features, in float64 as files often have it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, features))
    y = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.standard_normal(rows)
    return {"x": x, "y": y}


def image_columns(rows: int = 200) -> dict[str, NDArray[Any]]:
    """Images of shape (1, 8, 8) and one of ten classes."""
    rng = np.random.default_rng(1)
    return {
        "x": rng.standard_normal((rows, 1, 8, 8)).astype(np.float32),
        "y": rng.integers(0, 10, rows),
    }


def read(column: str, dtype: str, shape: tuple[int, ...]) -> Read:
    """A reference to one column of the FeatureSet `Set`."""
    return Read(value=f"Set.{column}", columns=(column,), dtype=dtype, shape=shape)


def mlp_node(*, source: Read | None = None, **arguments: Any) -> Node:
    """An mlp from `x` to `y`."""
    component = {
        "output_shape": [1],
        "n_layers": 2,
        "hidden_dim": 32,
        "activation": "relu",
        "dropout": 0.0,
    }
    return Node(
        backend="torch",
        component=Component(use="mlp", args=component | arguments),
        inputs=(source or read("x", "float32", (FEATURES,)),),
        target=read("y", "float64", ()),
        dtype="float32",
        shape=(1,),
    )


def objective(
    use: str,
    *,
    node: str = "Net",
    label: str | None = None,
    outputs: tuple[str, tuple[int, ...]] = ("float32", (1,)),
    targets: tuple[str, tuple[int, ...]] = ("float32", (1,)),
    weight: float = 1.0,
    **arguments: Any,
) -> Objective:
    """A loss or metric of the outputs and targets of one node."""
    return Objective(
        label=label or use,
        component=Component(use=use, args=arguments),
        node=node,
        arguments=(
            Argument(node=node, field="outputs", dtype=outputs[0], shape=outputs[1]),
            Argument(node=node, field="targets", dtype=targets[0], shape=targets[1]),
        ),
        weight=weight,
    )


SGD = Component(
    use="sgd",
    args={"lr": 0.01, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False},
)
ADAM = Component(
    use="adam",
    args={"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False},
)
NET_RECORDS = (
    Record(node="Set", field="sample_id", dtype="int64", shape=()),
    Record(node="Net", field="outputs", dtype="float32", shape=(1,)),
    Record(node="Net", field="targets", dtype="float64", shape=()),
)


def train_phase(**changes: Any) -> Train:
    """Two epochs over the split `train` in batches of 32."""
    arguments: dict[str, Any] = {
        "path": "train",
        "data": "Set",
        "split": "train",
        "rows": 400,
        "nodes": ("Net",),
        "steps": 13,
        "losses": (objective("mse"),),
        "record": "all",
        "records": NET_RECORDS,
        "epochs": 2,
        "sampler": sampler(32),
        "trainable": ("Net",),
        "optimizer": ADAM,
    }
    return Train(**(arguments | changes))


def eval_phase(**changes: Any) -> Eval:
    """The split `test` at once."""
    arguments: dict[str, Any] = {
        "path": "eval",
        "data": "Set",
        "split": "test",
        "rows": 100,
        "nodes": ("Net",),
        "steps": 1,
        "losses": (objective("mse"),),
        "record": "all",
        "records": NET_RECORDS,
    }
    return Eval(**(arguments | changes))


def sampler(batch_size: int, *, shuffle: bool = True, drop_last: bool = False) -> Sampler:
    """The simple sampler with seed 7."""
    arguments = {
        "batch_size": batch_size,
        "shuffle": shuffle,
        "drop_last": drop_last,
        "seed": 7,
        "reshuffle": True,
    }
    return Sampler(component=Component(use="simple", args=arguments), seed=7)


def compiled(
    phases: Sequence[Phase],
    *,
    columns: Mapping[str, NDArray[Any]] | None = None,
    nodes: Mapping[str, Node] | None = None,
    seed: int = 42,
) -> Compiled:
    """A plan over a memory table, split 80 : 20 into `train` and `test`."""
    columns = regression_columns() if columns is None else columns
    rows = len(columns["x"])
    test = rows // 5
    data = Data(
        source=Source(use="memory", name="set", digest=read_memory_header(columns).digest),
        rows=rows,
        columns={
            name: Column(
                domain="targets" if name == "y" else "features",
                dtype=values.dtype.name,
                shape=values.shape[1:],
            )
            for name, values in columns.items()
        },
        splitter=Component(use="random", args={"ratios": {"test": 0.2, "train": 0.8}, "seed": 13}),
        splits={"test": test, "train": rows - test},
    )
    nodes = {"Net": mlp_node()} if nodes is None else nodes
    plan = Plan(
        id="b3:0",
        experiment=Experiment(id="tests"),
        numerics=Numerics(seed=seed, threads=1, deterministic=True),
        data={"Set": data},
        graph=Graph(nodes=dict(nodes), order=tuple(nodes), optimizer=ADAM),
        phases=tuple(phases),
    )
    return Compiled(plan=plan, folder=Path(), tables={"set": columns})
