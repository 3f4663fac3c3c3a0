"""The specs whose runs are killed and resumed: one for each thing that a state or a position can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.run import specs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

EPOCHS = 3
OWN_MODELS = '''
import torch
from torch import nn

import specplan


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


class Counting(specplan.Callback):
    """Gives what only one that has seen every batch can give."""

    def __init__(self, factor: float = 0.5) -> None:
        super().__init__()
        self.factor, self.seen, self.ends = factor, 0.0, []

    def on_batch_end(self, exec_ctx):
        self.seen = self.factor * self.seen + exec_ctx.batch_idx + 1

    def on_epoch_end(self):
        self.ends.append(self.seen)
        return specplan.MetricResult("seen", sum(self.ends))

    def state_dict(self):
        return {"seen": self.seen, "ends": self.ends}

    def load_state_dict(self, state):
        self.seen, self.ends = state["seen"], list(state["ends"])


class Balanced(nn.Module):
    """A loss that keeps what it has seen in a buffer."""

    def __init__(self, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum

    def forward(self, outputs, targets):
        return ((outputs - targets).abs() ** (1 + self.momentum)).mean()

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


TAGGED = {
    "source": {"use": "memory", "name": "set"},
    "features": ["x"],
    "targets": ["y"],
    "tags": ["k"],
    "splits": specs.RANDOM,
}


def _in_roles(losses: dict[str, Any], **sampler: Any) -> dict[str, Any]:
    phase = train(
        sampler={"batch_size": 32, "shuffle": True, "seed": 7, **sampler}, losses=["near"]
    )
    near = {"node": "Net", **losses}
    return spec(phase, data={"Set": TAGGED}, losses={"near": near}, metrics={})


def _paired() -> dict[str, Any]:
    losses = {"use": "mse", "args": ["outputs.anchor", "outputs.positive"]}
    return _in_roles(losses, use="paired", conditions={"k": {}})


def _triplets() -> dict[str, Any]:
    roles = ("anchor", "positive", "negative")
    losses = {"use": "triplet_margin", "args": [f"outputs.{role}" for role in roles]}
    pair = {"pos_conditions": {"k": {}}, "neg_conditions": {"k": {"mode": "dissimilar"}}}
    return _in_roles(losses, use="triplet", **pair)


def _learning_in_batches() -> dict[str, Any]:
    linear = {"use": "sklearn.linear_model:SGDRegressor", "random_state": 3}
    adam = {"optimizer": {"use": "adam", "lr": 0.01}}
    nodes = {"Deep": {**specs.node(DROPOUT), **adam}, "Net": specs.node(linear)}
    losses = {"mse": {"use": "mse", "node": "Net"}, "deep": {"use": "mse", "node": "Deep"}}
    phase = train(losses=["mse", "deep"])
    return spec(phase, specs.evaluation(), graph={"nodes": nodes}, losses=losses)


def _taking_turns() -> dict[str, Any]:
    simple = {"use": "simple", "shuffle": True}
    reads = {"split": "train"}
    inputs = [
        {**reads, "node": "Net", "sampler": {**simple, "batch_size": 32}},
        {**reads, "node": "Other", "sampler": {**simple, "batch_size": 50}},
    ]
    phase = train(inputs=inputs, batch_schedule="alternate_cycle", losses=["mse", "other"])
    del phase["sampler"], phase["split"]
    nodes = {"Net": specs.node(DROPOUT), "Other": specs.node(SMALL)}
    losses = {"mse": {"use": "mse", "node": "Net"}, "other": {"use": "mse", "node": "Other"}}
    return spec(phase, nodes=nodes, losses=losses)


def _nested() -> dict[str, Any]:
    inner = [train(epochs=1), {**specs.evaluation(), "split": "val"}]
    folds = {"group": "cv", "for_each": {"use": "folds", "n": 2, "seed": 3}, "do": inner}
    repeated = {"group": "again", "repeat": {"max": 2}, "do": [folds]}
    return spec({"group": "seeds", "for_each": {"use": "seeds", "n": 2}, "do": [repeated]})


def _called() -> dict[str, Any]:
    counting = {"use": "./models.py:Counting", "factor": 0.25}
    return spec(_evaluated(callbacks=[*_evaluated()["callbacks"], counting]), specs.evaluation())


def _stopped_folds() -> dict[str, Any]:
    stopping = {"use": "early_stopping", "monitor": "test_loss", "patience": 1, "min_delta": 0.05}
    falls = {"use": "reduce_on_plateau", "monitor": "test_loss", "patience": 0, "threshold": 0.9}
    callbacks = [*_evaluated()["callbacks"], stopping | {"restore_best": True}, falls]
    inner = [train(epochs=4, callbacks=callbacks), {**specs.evaluation(), "split": "val"}]
    folds = {"use": "folds", "n": 3, "seed": 3}
    return spec({"group": "cv", "for_each": folds, "do": inner}, specs.evaluation(label="after"))


def _accumulated_pairs() -> dict[str, Any]:
    pairs = _paired()
    pairs["plan"][0] |= {"accumulate": 3, "record": "last"}
    nodes = {"Net": specs.node(DROPOUT)}
    graph = {"nodes": nodes, "optimizer": {"use": "adam", "lr": 0.01}, "clip": {"value": 0.1}}
    return pairs | {"graph": graph}


def _fitted_then_both() -> dict[str, Any]:
    """An estimator that learns in batches reads what a scaler gives, beside a network with one_cycle."""
    linear = {"use": "sklearn.linear_model:SGDRegressor", "random_state": 3}
    adam = {"optimizer": {"use": "sgd", "lr": 0.01, "momentum": 0.9}}
    nodes = {
        "Scaled": SCALED,
        "Deep": {**specs.node(DROPOUT, "Scaled"), **adam},
        "Net": specs.node(linear, "Scaled"),
    }
    losses = {"mse": {"use": "mse", "node": "Net"}, "deep": {"use": "mse", "node": "Deep"}}
    cycle = {"use": "learning_rate", "schedule": "one_cycle", "cycle_momentum": True}
    phase = train(active=["Deep", "Net"], losses=["mse", "deep"], callbacks=[cycle])
    plan = (specs.fit(active=["Scaled"]), phase, specs.evaluation())
    return spec(*plan, graph={"nodes": nodes}, losses=losses)


def _conditions_in_groups() -> dict[str, Any]:
    tried = train(label="more", epochs=1, when="val/mse > 0.01")
    never = train(label="never", epochs=1, when="val/mse < 0")
    inner = [train(epochs=1), specs.evaluation(label="val"), tried, never]
    passes = {"group": "tune", "repeat": {"max": 3, "until": "val/mse < 0.3"}, "do": inner}
    return spec(
        {"group": "seeds", "for_each": {"use": "seeds", "n": 2}, "do": [passes]},
        specs.evaluation(label="after"),
    )


def _momentum() -> dict[str, Any]:
    cycle = {
        "use": "learning_rate",
        "schedule": "one_cycle",
        "cycle_momentum": True,
        "anneal_strategy": "linear",
    }
    phase = _evaluated(accumulate=2, callbacks=[*_evaluated()["callbacks"], cycle])
    return spec(phase, **_optimizer(use="sgd", lr=0.05, momentum=0.9, nesterov=True))


def _all_own() -> dict[str, Any]:
    counting = {"use": "./models.py:Counting"}
    evaluation = {"use": "evaluation", "split": "test", "losses": ["mse"], "every_n_epochs": 2}
    phase = train(epochs=4)
    phase["callbacks"] = [counting, evaluation | {"run_on_start": True}]
    node = specs.node({"use": "./models.py:Normed"}) | {"output_shape": [1]}
    losses = {"mse": {"use": "./models.py:Balanced", "momentum": 0.5, "node": "Net"}}
    return spec(phase, specs.evaluation(), nodes={"Net": node}, losses=losses, metrics={})


def _thawed() -> dict[str, Any]:
    nodes = {
        "Encoder": {"model": DROPOUT | {"output_shape": [4]}, "input": "Set.x", "frozen": True},
        "Net": specs.node(SMALL, "Encoder"),
    }
    return spec(
        train(label="head", epochs=2),
        train(label="whole", active=["Encoder", "Net"], epochs=2),
        train(label="again", epochs=1, accumulate=2),
        nodes=nodes,
    )


def _two_optimizers() -> dict[str, Any]:
    adam, sgd = {"use": "adamw", "lr": 0.01}, {"use": "sgd", "lr": 0.01, "momentum": 0.8}
    nodes = {
        "Left": {**specs.node(DROPOUT), "optimizer": adam, "clip": {"norm": 0.3}},
        "Net": {**specs.node(SMALL, "Left"), "optimizer": sgd},
    }
    nodes["Left"]["model"] = DROPOUT | {"output_shape": [1]}
    losses = {"mse": {"use": "mse", "node": "Net"}, "left": {"use": "mse", "node": "Left"}}
    return spec(
        train(losses=["mse", "left"], accumulate=2),
        specs.evaluation(),
        graph={"nodes": nodes},
        losses=losses,
    )


def _strict_turns() -> dict[str, Any]:
    turns = _taking_turns()
    turns["plan"][0] |= {"batch_schedule": "zip_cycle", "accumulate": 2, "record": "none"}
    return turns


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
    "pairs": _paired,
    "triplets": _triplets,
    "partial_fit": _learning_in_batches,
    "inputs that take turns": _taking_turns,
    "groups in groups": _nested,
    "callback of the user": _called,
    "folds that stop": _stopped_folds,
    "accumulated pairs": _accumulated_pairs,
    "partial_fit beside one cycle": _fitted_then_both,
    "conditions in groups": _conditions_in_groups,
    "momentum of one cycle": _momentum,
    "all of the user": _all_own,
    "frozen, then not": _thawed,
    "an optimizer for each node": _two_optimizers,
    "inputs in cycles": _strict_turns,
    "AdamW with amsgrad": lambda: spec(train(), **_optimizer(use="adamw", amsgrad=True)),
    "RMSprop": lambda: spec(train(), **_optimizer(use="rmsprop", lr=0.001)),
    "every step": lambda: spec(
        train(epochs=2), specs.evaluation(), checkpoint={"every_n_steps": 1, "save_on": []}
    ),
    "no checkpoint of its own": lambda: spec(_evaluated(), checkpoint={"save_on": []}),
}


def columns(name: str) -> dict[str, NDArray[np.float64]]:
    """The table of a spec."""
    if name == "CNN":
        return specs.images(200)
    tags = np.random.default_rng(2).integers(0, 3, 250)
    return {**specs.regression(rows=250), "k": tags}
