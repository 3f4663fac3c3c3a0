"""Operations of models and merges of the user's: counted where the code is tried, and equal to those of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from specplan.code.trust import trust
from specplan.plan.compile import compile_path
from specplan.plan.cost import cost
from specplan.plan.cost_text import cost_text
from specplan.plan.diff import diff
from specplan.plan.passes.context import READ_ONLY, CodeUse
from tests.run import specs

if TYPE_CHECKING:
    from specplan.plan.model import Compiled

pytestmark = pytest.mark.usefixtures("one_thread")

CODE = '''\
import torch
from torch import nn


class Gated(nn.Module):
    """Two layers of the same rows, and a recurrent one."""

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], width: int = 8):
        super().__init__()
        self.values = nn.Linear(input_shape[0], width)
        self.gates = nn.Linear(input_shape[0], width)
        self.rest = nn.GRU(width, width, batch_first=True)
        self.last = nn.Linear(width, output_shape[0])

    def forward(self, rows):
        gated = torch.tanh(self.values(rows)) * torch.sigmoid(self.gates(rows))
        return self.last(self.rest(gated[:, None].expand(-1, 3, -1))[0][:, -1])


class Half(nn.Module):
    """A layer that its author has frozen, and one that learns. It changes its rows."""

    def __init__(self, input_shape: tuple[int, ...]):
        super().__init__()
        self.fixed = nn.Linear(input_shape[0], 6).requires_grad_(False)
        self.free = nn.Linear(6, 4)

    def forward(self, rows):
        return self.free(torch.relu(self.fixed(rows.add_(0.5))))


class Mix(nn.Module):
    def __init__(self, input_shapes: list[tuple[int, ...]]):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size, 5) for (size,) in input_shapes)

    def forward(self, inputs):
        return sum(layer(rows) for layer, rows in zip(self.layers, inputs))


def outer(inputs):
    left, right = inputs
    return torch.bmm(left[:, :, None], right[:, None, :]).flatten(1)


class LowRank(nn.Module):
    """Makes its weights of two factors in every batch: what that takes is not in proportion to its rows."""

    def __init__(self, input_shape: tuple[int, ...]):
        super().__init__()
        self.left = nn.Parameter(torch.randn(input_shape[0], 2))
        self.right = nn.Parameter(torch.randn(2, 1))

    def forward(self, rows):
        return rows @ (self.left @ self.right)
'''
SOURCE = {"use": "parquet", "path": "set.parquet"}
ALWAYS = CodeUse(imports="always")


def mine(kind: str, name: str, inputs: Any, **beside: Any) -> dict[str, Any]:
    return {kind: {"use": f"./mine.py:{name}"}, "input": inputs, **beside}


NODES: dict[str, Any] = {
    "First": mine("model", "Gated", "Set.x", output_shape=[7]),
    "Half": mine("model", "Half", "First", output_shape=[4]),
    "Other": mine("model", "Half", "First", output_shape=[4]),
    "Mix": mine("merge", "Mix", ["Half", "Other"], output_shape=[5]),
    "Outer": mine("merge", "outer", ["Mix", "Half"], output_shape=[20]),
    "Net": {"model": {"use": "mlp", "hidden_dim": 6}, "input": "Outer", "target": "Set.y"},
}


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    trust(file)
    known = specs.regression()
    x = pa.FixedSizeListArray.from_arrays(pa.array(known["x"].ravel()), 10)
    pq.write_table(pa.table({"x": x, "y": known["y"]}), "set.parquet")
    return file


def compiled(nodes: dict[str, Any], *phases: dict[str, Any], code: CodeUse = READ_ONLY) -> Compiled:
    feature_set = {"source": SOURCE, "features": ["x"], "targets": ["y"]}
    spec = {
        "specplan": 1,
        "experiment": {"id": "counted"},
        "run": {"threads": 1},
        "data": {"Set": {**feature_set, "splits": specs.RANDOM}},
        "graph": {"nodes": nodes, "optimizer": specs.ADAM},
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": phases,
    }
    Path("spec.json").write_text(json.dumps(spec))
    return compile_path("spec.json", code=code)


def test_operations_are_counted_where_the_code_is_tried(tmp_path: Path) -> None:
    phases = [
        specs.train(label="all"),
        specs.train(label="some", active=["Half", "Other", "Net"]),
        specs.train(label="first", active=["First"]),
        specs.evaluation(batch_size=30),
    ]
    read = compiled(NODES, *phases)
    bill = cost(read.plan)
    assert bill.countable == ("First", "Half", "Other", "Mix", "Outer")
    how = (
        "`mlx compile --check-imports` runs First, Half, Other, Mix, Outer on a few rows and counts"
    )
    assert how in cost_text(bill).splitlines()

    tried = compiled(NODES, *phases, code=ALWAYS)
    assert tried.plan.id == read.plan.id
    assert not diff(read.plan, tried.plan).numbers
    bill = cost(tried.plan)
    assert (bill.countable, bill.unknown_parameters) == ((), ())
    assert "?" not in cost_text(bill)
    # Recurrent layers are one operator of oneDNN, which torch's counter takes for nothing.
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        with FlopCounterMode(display=False) as counter:
            outcome = specs.run(tried, tmp_path)
    finally:
        torch.backends.mkldnn.enabled = True  # type: ignore[assignment]
    assert bill.flops == counter.get_total_flops()
    modules = outcome.state.modules().values()
    assert bill.parameters == sum(each.numel() for made in modules for each in made.parameters())
    # It is remembered: nothing is run for it again.
    assert compiled(NODES, *phases).plan == tried.plan


def test_operations_that_are_not_those_of_each_row_stay_unknown_and_are_tried_once(
    code: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs.txt"
    code.write_text(CODE + f"\n\nwith open({str(runs)!r}, 'a') as file:\n    file.write('.')\n")
    trust(code)
    nodes = {"Net": mine("model", "LowRank", "Set.x", target="Set.y", output_shape=[1])}
    read = compiled(nodes, specs.train())
    assert cost(read.plan).countable == ("Net",)
    assert not runs.exists()
    tried = compiled(nodes, specs.train(), code=ALWAYS)
    assert tried.plan.graph.nodes["Net"].parameters == 22
    assert tried.plan.id == read.plan.id
    assert not diff(read.plan, tried.plan).numbers
    bill = cost(tried.plan)
    assert (bill.countable, bill.phases[0].uncounted) == ((), ("Net",))
    assert "--check-imports" not in cost_text(bill)
    once = runs.read_text()
    assert compiled(nodes, specs.train(), code=ALWAYS).plan == tried.plan
    assert runs.read_text() == once
