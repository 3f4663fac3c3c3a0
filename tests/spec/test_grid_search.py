"""Fields with several values, and the configurations that are made of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from specplan.experiments import ConfigurationBase, GridSearch, configuration, generate_grid
from specplan.spec.choices import Choices
from specplan.spec.decode import Decoder
from specplan.spec.load import from_mapping


@configuration
class Model:
    """A part of a configuration."""

    width: GridSearch[int] = 32
    dropout: float = 0.0


@configuration
class Configuration(ConfigurationBase):
    """What is to be tried."""

    learning_rate: GridSearch[float] = 1e-3
    model: Model = dataclasses.field(default_factory=Model)
    words: list[str] = dataclasses.field(default_factory=list)


def decoded(**written: Any) -> tuple[Any, list[str]]:
    """The configuration, and what is wrong with what was written."""
    decoder = Decoder(from_mapping(written))
    made = decoder.instance(Configuration, written, (), known={"id": "grid"})
    return made, [f"{fault.code}: {fault.message}" for fault in decoder.problems]


def test_a_field_is_one_value_or_several() -> None:
    made, faults = decoded(learning_rate=[0.1, 1], model={"width": {"range": [16, 64, 16]}})
    assert faults == []
    assert made.learning_rate == Choices([0.1, 1.0])
    assert made.model.width == Choices([16, 32, 48])
    made, faults = decoded(learning_rate={"values_list": [2]}, model={"width": {"value": 8}})
    assert (made.learning_rate, made.model.width, faults) == (Choices([2.0]), Choices([8]), [])
    made, faults = decoded(learning_rate=2)
    assert (made.learning_rate, made.model.width, faults) == (2.0, 32, [])


def test_every_combination_with_tags() -> None:
    made, _ = decoded(
        learning_rate={"values_mult": [1e-4, 2, 10]},
        model={"width": [8]},
        grid_search={"model.dropout": [0.0, 0.5], "words": [["a"]]},
    )
    configurations, tags = generate_grid(made)
    assert tags == [
        {"learning_rate": rate, "model.dropout": dropout}
        for rate in (1e-4, 1e-3)
        for dropout in (0.0, 0.5)
    ]
    for each, tag in zip(configurations, tags, strict=True):
        assert each.learning_rate == tag["learning_rate"]
        assert each.model == Model(width=8, dropout=tag["model.dropout"])
        assert (each.words, each.grid_search, each.id) == (["a"], None, "grid")
    assert made.model.width == Choices([8]), "the one that was given is as it was"
    configurations[0].words.append("b")
    assert configurations[1].words == ["a"]


def test_without_anything_to_try() -> None:
    made, _ = decoded()
    assert generate_grid(made) == ([made], [{}])


def test_a_mapping_is_a_configuration_too() -> None:
    made: dict[str, Any] = {
        "id": "grid",
        "sub": {"x": 1},
        "grid_search": {"sub.x": {"range": [0, 2]}},
    }
    configurations, tags = generate_grid(made)
    assert [each["sub"]["x"] for each in configurations] == [0, 1]
    assert tags == [{"sub.x": 0}, {"sub.x": 1}]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"learning_rate": ["fast"]}, "SP202: expected number, found string"),
        ({"learning_rate": []}, "SP751: values are a list, `range:"),
        ({"learning_rate": {"range": [1, 0]}}, "SP751: there is no number from 1 up to 0"),
        ({"learning_rate": {"uniform": [0, 1]}}, "SP751: `uniform` draws its values"),
        ({"learning_rate": "fast"}, "SP202: expected number or list of values to search"),
    ],
    ids=["type", "empty", "backwards", "drawn", "text"],
)
def test_wrong_values(written: dict[str, Any], message: str) -> None:
    _, faults = decoded(**written)
    assert len(faults) == 1
    assert faults[0].startswith(message)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"model.widht": [1]}, "`model` has no `widht`; it has `width`, `dropout`; did you mean"),
        ({"modle.width": [1]}, "the configuration has no `modle`"),
        ({"model.width": [1.5]}, "`model.width`: expected integer"),
        ({"model.width": 3}, "`model.width`: values are a list"),
    ],
    ids=["name", "part", "type", "one"],
)
def test_a_wrong_block(block: dict[str, Any], message: str) -> None:
    made, _ = decoded(grid_search=block)
    with pytest.raises(ValueError, match="grid_search: ") as caught:
        generate_grid(made)
    assert message in str(caught.value)
