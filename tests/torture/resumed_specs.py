"""The specs whose runs are killed and resumed: one for each thing that a state or a position can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.run import specs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

EPOCHS = 3
OWN_MODELS = '''
import torch
from torch import nn


class Normed(nn.Module):
    """Keeps running statistics, and counts its calls in a buffer."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(10, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 1))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.calls += 1
        return self.layers(rows)


class Recurrent(nn.Module):
    """A GRU over the row as a sequence, with noise from numpy and Python as well as torch."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.gru = nn.GRU(1, width, num_layers=2, batch_first=True, dropout=0.3)
        self.last = nn.Linear(width, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        import random

        import numpy as np

        outputs, _ = self.gru(rows[:, :, None])
        found = self.last(outputs[:, -1])
        if self.training:
            found = found + 0.01 * random.random() + 0.01 * float(np.random.rand())
        return found
'''

DROPOUT = specs.MLP | {"hidden_dim": 8, "dropout": 0.2}
SMALL = specs.MLP | {"hidden_dim": 8}
SCALED = {"model": {"use": "sklearn.preprocessing:StandardScaler"}, "input": "Set.x"}


def train(**changes: Any) -> dict[str, Any]:
    """Epochs of seven steps in reshuffled batches."""
    return specs.train(epochs=EPOCHS) | changes


def spec(
    *plan: Mapping[str, Any], nodes: Mapping[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """A whole spec; without a `checkpoint` of its own one is made after every other step."""
    return {
        "specplan": 1,
        "experiment": {"id": "resumed"},
        "run": {"seed": 42, "threads": 1},
        "data": {
            "Set": {
                "source": {"use": "memory", "name": "set"},
                "features": ["x"],
                "targets": ["y"],
                "splits": specs.RANDOM,
            }
        },
        "graph": {
            "nodes": dict(nodes or {"Net": specs.node(DROPOUT)}),
            "optimizer": {"use": "adam", "lr": 0.01},
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "metrics": {"r2": {"use": "r2", "node": "Net"}},
        "plan": list(plan),
        "checkpoint": {"save_on": ["phase_end", "epoch_end"], "every_n_steps": 2, "keep": 2},
    } | changes


def _optimizer(**optimizer: Any) -> dict[str, Any]:
    nodes = {"Net": specs.node(DROPOUT)}
    return {"graph": {"nodes": nodes, "optimizer": optimizer}}


def _accumulated() -> dict[str, Any]:
    nodes = {"Net": specs.node(DROPOUT)}
    graph = {"nodes": nodes, "optimizer": {"use": "adam", "lr": 0.01}, "clip": {"norm": 0.5}}
    return spec(train(accumulate=3), specs.evaluation(), graph=graph)


def _evaluated(**changes: Any) -> dict[str, Any]:
    evaluation = {"use": "evaluation", "split": "test", "losses": ["mse"], "metrics": ["r2"]}
    return train(callbacks=[evaluation]) | changes


def _early() -> dict[str, Any]:
    stopping = {
        "use": "early_stopping",
        "monitor": "train_loss",
        "patience": 2,
        "min_delta": 0.05,
        "restore_best": True,
    }
    return spec(train(epochs=6, callbacks=[stopping]), specs.evaluation())


def _scheduled(*callbacks: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return spec(_evaluated(callbacks=[*_evaluated()["callbacks"], *callbacks], **changes))


def _plateau() -> dict[str, Any]:
    falls = {"use": "reduce_on_plateau", "monitor": "test_loss", "patience": 0, "threshold": 0.9}
    return _scheduled(falls, {"use": "learning_rate", "warmup": 3}, epochs=4)


def _merged() -> dict[str, Any]:
    nodes = {
        "Scaled": SCALED,
        "Left": {"model": SMALL | {"output_shape": [3]}, "input": "Scaled"},
        "Right": {"model": DROPOUT | {"output_shape": [2]}, "input": "Set.x"},
        "Both": {"merge": {"use": "concat", "axis": -1}, "input": ["Left", "Right"]},
        "Net": specs.node(SMALL, "Both"),
    }
    return spec(specs.fit(active=["Scaled"]), train(), specs.evaluation(), nodes=nodes)


def _frozen() -> dict[str, Any]:
    nodes = {
        "Encoder": {"model": SMALL | {"output_shape": [4]}, "input": "Set.x"},
        "Net": specs.node(DROPOUT, "Encoder"),
    }
    return spec(
        train(label="whole", epochs=1),
        train(label="head", active=["Net"], epochs=2),
        train(label="again", epochs=1),
        nodes=nodes,
    )


def _stacked() -> dict[str, Any]:
    forest = {"use": "sklearn.ensemble:RandomForestRegressor", "n_estimators": 3, "max_depth": 3}
    nodes = {"Forest": specs.node(forest), "Net": specs.node(DROPOUT, "Scaled"), "Scaled": SCALED}
    return spec(
        specs.fit(active=["Forest", "Scaled"]),
        train(active=["Net"]),
        specs.evaluation(),
        nodes=nodes,
    )


def _group(**repeated: Any) -> dict[str, Any]:
    inner = [train(epochs=2), {**specs.evaluation(), "split": "test"}]
    return {"group": "group", **repeated, "do": inner}


def _folds() -> dict[str, Any]:
    inner = [train(epochs=2), {**specs.evaluation(), "split": "val"}]
    folds = {"group": "cv", "for_each": {"use": "folds", "n": 2, "seed": 3}, "do": inner}
    return spec(train(label="before", epochs=1), folds, specs.evaluation(label="after"))


def _own(model: str) -> dict[str, Any]:
    node = specs.node({"use": f"./models.py:{model}"}) | {"output_shape": [1]}
    return spec(_evaluated(), specs.evaluation(), nodes={"Net": node})


def _cnn() -> dict[str, Any]:
    model = {"use": "cnn", "n_layers": 2, "hidden_dim": 4, "dropout": 0.1, "output_shape": [10]}
    return spec(
        train(losses=["ce"]),
        nodes={"Net": specs.node(model)},
        losses={"ce": {"use": "cross_entropy", "node": "Net"}},
        metrics={},
    )


def _sampler(**changes: Any) -> dict[str, Any]:
    sampler = {"use": "simple", "batch_size": 32, "seed": 7} | changes
    return spec(train(sampler=sampler), specs.evaluation(batch_size=16))


SPECS: dict[str, Callable[[], dict[str, Any]]] = {
    "dropout": lambda: spec(train(), specs.evaluation()),
    "evaluation": lambda: spec(_evaluated(), specs.evaluation()),
    "early stopping": _early,
    "batch norm": lambda: _own("Normed"),
    "GRU and three generators": lambda: _own("Recurrent"),
    "CNN": _cnn,
    "nodes that merge": _merged,
    "frozen phases": _frozen,
    "fit and train": _stacked,
    "folds": _folds,
    "seeds": lambda: spec(_group(for_each={"use": "seeds", "n": 2})),
    "repeat until": lambda: spec(_group(repeat={"max": 3, "until": "eval/mse < 0.5"})),
    "last epoch recorded": lambda: spec(train(record="last"), specs.evaluation()),
    "one order for all epochs": lambda: _sampler(shuffle=True, reshuffle=False),
    "no order": lambda: _sampler(shuffle=False, drop_last=True),
    "SGD with momentum": lambda: spec(train(), **_optimizer(use="sgd", lr=0.01, momentum=0.9)),
    "accumulation and clipping": _accumulated,
    "one cycle": lambda: _scheduled({"use": "learning_rate", "schedule": "one_cycle"}),
    "plateau": _plateau,
    "AdamW with amsgrad": lambda: spec(train(), **_optimizer(use="adamw", amsgrad=True)),
    "RMSprop": lambda: spec(train(), **_optimizer(use="rmsprop", lr=0.001)),
    "every step": lambda: spec(
        train(epochs=2), specs.evaluation(), checkpoint={"every_n_steps": 1, "save_on": []}
    ),
    "no checkpoint of its own": lambda: spec(_evaluated(), checkpoint={"save_on": []}),
}


def columns(name: str) -> dict[str, NDArray[np.float64]]:
    """The table of a spec."""
    return specs.images(200) if name == "CNN" else specs.regression(rows=250)
