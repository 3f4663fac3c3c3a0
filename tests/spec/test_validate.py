from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specplan.errors import SpecError
from specplan.spec.faults import schema_faults
from specplan.spec.load import from_mapping, load
from specplan.spec.model import EvalSpec, GroupSpec, TrainSpec, components_of
from specplan.spec.validate import validate

if TYPE_CHECKING:
    from specplan.spec.document import Document

CORPUS = Path(__file__).parent / "corpus"
RIGHT = sorted((CORPUS / "right").iterdir())
STEMS = sorted({file.stem for file in RIGHT})


@pytest.mark.parametrize("file", RIGHT, ids=lambda file: file.name)
def test_right_specs(file: Path) -> None:
    document = load(file)
    assert validate(document).experiment.id
    assert list(schema_faults(document)) == []


@pytest.mark.parametrize("stem", STEMS)
def test_json_and_yaml_give_the_same_spec(stem: str) -> None:
    first, second = (
        validate(load(CORPUS / "right" / f"{stem}{suffix}")) for suffix in (".json", ".yaml")
    )
    assert first == second


def test_types_of_the_design_example() -> None:
    spec = validate(load(CORPUS / "right/design.yaml"))
    assert spec.experiment.id == "soh-mlp"
    assert spec.graph.nodes["MLP"].model == {
        "use": "mlp",
        "output_shape": [1],
        "n_layers": 2,
        "hidden_dim": 32,
    }
    assert spec.losses["mse"].component == {"use": "mse"}
    assert spec.losses["mse"].args == ("outputs", "targets")
    train, evaluate = spec.plan
    assert isinstance(train, TrainSpec)
    assert train.epochs == 3
    assert isinstance(evaluate, EvalSpec)


def test_groups_nest() -> None:
    spec = validate(load(CORPUS / "right/everything.yaml"))
    outer = spec.plan[0]
    assert isinstance(outer, GroupSpec)
    inner = outer.do[1]
    assert isinstance(inner, GroupSpec)
    assert [phase.label for phase in inner.do if not isinstance(phase, GroupSpec)] == ["net", "fit"]


def test_every_component_is_listed() -> None:
    spec = validate(load(CORPUS / "right/everything.yaml"))
    kinds = {kind for _, kind, _ in components_of(spec)}
    assert kinds == {
        "source", "split", "sampler", "model", "merge", "loss", "optimizer", "metric", "callback",
    }  # fmt: skip
    paths = [path for path, kind, _ in components_of(spec) if kind == "callback"]
    assert paths == [("plan", 0, "do", 1, "do", 0, "callbacks", n) for n in range(2)]


def test_id_is_the_stem_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "my spec.yaml"
    file.write_text((CORPUS / "right/smallest.yaml").read_text())
    assert validate(load(file)).experiment.id == "my_spec"


def test_mapping() -> None:
    value = json.loads((CORPUS / "right/smallest.json").read_text())
    del value["specplan"]
    assert validate(from_mapping(value)).experiment.id == "experiment"


def test_faults_of_a_mapping_say_the_path() -> None:
    value = json.loads((CORPUS / "right/smallest.json").read_text())
    value["plan"][0]["epocs"] = 3
    with pytest.raises(SpecError) as caught:
        validate(from_mapping(value))
    assert str(caught.value) == (
        "plan[0].epocs: error[SP201]: unknown key `epocs`; known: accumulate, active, batch_schedule, callbacks, epochs, inputs, "
        "label, losses, phase, record, record_nodes, sampler, split, when\n"
        "hint: did you mean `epochs`, which is there already?"
    )


def test_two_parameters_of_a_mapping_are_two_faults() -> None:
    value = json.loads((CORPUS / "right/smallest.json").read_text())
    value["params"] = {"a": "x", "b": "x"}
    value["graph"]["nodes"]["Net"]["model"] |= {
        "n_layers": {"$": "params.a"},
        "hidden_dim": {"$": "params.b"},
    }
    with pytest.raises(SpecError) as caught:
        validate(from_mapping(value))
    assert [problem.origin.path[-1] for problem in caught.value.diagnostics] == [
        "n_layers",
        "hidden_dim",
    ]


def test_scikit_learn_takes_any_argument() -> None:
    value = json.loads((CORPUS / "right/smallest.json").read_text())
    model = {"use": "sklearn.linear_model:Ridge", "alpha": 0.5, "positive": True}
    value["graph"]["nodes"]["Net"]["model"] = model
    assert validate(from_mapping(value)).graph.nodes["Net"].model == model


def test_nothing_heavy_is_loaded_for_a_right_spec() -> None:
    program = (
        "import sys\n"
        "from specplan.spec.load import load\n"
        "from specplan.spec.validate import validate\n"
        "validate(load(sys.argv[1]))\n"
        "heavy = {'jsonschema', 'numpy', 'torch', 'pyarrow', 'pandas', 'sklearn'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    command = [sys.executable, "-c", program, str(CORPUS / "right/everything.yaml")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"


# ---- both ways of checking agree ---------------------------------------------------------------

EVERYTHING: dict[str, Any] = load(CORPUS / "right/everything.yaml").value


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(below for key, item in items for below in _paths(item, (*path, key)))]


PATHS = [path for path in _paths(EVERYTHING) if path not in {(), ("specplan",)}]
KEYS = sorted(
    {key for path in PATHS for key in path if isinstance(key, str)} | {"a b", "", "batch_size"}
)
SCALARS = st.sampled_from(
    [None, True, False, 0, 1, -1, 3, 0.0, 1.0, 0.5, -0.5, 1e300, "", "a", "a b", "train", "fit",
     "mse", "mlp", "cnn", "none", "sklearn.svm:SVR", "sklearn.svm.SVR", "my:Net", "outputs"]
)  # fmt: skip
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from(KEYS), SCALARS, max_size=3),
    st.sampled_from(PATHS).map(lambda path: copy.deepcopy(_at(EVERYTHING, path))),
)


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_model_and_schema_agree(data: st.DataObject) -> None:
    value = copy.deepcopy(EVERYTHING)
    *above, last = data.draw(st.sampled_from(PATHS))
    owner = _at(value, tuple(above))
    match data.draw(st.sampled_from(["replace", "delete", "add"])):
        case "replace":
            owner[last] = data.draw(VALUES)
        case "delete":
            del owner[last]
        case "add" if isinstance(owner, dict):
            owner[data.draw(st.sampled_from(KEYS))] = data.draw(VALUES)
        case "add":
            owner.append(data.draw(VALUES))
    document = from_mapping(value)
    codes = _codes(document)
    assert "SP900" not in codes
    assert bool(codes) == bool(list(schema_faults(document)))


def _codes(document: Document) -> list[str]:
    try:
        validate(document)
    except SpecError as error:
        return [problem.code for problem in error.diagnostics]
    return []


def test_disagreement_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object, **__: object) -> None:
        raise msgspec.ValidationError("Expected `nothing`")

    monkeypatch.setattr("specplan.spec.validate.from_value", refuse)
    with pytest.raises(SpecError, match=r"SP900.*Expected `nothing`"):
        validate(load(CORPUS / "right/smallest.yaml"))
