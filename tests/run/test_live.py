"""Objects of a program as parts of a plan."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import specplan
from specplan.errors import CodeError, SpecError
from specplan.models.torch.wrapper import TorchModelWrapper
from specplan.plan.canonical import read_plan, write_plan
from specplan.plan.compile import compile_mapping
from tests.run.specs import (
    ADAM,
    RANDOM,
    epoch_order,
    metrics,
    regression,
    rows_of,
    run,
    same_weights,
    seeded,
    train,
)

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled

pytestmark = pytest.mark.usefixtures("one_thread")


class Net(nn.Module):
    def __init__(self, inputs: int = 10, width: int = 6, outputs: tuple[int, ...] = (1,)) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(width, outputs[0])

    def forward(self, rows: Tensor) -> Tensor:
        out: Tensor = self.last(self.drop(torch.relu(self.norm(self.first(rows)))))
        return out


class Shaped(Net):
    def __init__(self, rows: tuple[int, ...], gives: tuple[int, ...], width: int) -> None:
        super().__init__(rows[0], width, gives)


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "specplan": 1,
        "experiment": {"id": "live"},
        "run": {"threads": 1},
        "data": {
            "Set": {
                "source": {"use": "memory", "name": "set"},
                "features": ["x"],
                "targets": ["y"],
                "splits": RANDOM,
            }
        },
        "graph": {
            "nodes": {"Net": {"model": {"use": "live:net"}, "input": "Set.x", "target": "Set.y"}},
            "optimizer": ADAM,
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [train()],
    } | changes


def compiled(net: Any, mapping: dict[str, Any] | None = None, **live: Any) -> Compiled:
    tables = {"set": regression()}
    return compile_mapping(mapping or spec(), tables=tables, live={"net": net, **live})


def test_a_module_trains_like_the_hand_written_loop(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Net()
    by_hand, before = copy.deepcopy(net), copy.deepcopy(net)
    outcome = run(compiled(net), tmp_path)
    assert same_weights(net, before), "the program's own module is left alone"

    data, rows = regression(), torch.from_numpy(rows_of(500, "train"))
    x = torch.from_numpy(data["x"]).float()[rows]
    y = torch.from_numpy(data["y"]).float()[rows].reshape(-1, 1)
    seeded("phase/train/global")
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=1e-3)
    by_hand.train()
    for epoch in range(2):
        for batch in epoch_order(400, epoch).split(32):
            optimizer.zero_grad()
            nn.functional.mse_loss(by_hand(x[batch]), y[batch]).backward()
            optimizer.step()
    trained = outcome.state.modules()["Net"]
    assert same_weights(trained, by_hand)
    assert torch.equal(trained.norm.running_mean, by_hand.norm.running_mean)  # type: ignore[union-attr, arg-type]


def test_compiling_changes_neither_the_module_nor_a_generator() -> None:
    net = Net().train()
    state, generator = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    node = compiled(net).plan.graph.nodes["Net"]
    assert (node.dtype, node.shape, node.parameters) == ("float32", (1,), 85)
    assert all(torch.equal(held, state[name]) for name, held in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert net.training


def test_a_class_draws_its_weights_from_the_seed(tmp_path: Path) -> None:
    plan = compiled(Net, spec(plan=[train(epochs=1)]))
    one, other = run(plan, tmp_path), run(plan, tmp_path)
    assert same_weights(one.state.modules()["Net"], other.state.modules()["Net"])


def test_a_wrapper_tells_a_class_its_shapes() -> None:
    wrapper = TorchModelWrapper(
        model_class=Shaped,
        model_kwargs={"width": 3},
        inject_input_shape_as="rows",
        inject_output_shape_as="gives",
    )
    assert compiled(wrapper).plan.graph.nodes["Net"].parameters == 10 * 3 + 3 + 6 + 4


def test_a_module_of_doubles_reads_and_gives_doubles(tmp_path: Path) -> None:
    plan = compiled(Net().double())
    node = plan.plan.graph.nodes["Net"]
    assert (node.inputs[0].dtype, node.dtype) == ("float64", "float64")
    assert next(run(plan, tmp_path).state.modules()["Net"].parameters()).dtype is torch.float64


def test_the_id_follows_what_an_object_holds() -> None:
    torch.manual_seed(0)
    net = Net()
    one = compiled(net).plan
    assert compiled(copy.deepcopy(net)).plan.id == one.id
    with torch.no_grad():
        net.last.bias.add_(1)
    assert compiled(net).plan.id != one.id
    net.last.bias.requires_grad = False
    assert compiled(net).plan.id != one.id


def test_losses_metrics_and_optimizers_are_functions(tmp_path: Path) -> None:
    mapping = spec(
        losses={"own": {"use": "live:loss", "node": "Net"}},
        metrics={"worst": {"use": "live:worst", "node": "Net"}},
        plan=[
            train(losses=["own"]),
            {"phase": "eval", "label": "eval", "split": "test", "metrics": ["worst"]},
        ],
    )
    mapping["graph"]["optimizer"] = {"use": "live:adam"}
    net = Net()
    own = compiled(
        net,
        mapping,
        loss=lambda outputs, targets: ((outputs - targets) ** 2).mean(),
        worst=lambda outputs, targets: np.abs(outputs - targets).max(),
        adam=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
    )
    built_in = run(compiled(net), tmp_path).state.modules()["Net"]
    outcome = run(own, tmp_path)
    assert same_weights(outcome.state.modules()["Net"], built_in)
    assert [row["name"] for row in metrics(outcome)][-1] == "worst"


def test_a_plan_file_cannot_hold_an_object(tmp_path: Path) -> None:
    plan = compiled(Net())
    write_plan(plan, tmp_path / "plan.json")
    read = read_plan(tmp_path / "plan.json")
    assert read.plan == plan.plan
    message = (
        "the plan is not portable: it needs the object `live:net`, "
        f"{__name__}:Net\nhint: run it in the program that holds the object"
    )
    with pytest.raises(CodeError, match=f"^{re.escape(message)}$") as caught:
        run(read, tmp_path)
    assert caught.value.code == "SP407"


def test_saving_says_that_a_plan_is_not_portable(tmp_path: Path) -> None:
    plan = specplan.compile(spec(), tables={"set": regression()}, live={"net": Net()})
    message = r"^SP407: the plan is not portable: it needs the objects `live:net` of this program$"
    with pytest.warns(UserWarning, match=message):
        plan.save(tmp_path / "plan.json")
    assert "live:net, an object " in plan.explain()


def test_an_object_that_changed_since_is_refused(tmp_path: Path) -> None:
    net = Net()
    plan = compiled(net)
    with torch.no_grad():
        net.last.bias.add_(1)
    with pytest.raises(CodeError, match=r"^the object `live:net` changed after the plan"):
        run(plan, tmp_path)


class Misfit(Net):
    def forward(self, rows: Tensor) -> Tensor:
        return self.last(rows)  # type: ignore[no-any-return]


class Growing(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return torch.zeros(len(rows), len(rows))


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "unbound": (spec(), {}, "SP407", "is an object of a Python program, and none is bound"),
    "no model": (spec(), {"net": 3}, "SP406", "`live:net` is builtins:int; a model is a torch"),
    "fails": (spec(), {"net": Misfit()}, "SP604", "`Misfit` failed in forward, RuntimeError: "),
    "shapes": (spec(), {"net": Growing()}, "SP604", "`Growing` gives rows of different shapes"),
    "needs arguments": (spec(), {"net": Shaped}, "SP604", "`Shaped` failed in __init__, TypeError"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_object_is_reported_by_the_compiler(case: str) -> None:
    mapping, live, code, message = WRONG[case]
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        compile_mapping(mapping, tables={"set": regression()}, live=live)
    assert [found.code for found in caught.value.diagnostics] == [code]


def test_an_object_takes_no_arguments() -> None:
    mapping = spec()
    mapping["graph"]["nodes"]["Net"]["model"]["width"] = 3
    with pytest.raises(SpecError, match="`live:net` takes no argument `width`"):
        compiled(Net(), mapping)
