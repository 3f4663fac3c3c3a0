"""Models of the user are run in another process, where they are trusted, to see what they give.

`UPDATE_GOLDEN=1 pytest tests/plan/test_own_model.py` writes the texts of the errors anew.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specplan.base.flops import ModelFlops
from specplan.code.probe import Failed, Gave, Job, Prober, remembered
from specplan.code.source import find
from specplan.code.trust import trust
from specplan.components.reference import parse
from specplan.errors import SpecError
from specplan.plan.compile import compile_path
from specplan.plan.passes.context import CodeUse
from specplan.spec.render import render

GOLDEN = Path(__file__).parent.parent / "golden/own_model_errors"
MODEL = "{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}"
CODE = """\
import os
import sys
import time
from pathlib import Path

import torch
from torch import nn

Path(__file__).with_name("imported").touch()
print("nobody reads this")


class Net(nn.Module):
    def __init__(self, input_shape: tuple[int, ...], width: int = 3):
        super().__init__()
        self.layer = nn.Linear(input_shape[0], width)

    def forward(self, rows):
        return self.layer(rows)


class Sized(Net):
    def __init__(self, input_shape, output_shape):
        super().__init__(input_shape, output_shape[0])


class Unbuilt(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, "four")


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LazyLinear(3)


class Misfit(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, rows):
        return self.layer(rows)


class Double(nn.Module):
    def forward(self, rows):
        return rows.double()


class Several(nn.Module):
    def forward(self, rows):
        return rows, rows


class Total(nn.Module):
    def forward(self, rows):
        return rows.sum()


class Growing(nn.Module):
    def forward(self, rows):
        return torch.zeros(len(rows), len(rows))


class Slow(nn.Module):
    def forward(self, rows):
        time.sleep(60)


class Leaving(nn.Module):
    def forward(self, rows):
        os._exit(3)


class Plain:
    pass


def fine(outputs, targets, power: float = 2.0):
    return (outputs - targets).abs().pow(power).mean()


def each(outputs, targets):
    return (outputs - targets) ** 2


def misfit(outputs, targets):
    return (outputs @ targets).mean()


def hard(outputs, targets):
    return (outputs.detach() - targets).mean()


def rows_only(outputs, targets):
    return (outputs - targets)[:, 0]


class Looked(nn.Module):
    def __init__(self, names: int = 40):
        super().__init__()
        self.table = nn.Embedding(names, 4)

    def forward(self, rows):
        return self.table(rows.floor().long())


class Huge(nn.Module):
    def __init__(self, input_shape=None):
        super().__init__()

    def forward(self, rows):
        return torch.ones(200_000_000)[: len(rows)]
"""
NEEDED, ALWAYS = CodeUse(imports="needed"), CodeUse(imports="always")

FAULTS = {
    "SP404_not_trusted": ('{use: "./mine.py:Net"}', False),
    "SP604_other_shape": ('{use: "./mine.py:Net", width: 5}\n      output_shape: [4]', True),
    "SP604_in_init": ('{use: "./mine.py:Unbuilt"}', True),
    "SP604_in_forward": ('{use: "./mine.py:Misfit"}', True),
    "SP604_lazy": ('{use: "./mine.py:Lazy"}', True),
    "SP604_dtype": ('{use: "./mine.py:Double"}', True),
    "SP604_several": ('{use: "./mine.py:Several"}', True),
    "SP604_one_for_all": ('{use: "./mine.py:Total"}', True),
    "SP604_growing": ('{use: "./mine.py:Growing"}', True),
    "SP604_process": ('{use: "./mine.py:Leaving"}', True),
    "SP406_no_module": ('{use: "./mine.py:Plain"}', True),
}


OBJECTIVES = {
    "SP604_loss_of_each": ('mse: {use: mse, node: Head}', 'mse: {use: "./mine.py:each", node: Head}'),
    "SP604_loss_fails": ('mse: {use: mse, node: Head}', 'mse: {use: "./mine.py:misfit", node: Head}'),
    "SP604_loss_without_gradient": ('mse: {use: mse, node: Head}', 'mse: {use: "./mine.py:hard", node: Head}'),
    "SP604_metric_of_each": ('rmse: {use: rmse, node: Head}', 'rmse: {use: "./mine.py:rows_only", node: Head}'),
}  # fmt: skip


@pytest.fixture(autouse=True)
def code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    file = folder / "mine.py"
    file.write_text(CODE)
    return file


def job(folder: Path, name: str, **args: object) -> Job:
    reference = parse(f"./mine.py:{name}")
    assert reference is not None
    source = find(reference, folder=folder, pythonpath=[folder])
    return Job(
        use=str(reference),
        folder=str(folder),
        pythonpath=(str(folder),),
        digest=source.digest,
        args={"input_shape": [11], **args},
        input_shapes=((11,),),
    )


def write(folder: Path, text: str, model: str) -> None:
    assert MODEL in text
    (folder / "spec.yaml").write_text(text.replace(MODEL, model))


def diagnostics(use: CodeUse) -> list[str]:
    with pytest.raises(SpecError) as caught:
        compile_path("spec.yaml", code=use)
    return [render(item) for item in caught.value.diagnostics]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FAULTS)
def test_rendered_text(name: str, folder: Path, spec_text: str, code: Path) -> None:
    model, trusted = FAULTS[name]
    write(folder, spec_text, model)
    if trusted:
        trust(code)
    rendered = "\n\n".join(diagnostics(ALWAYS)) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")
    assert set(re.findall(r"error\[(SP\d{3})\]", rendered)) == {name[:5]}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_losses_and_metrics_are_tried(folder: Path, spec_text: str, code: Path) -> None:
    trust(code)
    for name, (before, after) in OBJECTIVES.items():
        assert before in spec_text
        (folder / "spec.yaml").write_text(spec_text.replace(before, after))
        compile_path("spec.yaml", code=NEEDED)
        rendered = "\n\n".join(diagnostics(ALWAYS)) + "\n"
        golden = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            golden.write_text(rendered, encoding="utf-8")
        assert rendered == golden.read_text(encoding="utf-8")
    mine = 'mse: {use: "./mine.py:fine", node: Head, power: 1.5}'
    (folder / "spec.yaml").write_text(spec_text.replace("mse: {use: mse, node: Head}", mine))
    compile_path("spec.yaml", code=ALWAYS)
    (folder / "imported").unlink()
    compile_path("spec.yaml", code=ALWAYS)
    assert not (folder / "imported").exists()


def test_no_text_without_its_case() -> None:
    shown = {*FAULTS, *OBJECTIVES, "SP405_changed"}
    assert {file.stem for file in GOLDEN.iterdir()} == shown


def test_changed_code_is_told_from_unknown_code(folder: Path, spec_text: str, code: Path) -> None:
    write(folder, spec_text, '{use: "./mine.py:Net"}')
    trust(code)
    code.write_text(CODE + "# more\n")
    rendered = "\n\n".join(diagnostics(NEEDED)) + "\n"
    golden = GOLDEN / "SP405_changed.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")
    assert not (folder / "imported").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_shape_is_seen_once_and_remembered(folder: Path, spec_text: str, code: Path) -> None:
    write(folder, spec_text, '{use: "./mine.py:Net", width: 5}')
    trust(code)
    state = random.getstate()
    node = compile_path("spec.yaml", code=NEEDED).plan.graph.nodes["Enc"]
    assert (node.shape, node.parameters) == ((5,), 60)
    assert state == random.getstate()
    (folder / "imported").unlink()
    again = compile_path("spec.yaml")
    assert again.plan.graph.nodes["Enc"] == node
    code.write_text(CODE.replace("width)", "width + 1)"))
    assert [text.partition(":")[2][:25] for text in diagnostics(CodeUse())] == [
        "14:20: error[SP605]: Enc:"
    ]
    assert not (folder / "imported").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_is_tried_with_rows_of_the_data(folder: Path, spec_text: str, code: Path) -> None:
    trust(code)
    text = spec_text.replace("input: [Cells.curve, Cells.temperature]", "input: Cells.number")
    text = text.replace("features: [curve,", "features: [number, curve,")
    cells = pq.read_table(folder / "data/cells.parquet")
    numbers = pa.array(range(len(cells)), pa.int32())
    pq.write_table(cells.append_column("number", numbers), folder / "data/cells.parquet")
    write(folder, text, '{use: "./mine.py:Looked"}')
    assert compile_path("spec.yaml", code=NEEDED).plan.graph.nodes["Enc"].parameters == 160
    write(folder, text, '{use: "./mine.py:Looked", names: 39}')
    [said] = diagnostics(ALWAYS)
    assert "IndexError: index out of range" in said
    assert "hint" not in said
    scale = "    scale: [{use: negate, columns: [number]}]\ngraph:"
    write(folder, text.replace("graph:", scale), '{use: "./mine.py:Looked", names: 41}')
    [said] = diagnostics(ALWAYS)
    assert "hint: it read random numbers" in said
    pq.write_table(cells.append_column("number", pa.array([60] * len(cells))), "data/cells.parquet")
    write(folder, text, '{use: "./mine.py:Looked"}')
    compile_path("spec.yaml", code=NEEDED)
    [said] = diagnostics(ALWAYS)
    assert "IndexError: index out of range" in said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_that_takes_too_much_memory_is_refused(folder: Path) -> None:
    prober = Prober(memory=1 << 28)
    answer = prober.run(job(folder, "Huge", input_shape=None), Gave)
    prober.close()
    assert isinstance(answer, Failed)
    assert "mine.py" in answer.message
    assert "memory" in answer.message


def test_a_shape_that_is_said_needs_no_run(folder: Path, spec_text: str, code: Path) -> None:
    write(folder, spec_text, '{use: "./mine.py:Net", width: 4}\n      output_shape: [4]')
    trust(code)
    said = compile_path("spec.yaml", code=NEEDED).plan
    assert said.graph.nodes["Enc"].parameters is None
    assert said.graph.nodes["Fuse"].shape == (14,)
    assert not (folder / "imported").exists()


def test_a_model_that_asks_for_shapes_gets_them(folder: Path, spec_text: str) -> None:
    head = "model: {use: mlp}\n"
    assert head in spec_text
    mine = 'model: {use: "./mine.py:Sized"}\n'
    (folder / "spec.yaml").write_text(spec_text.replace(head, mine))
    node = compile_path("spec.yaml").plan.graph.nodes["Head"]
    assert node.component.args == {"input_shape": [14], "output_shape": [1]}
    assert node.shape == (1,)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_that_takes_too_long_is_ended_and_the_next_one_runs(folder: Path) -> None:
    prober = Prober(seconds=60)
    assert isinstance(prober.run(job(folder, "Net"), Gave), Gave)
    prober._seconds = 1.0
    slow = msgspec.structs.replace(job(folder, "Slow"), args={})
    assert prober.run(slow, Gave) == Failed(
        code="SP604", message="`Slow` took longer than 1 seconds"
    )
    prober._seconds = 60.0
    gave = Gave(shape=(2,), parameters=24, flops=ModelFlops(44, weights=44, inputs=44, both=88))
    assert prober.run(job(folder, "Net", width=2), Gave) == gave
    prober.close()
    assert remembered(job(folder, "Net", width=2), Gave) == gave
    assert remembered(job(folder, "Net", width=4), Gave) is None
