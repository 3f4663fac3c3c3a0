"""Models, losses, metrics and optimizers of the user, from a spec to the bits of a hand-written loop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from specplan.code.trust import trust
from specplan.errors import CodeError, RunError
from specplan.plan.canonical import read_plan, write_plan
from specplan.run.display import Silent
from specplan.run.run import run_plan
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled
    from specplan.run.outcome import Outcome

pytestmark = pytest.mark.usefixtures("one_thread")

CODE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, input_shape: tuple[int, ...], hidden: int = 16):
        super().__init__()
        self.first = nn.Linear(input_shape[0], hidden)
        self.fixed = nn.Parameter(torch.ones(hidden), requires_grad=False)
        self.drop = nn.Dropout(0.1)
        self.last = nn.Linear(hidden, 1)

    def forward(self, rows):
        return self.last(self.drop(torch.tanh(self.first(rows)) * self.fixed))


class Wide(nn.Module):
    def forward(self, rows):
        return rows


class Failing(nn.Module):
    def forward(self, rows):
        raise ValueError("no rows like these")


class Pinball(nn.Module):
    def __init__(self, quantile: float = 0.5):
        super().__init__()
        self.quantile = quantile

    def forward(self, outputs, targets):
        rest = targets - outputs
        return torch.maximum(self.quantile * rest, (self.quantile - 1) * rest).mean()


def pinball(outputs, targets, quantile=0.5):
    return Pinball(quantile)(outputs, targets)


def each(outputs, targets):
    return (outputs - targets) ** 2


def worst(outputs, targets, *, scale: float = 1.0):
    return scale * abs(outputs - targets).max()


class Halving(torch.optim.SGD):
    def __init__(self, params, lr: float = 0.1, betas: tuple[float, ...] = (0.5,)):
        assert isinstance(betas, tuple)
        super().__init__(params, lr=lr * betas[0])


NOT_A_CLASS = 3
make = lambda: None
"""
NET = {"use": "./mine.py:Net", "hidden": 8}
PINBALL = {"pin": {"use": "mine:Pinball", "node": "Net", "quantile": 0.9}}


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    trust(file)
    return file


def node(model: dict[str, Any], shape: list[int] | None = None) -> dict[str, Any]:
    return {"Net": {**specs.node(model), "output_shape": shape or [1]}}


def compiled(**changes: Any) -> Compiled:
    phases = [specs.train(losses=["pin"]), specs.evaluation(losses=["pin"], metrics=["worst"])]
    metrics = {"worst": {"use": "mine:worst", "node": "Net", "scale": 2}}
    arguments: dict[str, Any] = {"nodes": node(NET), "losses": PINBALL, "metrics": metrics}
    return specs.compiled(*phases, **arguments | changes)


def evaluated(model: dict[str, Any]) -> Compiled:
    """A plan that only looks at what the model gives."""
    return specs.compiled(specs.evaluation(losses=["pin"]), nodes=node(model), losses=PINBALL)


def run(plan: Compiled, root: Path) -> Outcome:
    return specs.run(plan, root)


def hand_written() -> tuple[nn.Module, list[float]]:
    """The same training as `compiled` without anything of ours but the seeds and the order of the rows."""
    space: dict[str, Any] = {}
    exec(CODE, space)  # the text above
    rows = specs.rows_of(500, "train")
    columns = specs.regression()
    x = torch.tensor(columns["x"][rows], dtype=torch.float32)
    y = torch.tensor(columns["y"][rows], dtype=torch.float32)[:, None]
    specs.seeded("init/Net")
    net = space["Net"]((10,), hidden=8)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    loss = space["Pinball"](0.9)
    specs.seeded("phase/train/global")
    values = []
    for epoch in range(2):
        net.train()
        for batch in specs.epoch_order(400, epoch).split(32):
            value = loss(net(x[batch]), y[batch])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            values.append(value.item())
    return net.eval(), values


def test_a_model_and_a_loss_have_the_bits_of_a_hand_written_loop(tmp_path: Path) -> None:
    outcome = run(compiled(), tmp_path)
    net, losses = hand_written()
    assert specs.values(outcome, "train", "pin", whole=False) == losses
    assert specs.same_weights(net, outcome.state.nodes["Net"])
    columns, rows = specs.regression(), specs.rows_of(500, "test")
    with torch.no_grad():
        outputs = net(torch.tensor(columns["x"][rows], dtype=torch.float32))
    worst = 2 * np.abs(outputs.double().numpy()[:, 0] - columns["y"][rows]).max()
    assert specs.values(outcome, "eval", "worst") == [worst]


def test_a_function_is_the_loss_that_a_class_is(tmp_path: Path) -> None:
    function = {"pin": {"use": "mine:pinball", "node": "Net", "quantile": 0.9}}
    one = run(compiled(), tmp_path)
    other = run(compiled(losses=function), tmp_path)
    assert specs.same_weights(one.state.nodes["Net"], other.state.nodes["Net"])


def test_what_a_model_freezes_stays_frozen(tmp_path: Path) -> None:
    nodes = {**node(NET), "Head": specs.node({"use": "mlp"}, "Net")}
    losses = {"mse": {"use": "mse", "node": "Head"}}
    phases = [specs.train(active=["Head"]), specs.train(label="both", active=["Head", "Net"])]
    plan = specs.compiled(*phases, nodes=nodes, losses=losses)
    net = run(plan, tmp_path).state.nodes["Net"]
    assert not net.fixed.requires_grad
    assert torch.equal(net.fixed, torch.ones(8))
    assert net.first.weight.requires_grad


def test_an_optimizer_gets_its_arguments_in_their_types(tmp_path: Path) -> None:
    plan = compiled(optimizer={"use": "mine:Halving", "lr": 0.2, "betas": [0.25]})
    [group] = run(plan, tmp_path).state.optimizer.param_groups  # type: ignore[union-attr]
    assert group["lr"] == 0.05


def test_early_stopping_and_recording_work_as_with_built_in_models(tmp_path: Path) -> None:
    callbacks = [
        {"use": "evaluation", "split": "test", "metrics": ["worst"]},
        {"use": "early_stopping", "monitor": "test_worst", "patience": 1, "restore_best": True},
    ]
    phase = specs.train(losses=["pin"], epochs=4, callbacks=callbacks)
    metrics = {"worst": {"use": "mine:worst", "node": "Net"}}
    plan = specs.compiled(phase, nodes=node(NET), losses=PINBALL, metrics=metrics)
    outcome = run(plan, tmp_path)
    assert len(specs.values(outcome, "train", "test_worst")) <= 4
    assert specs.recorded(outcome, "train", "outputs")[0].shape == (32, 1)


def test_compiling_runs_nothing(code: Path, tmp_path: Path) -> None:
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{CODE}")
    before = set(sys.modules)
    plan = compiled().plan
    assert plan.graph.nodes["Net"].parameters is None
    assert not (tmp_path / "ran").exists()
    assert not {name for name in set(sys.modules) - before if "mine" in name}


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (
            {"use": "mine:each"},
            "loss `pin` returned float32 of shape (32, 1), not a tensor of shape ()",
        ),
        ({"use": "mine:worst"}, None),
    ],
)
def test_a_loss_is_one_number(tmp_path: Path, losses: Any, message: str | None) -> None:
    plan = compiled(losses={"pin": {**losses, "node": "Net"}})
    if message is None:
        run(plan, tmp_path)
        return
    with pytest.raises(RunError) as failed:
        run(plan, tmp_path)
    assert str(failed.value) == message


def test_a_model_that_gives_another_shape_than_was_said_is_stopped(tmp_path: Path) -> None:
    plan = evaluated({"use": "mine:Wide"})
    with pytest.raises(RunError) as failed:
        run(plan, tmp_path)
    assert str(failed.value) == (
        "node `Net` gave float32 of shape (100, 10) for 100 rows, the plan says float32 of shape (100, 1)"
    )


def test_layers_without_sizes_are_refused(code: Path, tmp_path: Path) -> None:
    lazy = "class Lazy(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    code.write_text(f"{CODE}\n\n{lazy}        self.layer = nn.LazyLinear(1)\n")
    trust(code)
    with pytest.raises(RunError, match=r"^`./mine.py:Lazy` has lazy layers"):
        run(evaluated({"use": "./mine.py:Lazy"}), tmp_path)


def test_an_exception_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(RunError) as failed:
        run(evaluated({"use": "mine:Failing"}), tmp_path)
    assert str(failed.value) == (
        "model `mine:Failing` failed, mine.py:24: ValueError: no rows like these"
    )


def test_code_that_fails_when_it_is_imported_is_named(code: Path, tmp_path: Path) -> None:
    code.write_text(CODE + "\n1 / 0\n")
    trust(code)
    with pytest.raises(CodeError, match=r"importing `.*` failed, mine\.py:\d+: ZeroDivisionError"):
        run(compiled(), tmp_path)
    assert not list(tmp_path.glob("tests"))


def test_a_class_that_is_no_module_is_refused_by_its_type(code: Path, tmp_path: Path) -> None:
    code.write_text(CODE + "\n\nclass Plain(dict):\n    pass\n")
    trust(code)
    with pytest.raises(CodeError) as refused:
        run(compiled(nodes=node({"use": "mine:Plain"})), tmp_path)
    assert refused.value.code == "SP406"
    assert str(refused.value) == (
        "`mine:Plain` is not a model: that is a subclass of `torch.nn.modules.module.Module`\n"
        "hint: write `class Plain(torch.nn.Module):`"
    )


def test_untrusted_code_is_not_run(code: Path, tmp_path: Path) -> None:
    code.write_text(CODE + "\nimport pathlib\npathlib.Path('ran').touch()\n")
    plan = compiled()
    with pytest.raises(CodeError) as refused:
        run(plan, tmp_path)
    assert refused.value.code == "SP405"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py"]
    run_plan(plan, root=tmp_path / "runs", display=Silent(), trust=True)


def test_code_that_changed_since_it_was_compiled_is_not_run(code: Path, tmp_path: Path) -> None:
    plan = compiled()
    code.write_text(CODE.replace("tanh", "sigmoid"))
    trust(code)
    with pytest.raises(CodeError) as refused:
        run(plan, tmp_path)
    assert refused.value.code == "SP405"
    assert "changed after the plan was compiled" in refused.value.message


def test_the_id_is_that_of_the_code_and_not_of_its_place(code: Path) -> None:
    plan = compiled().plan
    code.write_text("# a comment\n" + CODE)
    assert compiled().plan.id == plan.id
    code.write_text(CODE.replace("tanh", "sigmoid"))
    assert compiled().plan.id != plan.id


def test_a_plan_that_is_written_elsewhere_finds_the_code(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    before = compiled()
    file = tmp_path / "plans/moved.plan.json"
    write_plan(before, file)
    moved = read_plan(file)
    assert moved.plan.id == before.plan.id
    component = moved.plan.graph.nodes["Net"].component
    assert component.code is not None
    assert component.code.paths == ("..",)
    tables = before.tables
    outcome = run_plan(
        type(moved)(plan=moved.plan, folder=moved.folder, tables=tables),
        root=tmp_path / "runs",
        display=Silent(),
    )
    assert outcome.run_file.status == "completed"
