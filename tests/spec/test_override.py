"""`-c KEY=VALUE` on specs: what it sets, and the text of what is wrong with it.

`UPDATE_GOLDEN=1 pytest tests/spec/test_override.py` writes the texts anew.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specplan.errors import SpecError
from specplan.spec.composition import Composition
from specplan.spec.load import from_mapping, load
from specplan.spec.render import render
from specplan.spec.validate import validate

if TYPE_CHECKING:
    from specplan.spec.document import Document

GOLDEN = Path(__file__).parent.parent / "golden/override_errors"

SPEC = """\
specplan: 1
params: {lr: 0.1, model: {use: mlp, hidden_dim: 8}}
data:
  Data:
    source: {use: parquet, path: data.parquet}
    features: [x]
    targets: [y]
    splits: {use: random, ratios: {train: 0.5, val: 0.5}}
graph:
  nodes:
    MLP: {model: {$: params.model}, input: Data.x, target: Data.y}
  optimizer: {use: sgd, lr: {$: params.lr}}
losses:
  mse: {use: mse, node: MLP}
plan:
  - phase: train
    label: fit
    split: train
    sampler: {use: simple, batch_size: 16}
    losses: [mse]
    callbacks:
      - {use: evaluation, split: val}
      - {use: evaluation, split: train}
      - {use: early_stopping, monitor: val_loss, patience: 5}
  - group: deep
    do:
      - {phase: eval, label: test, losses: [mse]}
"""


@pytest.fixture(autouse=True)
def _beside_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)


def overridden(*overrides: str) -> Document:
    return load("spec.yaml", Composition(overrides=overrides))


def value_of(key: str, text: str) -> Any:
    """What an override sets, in a document that has nothing else."""
    document = from_mapping({}, composition=Composition(overrides=(f"{key}={text}",)))
    return document.value[key]


def get(document: Document, *path: str | int) -> Any:
    value = document.value
    for part in path:
        value = value[part]
    return value


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("plan.fit.epochs", ("plan", 0, "epochs")),
        ("plan.0.epochs", ("plan", 0, "epochs")),
        ("plan[0].epochs", ("plan", 0, "epochs")),
        ("plan[fit][epochs]", ("plan", 0, "epochs")),
        (" plan . fit . epochs ", ("plan", 0, "epochs")),
        ("plan.deep.do.test.batch_size", ("plan", 1, "do", 0, "batch_size")),
        ("plan.deep.test.batch_size", ("plan", 1, "do", 0, "batch_size")),
        ("plan.1.do.0.batch_size", ("plan", 1, "do", 0, "batch_size")),
        ("plan.fit.callbacks.early_stopping.patience", ("plan", 0, "callbacks", 2, "patience")),
        ("plan.fit.callbacks.1.split", ("plan", 0, "callbacks", 1, "split")),
        ("plan.deep.group", ("plan", 1, "group")),
        ("run.seed", ("run", "seed")),
        ("data.Data.splits.ratios.test", ("data", "Data", "splits", "ratios", "test")),
        ("data.Data.source.shapes[x.y]", ("data", "Data", "source", "shapes", "x.y")),
        ("plan.fit.losses.1", ("plan", 0, "losses", 1)),
        ("plan.2.label", ("plan", 2, "label")),
        ("data.Data.tags.0", ("data", "Data", "tags", 0)),
        ("graph.optimizer.betas.0", ("graph", "optimizer", "betas", 0)),
    ],
)
def test_keys(key: str, path: tuple[str | int, ...]) -> None:
    document = overridden(f"{key}=7")
    assert document.problems == ()
    assert get(document, *path) == 7
    assert str(document.origin(path)) == f"-c:1:{len(key) + 2}"
    before = load("spec.yaml").value
    assert get(document, "losses") == before["losses"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("0x1F", 31),
        ("true", True),
        ("no", "no"),
        ("null", None),
        ("~", None),
        ("", None),
        ("  ", None),
        ("''", ""),
        ('"5"', "5"),
        ("'it''s'", "it's"),
        ("a b", "a b"),
        ("run #5: second", "run #5: second"),
        ("*.txt", "*.txt"),
        ("- a", "- a"),
        ("-", "-"),
        ("---", "---"),
        ("a=b=c", "a=b=c"),
        ("1.2.3", "1.2.3"),
        ("2026-01-01", "2026-01-01"),
        ("12:30", "12:30"),
        ("été", "été"),
        ("[1, 1e-3, a, 'b', [true]]", [1, 0.001, "a", "b", [True]]),
        ("{a: 1, b: {c: null}}", {"a": 1, "b": {"c": None}}),
        ("{}", {}),
        ("[1,\n 2]", [1, 2]),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = value_of("x", text)
    assert found == value
    assert type(found) is type(value)


@given(
    st.text(st.characters(exclude_categories=["Cs"])).filter(
        lambda text: text.lstrip()[:1] not in "[{\"'"
    )
)
def test_other_text_is_taken_as_it_is_or_is_a_scalar(text: str) -> None:
    composition = Composition(overrides=(f"x={text}",))
    try:
        value = from_mapping({}, composition=composition).value["x"]
    except SpecError as error:
        value = [problem.code for problem in error.diagnostics]
    if isinstance(value, list):
        assert value == ["SP006"]
    else:
        assert not isinstance(value, str) or value == text.strip()


@given(
    st.lists(st.text(alphabet="ab.[]={}:, \n\"'0-1#&*!|>\\~\x00é\udc80", max_size=12), max_size=4)
)
def test_any_text_is_applied_or_refused(texts: list[str]) -> None:
    spec = {"a": {"b": [1, {"label": "a"}]}, "b": 0}
    try:
        document = from_mapping(spec, composition=Composition(overrides=tuple(texts)))
    except SpecError as error:
        problems = error.diagnostics
    else:
        problems = document.problems
    for problem in problems:
        assert render(problem)


def test_later_overrides_see_what_earlier_ones_made() -> None:
    document = overridden(
        "losses.l1={use: l1}",
        "losses.l1.node=MLP",
        "plan.fit.losses.1=l1",
        "plan.2={phase: eval, label: again}",
        "plan.again.losses=[l1]",
    )
    assert get(document, "losses", "l1") == {"use": "l1", "node": "MLP"}
    assert get(document, "plan", 0, "losses") == ["mse", "l1"]
    assert get(document, "plan", 2) == {"phase": "eval", "label": "again", "losses": ["l1"]}
    assert str(document.origin(("losses", "l1", "use"))) == "-c:1:17"
    assert str(document.origin(("losses", "l1", "node"))) == "-c:2:16"
    assert validate(document).losses["l1"].node == "MLP"


def test_a_mapping_replaces_a_mapping() -> None:
    document = overridden("graph.optimizer={use: adam}")
    assert get(document, "graph", "optimizer") == {"use": "adam"}


def test_parameters_flow_into_what_refers_to_them() -> None:
    document = overridden("params.lr=1e-3", "params.model.hidden_dim=64")
    assert get(document, "graph", "optimizer", "lr") == 0.001
    assert get(document, "graph", "nodes", "MLP", "model") == {"use": "mlp", "hidden_dim": 64}
    assert str(document.origin(("graph", "optimizer", "lr"))) == "-c:1:11"


def test_an_override_may_refer_to_a_parameter() -> None:
    document = overridden("params.rate=0.5", "graph.optimizer.lr={$: params.rate}")
    assert get(document, "graph", "optimizer", "lr") == 0.5


def test_the_file_is_not_changed_in_memory() -> None:
    spec = {"a": {"b": [1, 2]}}
    document = from_mapping(spec, composition=Composition(overrides=("a.b.0=9", "a.c=1")))
    assert document.value["a"] == {"b": [9, 2], "c": 1}
    assert document.sources[0].value["a"] == spec["a"]


def test_paths_start_at_the_folder_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below/base.yaml").write_text(SPEC)
    (tmp_path / "spec.yaml").write_text("imports: [below/base.yaml]\n")
    changed = overridden("results.dir=out", "data.Data.source.path=other.parquet")
    assert get(changed, "results", "dir") == "out"
    assert get(changed, "data", "Data", "source", "path") == "other.parquet"
    assert get(overridden(), "data", "Data", "source", "path") == "below/data.parquet"


def test_each_override_is_a_line_of_one_text() -> None:
    document = overridden("run.seed=1", "x-note=[1,\n 2]", "run.threads=two")
    origin = document.origin(("run", "threads"))
    assert (str(origin), origin.end_column, origin.text) == ("-c:4:13", 16, "run.threads=two")
    assert document.source_line(origin) == "run.threads=two"


def test_the_examples_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/spec.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(-c .+?)(?:  .*)?$", page, re.MULTILINE)
    overrides = tuple(shlex.split(line)[1] for line in lines)
    spec = {
        "params": {"lr": 0.1},
        "graph": {"optimizer": {"use": "sgd", "lr": {"$": "params.lr"}}},
        "data": {"Cells": {"source": {"use": "parquet", "path": "cells.parquet"}}},
        "losses": {"mse": {"use": "mse", "node": "MLP"}},
        "plan": [
            {"label": "train", "losses": ["mse"], "callbacks": [{"use": "early_stopping"}]},
            {"group": "deep", "do": [{"label": "fit", "sampler": {"use": "simple"}}]},
        ],
    }
    assert len(overrides) == 7
    for override in overrides:
        document = from_mapping(spec, composition=Composition(overrides=(override,)))
        assert document.problems == ()
        assert any(source.name == "-c" for source in document.sources)


WRONG = {
    "SP001_flow": ["losses.mse={use: mse, node: MLP"],
    "SP001_text_after_quote": ["experiment.title='a' b"],
    "SP002_key_twice": ["losses.mse={use: mse, use: l1}"],
    "SP003_deep": [".".join("abcdefghijklm" * 5) + "=1"],
    "SP004_not_finite": ["graph.optimizer.lr=.nan"],
    "SP005_bytes": ["experiment.title=caf\udce9"],
    "SP006_integer": ["run.seed=9007199254740993"],
    "SP103_imports": ["imports.0=base.yaml"],
    "SP103_key": ["graph.nodes.MPL.model.use=cnn"],
    "SP103_label": ["plan.fti.epochs=5"],
    "SP103_label_of_a_phase_in_a_group": ["plan.test.batch_size=5"],
    "SP103_label_in_group": ["plan.deep.tset.batch_size=5"],
    "SP103_parameter": ["graph.nodes.MLP.model.hidden_dim=5"],
    "SP103_scalar": ["params.lr.start=5"],
    "SP104_index": ["plan.5.epochs=5"],
    "SP104_item_of_a_list_that_is_not_there": ["plan.deep.test.metrics.rmse=3"],
    "SP104_name": ["data.Data.features.x=y"],
    "SP104_no_list_yet": ["graph.optimizer.betas.1=0.9"],
    "SP104_two_items": ["plan.fit.callbacks.evaluation.split=train"],
    "SP105_empty_part": ["plan..epochs=5"],
    "SP105_no_key": ["=5"],
    "SP105_no_value": ["novalue"],
    "SP105_open_bracket": ["plan[0.epochs=5"],
    "SP106_reference": ["graph.optimizer.lr={$: params.rate}"],
    "SP107_unused_parameter": ["params.lrr=1e-3"],
    "SP201_key": ["run.sed=5"],
    "SP202_type": ["plan.fit.epochs=many"],
    "SP206_bound": ["plan.fit.epochs=0"],
    "SP206_replaced": ["plan.fit.sampler.batch_size=0"],
    "SP206_replaced_parameter": ["params.lr=-1"],
    "SP401_component": ["graph.optimizer={use: adma}"],
    "SP403_argument": ["params.model.hiden_dim=64"],
    "many": ["plan.fti.epochs=5", "run.seed=x", "plan.deep.test.losses=[]", "grph.x.y=1"],
}


@pytest.mark.parametrize("name", WRONG)
def test_rendered_text(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(overridden(*WRONG[name]))
    rendered = "\n\n".join(render(problem) for problem in caught.value.diagnostics) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in WRONG if name.startswith("SP")])
def test_one_fault_is_one_error(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(overridden(*WRONG[name]))
    assert [problem.code for problem in caught.value.diagnostics] == [name[:5]]


def test_no_text_without_its_overrides() -> None:
    assert sorted(file.stem for file in GOLDEN.iterdir()) == sorted(WRONG)
