"""Components of an installed package, from its entry points to a run."""

from __future__ import annotations

import importlib.resources
import json
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator

from specplan.cli.main import main
from specplan.code.schema import with_plugins
from specplan.components.plugins import plugins
from specplan.errors import SpecError
from specplan.plan.compile import compile_mapping
from specplan.run.display import Silent
from specplan.run.run import run_plan
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

CODE = '''\
"""A package that somebody else wrote."""

import enum

import torch


class Mode(enum.Enum):
    FAST = "fast"
    EXACT = "exact"


class Wave(torch.nn.Module):
    """A net of waves.

    More about it.
    """

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], width: int = 4,
                 mode: Mode = Mode.FAST, rate: float | None = None):
        super().__init__()
        self.layers = torch.nn.Linear(input_shape[0], output_shape[0])

    def forward(self, rows):
        return torch.sin(self.layers(rows))


def worst(outputs, targets, scale: float = 1.0):
    """The largest difference."""
    return scale * abs(outputs - targets).max()


class Halved:
    """Half of each value."""

    def __init__(self, by: float = 2.0):
        self.by = by

    def fit(self, rows):
        pass

    def transform(self, rows):
        return rows / self.by


def in_two(rows, generator, share: float = 0.5):
    """The first rows, and the others."""
    return {"train": range(round(share * rows)), "test": range(round(share * rows), rows)}


def mean(inputs):
    """The mean of all inputs."""
    return sum(inputs) / len(inputs)
'''
ENTRIES = """\
[specplan.components]
model.wave = tiny_plugin:Wave
metric.worst = tiny_plugin:worst
merge.other = tiny_plugin:Other
model.broken = not a reference
"""
PARTS = """\
[specplan.components]
scaler.halved = tiny_plugin:Halved
split.in_two = tiny_plugin:in_two
merge.mean = tiny_plugin:mean
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "tiny_plugin-1.0.dist-info").mkdir(parents=True)
    (site / "tiny_plugin-1.0.dist-info/METADATA").write_text("Name: tiny_plugin\nVersion: 1.0\n")
    (site / "tiny_plugin-1.0.dist-info/entry_points.txt").write_text(ENTRIES)
    (site / "tiny_plugin.py").write_text(CODE)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "tiny_plugin", raising=False)


def spec(**model: Any) -> dict[str, Any]:
    return {
        "data": {
            "Set": {
                "source": {"use": "memory", "name": "set"},
                "features": ["x"],
                "targets": ["y"],
                "splits": {"use": "random", "ratios": {"train": 0.8, "test": 0.2}},
            }
        },
        "graph": {
            "nodes": {"Net": specs.node({"use": "wave"} | model)},
            "optimizer": {"use": "adam"},
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "metrics": {"worst": {"use": "worst", "node": "Net"}},
        "plan": [specs.train(), specs.evaluation(metrics=["worst"])],
    }


def faults(value: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    with pytest.raises(SpecError) as caught:
        compile_mapping(value, tables={"set": specs.regression()})
    return [(item.code, item.message, item.hint) for item in caught.value.diagnostics]


@pytest.mark.usefixtures("_installed")
def test_an_installed_component_compiles_and_runs_without_being_asked_about(tmp_path: Path) -> None:
    compiled = compile_mapping(spec(width=7), tables={"set": specs.regression()})
    assert "tiny_plugin" not in sys.modules
    component = compiled.plan.graph.nodes["Net"].component
    assert component.use == "tiny_plugin:Wave"
    assert component.args == {
        "input_shape": [10], "output_shape": [1], "width": 7, "rate": None,
    }  # fmt: skip
    assert component.code is not None
    assert component.code.paths == ()
    outcome = run_plan(compiled, root=tmp_path / "runs", display=Silent())
    assert type(outcome.state.nodes["Net"]).__module__ == "tiny_plugin"


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("mode", ["min", "max"])
def test_nobody_knows_which_values_of_its_metric_are_better(mode: str) -> None:
    value = spec(width=7)
    value["plan"][0]["callbacks"] = [
        {"use": "evaluation", "split": "test", "metrics": ["worst"]},
        {"use": "early_stopping", "monitor": "test_worst", "mode": mode, "patience": 1},
    ]
    assert compile_mapping(value, tables={"set": specs.regression()}).warnings == ()


@pytest.mark.usefixtures("_installed")
def test_what_lies_beside_a_spec_does_not_pass_for_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "project/tiny_plugin.py").write_text("1 / 0\n")
    compiled = compile_mapping(spec(), tables={"set": specs.regression()})
    run_plan(compiled, root=tmp_path / "runs", display=Silent())


@pytest.mark.usefixtures("_installed")
def test_arguments_of_an_installed_component_are_checked() -> None:
    [(code, message, hint)] = faults(spec(widht=7))
    assert (code, hint) == ("SP403", "did you mean `width`?")
    assert message.startswith("`Wave` takes no argument `widht`; it takes `input_shape`,")
    [(code, message, hint)] = faults(spec(mode="fest"))
    assert (code, hint) == ("SP203", "did you mean `fast`?")


@pytest.mark.usefixtures("_installed")
def test_a_name_that_is_nearly_that_of_an_installed_component() -> None:
    assert faults(spec(use="wavve")) == [
        (
            "SP401",
            "`wavve` is not a model; built in: mlp, cnn, temporal_cnn; installed: wave",
            "did you mean `wave`?",
        )
    ]


@pytest.mark.usefixtures("_installed")
def test_other_faults_leave_it_in_peace() -> None:
    value = spec()
    value["plan"][0]["epocs"] = 3
    assert [code for code, _, _ in faults(value)] == ["SP201"]


@pytest.mark.usefixtures("_installed")
def test_entries_that_name_no_component_are_left_out() -> None:
    assert list(plugins("model")) == ["wave"]
    assert plugins("sampler") == {}


@pytest.mark.usefixtures("_installed")
def test_the_schema_has_installed_components(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schema"])
    assert ended.value.code == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    described = schema["$defs"]["model.wave"]
    assert described["description"] == "A net of waves.\n\nMore about it."
    assert described["properties"]["width"]["else"] == {"type": "integer"}
    assert described["properties"]["width"]["default"] == 4
    value = {"specplan": 1} | spec(width={"$": "params.width"}, mode="exact")
    valid = Draft202012Validator(schema)
    assert [error.message for error in valid.iter_errors(value)] == []
    for wrong in ({"width": "7"}, {"widht": 7}, {"mode": "fest"}, {"use": "wavve"}):
        assert list(valid.iter_errors({"specplan": 1} | spec(**wrong))), wrong


@pytest.mark.usefixtures("_installed")
def test_a_package_that_has_not_what_it_names_spoils_no_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = tmp_path / "site/tiny_plugin-1.0.dist-info/entry_points.txt"
    entries.write_text(
        ENTRIES + "loss.gone = tiny_plugin.nope:gone\nsource.mine = tiny_plugin:Wave\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["schema"])
    assert ended.value.code == 0
    written = capsys.readouterr()
    assert "model.wave" in json.loads(written.out)["$defs"]
    of = "of the package `tiny_plugin` is left out:"
    file = tmp_path / "site/tiny_plugin.py"
    assert written.err.splitlines() == [
        f"warning: the component `model.broken` {of} `not a reference` is not `module:Class`",
        f"warning: the component `source.mine` {of} `source` is no kind of component that a package can "
        "have: `model`, `merge`, `loss`, `metric`, `optimizer`, `callback`, `sampler`, `scaler`, `split`",
        f"warning: the component `merge.other` {of} `{file}` has no class or function `Other`; "
        "it has `Mode`, `Wave`, `worst`, `Halved`, `in_two`, `mean`",
        f"warning: the component `loss.gone` {of} module `tiny_plugin.nope` not found; "
        "searched the installed packages",
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_installed")
def test_scalers_splitters_and_merges_of_a_package_are_in_the_schema_and_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site/tiny_plugin-1.0.dist-info/entry_points.txt").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    value = {"specplan": 1} | spec() | {"metrics": {}}
    value["data"]["Set"] |= {
        "source": {"use": "arrow", "path": "set.arrow"},
        "splits": {"use": "in_two", "share": 0.8},
        "scale": [{"use": "halved", "columns": ["x"], "fit_on": "train"}],
    }
    first, second = specs.node({"use": "mlp", "output_shape": [2]}), {"use": "mlp"}
    value["graph"]["nodes"] = {
        "A": first,
        "B": first,
        "Both": {"merge": {"use": "mean"}, "input": ["A", "B"]},
        "Net": specs.node(second, "Both"),
    }
    value["plan"] = [specs.train(), specs.evaluation()]
    columns = specs.regression(100)
    x = pa.FixedSizeListArray.from_arrays(pa.array(columns["x"].ravel()), 10)
    table = pa.table({"x": x, "y": columns["y"]})
    with pa.ipc.new_file("set.arrow", table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "spec.json").write_text(json.dumps(value))
    for command, code in (
        (["schema"], 0),
        (["compile", "spec.json"], 1),
        (["run", "spec.json"], 0),
    ):
        with pytest.raises(SystemExit) as ended:
            main(command)
        written = capsys.readouterr()
        assert ended.value.code == code, written.err
        if command == ["schema"]:
            valid = Draft202012Validator(json.loads(written.out))
            assert [error.message for error in valid.iter_errors(value)] == []
            value["data"]["Set"]["splits"]["share"] = "much"
            assert len(list(valid.iter_errors(value))) == 1
        if command[0] == "compile":
            assert written.err.count("SP605") == 2


def test_without_plugins_the_schema_is_the_published_one() -> None:
    folder = importlib.resources.files("specplan") / "_schemas"
    schema = json.loads((folder / "experiment.schema.json").read_text(encoding="utf-8"))
    assert with_plugins(schema) == (schema, [])
