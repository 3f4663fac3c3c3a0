"""Round trips: what is written comes back as the same spec, through plain values, JSON and YAML."""

from __future__ import annotations

import enum
import json
import typing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specplan.components import COMPONENTS, Kind
from specplan.spec import model
from specplan.spec.compose import LARGEST_INTEGER
from specplan.spec.load import from_mapping, load
from specplan.spec.model import AxisSpec, Entry, GroupSpec, NodeSpec, Spec, from_value, to_value
from specplan.spec.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

DEVICES = st.sampled_from(["auto", "cpu", "mps", "cuda", "cuda:1"])
LABELS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,6}", fullmatch=True).filter(
    lambda label: not label.startswith("x-")
)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).filter(
    lambda text: not text.startswith("x-")
)
FLOATS = st.floats(0, 0.5, allow_subnormal=False)


def components(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """Components of a kind, some of their parameters left out."""
    choices = []
    for use, declaration in COMPONENTS[kind].items():
        arguments = plain_fields(declaration)
        choices.append(st.tuples(st.just({"use": use}), arguments).map(lambda two: two[0] | two[1]))
    return st.one_of(choices)


def plain_fields(declaration: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    """Plain values of the fields of a declaration, some of those with a default left out."""
    required: dict[Any, st.SearchStrategy[Any]] = {}
    optional: dict[Any, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(declaration):
        values = values_of(field.type)
        (required if field.required else optional)[field.encode_name] = values
    return st.fixed_dictionaries(required, optional=optional)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Plain values that a declared parameter takes."""
    if is_struct(annotation):
        return plain_fields(annotation)
    if annotation is float:
        return st.floats(0.01, 0.99, allow_subnormal=False)
    if annotation in (int, str, bool, type(None)):
        simple = {int: st.integers(1, LARGEST_INTEGER), str: TEXTS, bool: st.booleans()}
        return simple.get(annotation, st.none())
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated and arguments[0] is int:
        least = max(meta.ge or 1 for meta in arguments[1:])
        return st.integers(least, min(meta.le or LARGEST_INTEGER for meta in arguments[1:]))
    least = max((getattr(meta, "ge", None) or 0 for meta in arguments[1:]), default=0)
    if origin is typing.Annotated and arguments[0] is float:
        return st.floats(least or 0.01, least + 0.9, allow_subnormal=False)
    shortest = max((getattr(meta, "min_length", None) or 0 for meta in arguments[1:]), default=0)
    if shortest > 1:
        item = typing.get_args(arguments[0])[0]
        return st.lists(values_of(item), min_size=shortest, max_size=shortest + 1)
    if origin is typing.Annotated:
        return values_of(arguments[0])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is dict:
        return st.dictionaries(LABELS, values_of(arguments[1]), min_size=1, max_size=1)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments)).map(list)
    return st.one_of([values_of(argument) for argument in arguments])


NUMBERS = st.integers(1, 9) | st.floats(0.1, 9, allow_subnormal=False)
PAIRS = st.lists(NUMBERS, min_size=2, max_size=2).map(tuple)
SEVERAL = st.lists(st.integers(1, 9) | TEXTS, min_size=1, max_size=3).map(tuple)
AXES = st.one_of(
    st.builds(AxisSpec, values=SEVERAL),
    st.builds(AxisSpec, range=st.lists(NUMBERS, min_size=2, max_size=3).map(tuple)),
    st.builds(AxisSpec, range_mult=st.lists(NUMBERS, min_size=3, max_size=3).map(tuple)),
    st.builds(AxisSpec, uniform=PAIRS),
    st.builds(AxisSpec, log_uniform=PAIRS),
    st.builds(AxisSpec, integers=st.lists(st.integers(0, 9), min_size=2, max_size=2).map(tuple)),
)
SEVERAL_TEXTS = st.lists(TEXTS, max_size=2).map(tuple)
COMPONENT_FIELDS: dict[tuple[str, str], Kind] = {
    ("FeatureSetSpec", "source"): "source",
    ("FeatureSetSpec", "splits"): "split",
    ("GraphSpec", "optimizer"): "optimizer",
    ("InputSpec", "sampler"): "sampler",
    ("LossSpec", "component"): "loss",
    ("MetricSpec", "component"): "metric",
    ("ScaleSpec", "component"): "scaler",
    ("SweepSpec", "method"): "method",
    ("SweepSpec", "pruner"): "pruner",
    ("TrainSpec", "sampler"): "sampler",
}


def parts(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Objects of the spec, every field drawn."""
    if cls is NodeSpec:
        rest = {"input": TEXTS | SEVERAL_TEXTS, "target": st.none() | TEXTS}
        return st.one_of(
            st.builds(NodeSpec, model=components("model"), **rest),
            st.builds(NodeSpec, merge=components("merge"), **rest),
        )
    if cls is AxisSpec:
        return AXES
    hints = typing.get_type_hints(cls, include_extras=True)
    drawn: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(cls):
        kind = COMPONENT_FIELDS.get((cls.__name__, field.name))
        if field.name == "callbacks":
            drawn[field.name] = st.lists(components("callback"), max_size=2).map(tuple)
        elif kind is not None:
            optional = field.name in {"splits", "optimizer", "pruner"}
            drawn[field.name] = st.one_of(components(kind), *[st.none()] * optional)
        elif field.name == "vary":
            drawn[field.name] = st.dictionaries(TEXTS, SEVERAL | AXES, min_size=1, max_size=2)
        else:
            drawn[field.name] = of_field(hints[field.name])
    return st.builds(cls, **drawn)


def of_field(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field of the spec."""
    if annotation is model.Label or annotation is model.Device:
        return LABELS if annotation is model.Label else DEVICES
    if annotation == tuple[str, ...]:
        return SEVERAL_TEXTS
    if is_struct(annotation):
        return parts(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return st.sampled_from(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated and typing.get_origin(arguments[0]) is tuple:
        item = typing.get_args(arguments[0])[0]
        if item is str or is_struct(item):
            items = TEXTS if item is str else parts(item)
            return st.lists(items, min_size=1, max_size=2).map(tuple)
        return ENTRIES
    if origin is tuple:
        objects = is_struct(arguments[0])
        several = st.lists(parts(arguments[0]), max_size=2) if objects else values_of(annotation)
        return several.map(tuple)
    if origin is dict and arguments[0] is model.Label:
        return st.dictionaries(LABELS, of_field(arguments[1]), max_size=2)
    if origin is dict:
        return st.dictionaries(TEXTS, of_field(arguments[1]), max_size=2)
    if any(is_struct(each) or holds_structs(each) for each in arguments):
        return st.one_of([of_field(each) for each in arguments])
    if tuple[str, ...] in arguments:
        return st.none() | SEVERAL_TEXTS
    return values_of(annotation)


def is_struct(annotation: Any) -> bool:
    """Whether it is an object of the spec."""
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def holds_structs(annotation: Any) -> bool:
    """Whether it is a tuple of objects of the spec, with limits or without."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        return holds_structs(arguments[0])
    return typing.get_origin(annotation) is tuple and is_struct(arguments[0])


def group_of(inner: st.SearchStrategy[Entry]) -> dict[str, st.SearchStrategy[Any]]:
    """What every group has."""
    do = st.lists(inner, max_size=2).map(tuple)
    return {"group": LABELS, "when": st.none() | TEXTS, "do": do}


PHASES: st.SearchStrategy[Entry] = st.one_of(
    parts(model.TrainSpec), parts(model.EvalSpec), parts(model.FitSpec)
)
GROUPED: st.SearchStrategy[Entry] = st.recursive(
    PHASES,
    lambda inner: st.one_of(
        st.builds(GroupSpec, for_each=components("repetition"), **group_of(inner)),
        st.builds(GroupSpec, repeat=st.none() | parts(model.RepeatSpec), **group_of(inner)),
    ),
    max_leaves=3,
)
ENTRIES = st.lists(GROUPED, min_size=1, max_size=2).map(tuple)
SPECS: st.SearchStrategy[Spec] = parts(Spec)


@settings(deadline=None, max_examples=60)
@given(SPECS)
def test_plain_values(spec: Spec) -> None:
    value = to_value(spec)
    assert from_value(value, name="other") == spec
    assert validate(from_mapping(value)) == spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("specs")


@settings(deadline=None, max_examples=60)
@given(spec=SPECS)
def test_files(folder: Path, spec: Spec) -> None:
    text = json.dumps(to_value(spec), ensure_ascii=False, indent=1)
    for name in ("spec.json", "spec.yaml"):
        (folder / name).write_text(text, encoding="utf-8")
        assert validate(load(folder / name)) == spec


@settings(deadline=None, max_examples=60)
@given(spec=SPECS)
def test_block_yaml(folder: Path, spec: Spec) -> None:
    (folder / "block.yaml").write_text("\n".join(block(to_value(spec), "")), encoding="utf-8")
    assert validate(load(folder / "block.yaml")) == spec


def block(value: Any, indent: str) -> list[str]:
    """Lines of YAML in block style; scalars and what is empty as JSON writes them."""
    if isinstance(value, dict) and value:
        pairs = [(f"{json.dumps(key, ensure_ascii=False)}:", item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        pairs = [("-", item) for item in value]
    else:
        return [indent + json.dumps(value, ensure_ascii=False)]
    lines = []
    for head, item in pairs:
        below = block(item, indent + "  ")
        if isinstance(item, dict | list) and item:
            lines += [indent + head, *below]
        else:
            lines.append(f"{indent}{head} {below[0].strip()}")
    return lines
