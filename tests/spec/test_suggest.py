"""Which known name is meant by one that is not known."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specplan.components import COMPONENTS
from specplan.spec.suggest import closest, distance
from specplan.spec.synonyms import SYNONYMS

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE.parents[1] / "schemas/experiment.schema.json").read_text("utf-8"))
MISSPELT = tomllib.loads((HERE / "misspellings.toml").read_text("utf-8"))
WORDS, FAR = MISSPELT.pop("words"), MISSPELT.pop("far")


def keys(place: str) -> list[str]:
    """The keys of a definition of the schema."""
    definition = SCHEMA if place == "spec" else SCHEMA["$defs"][place]
    return [key for key in definition["properties"] if key != "$schema"]


def misspelt() -> Iterator[tuple[str, list[str], str | None]]:
    for place, pairs in MISSPELT.items():
        for written, meant in pairs.items():
            yield written, keys(place), meant
    for written, meant in WORDS["meant"].items():
        lists = [known for known in WORDS["known"] if not meant or meant in known]
        for known in lists[:1] if meant else lists:
            yield written, known, meant or None


@pytest.mark.parametrize(
    ("name", "match"),
    [("epocs", "epochs"), ("EPOCHS", "epochs"), ("Split", "split"), ("zzz", None), ("", None)],
)
def test_closest(name: str, match: str | None) -> None:
    assert closest(name, ["epochs", "split", "record"]) == match


def test_closest_keeps_the_case_of_what_is_known() -> None:
    assert closest("sensordata", ["SensorData"]) == "SensorData"


def test_nothing_is_known() -> None:
    assert closest("a", []) is None


def test_what_people_write() -> None:
    cases = list(misspelt())
    wrong = [(written, closest(written, known)) for written, known, meant in cases]
    right = [found == meant for (_, found), (_, _, meant) in zip(wrong, cases, strict=True)]
    assert len(cases) > 250
    assert sum(right) / len(cases) >= 0.95, [
        case for case, good in zip(wrong, right, strict=True) if not good
    ]


@pytest.mark.parametrize("place", FAR)
def test_nothing_is_suggested_for_a_far_name(place: str) -> None:
    known = [key for key in keys(place) if key != "use"]
    found = {name: closest(name, known) for name in FAR[place]}
    assert found == dict.fromkeys(FAR[place])


@pytest.mark.parametrize(
    "place", [name for name, item in SCHEMA["$defs"].items() if "properties" in item]
)
def test_a_slip_in_a_key_is_understood(place: str) -> None:
    known = keys(place)
    for key in known:
        for at in range(1, len(key) - 1) if len(key) > 3 else ():
            slips = {key[:at] + key[at + 1 :], key[:at] + key[at + 1] + key[at] + key[at + 2 :]}
            assert {closest(slip, known) for slip in slips - set(known)} <= {key}


def test_of_many_numbered_names_the_one_with_the_number_is_meant() -> None:
    known = [f"{name}{number}" for name in ("encoder", "decoder") for number in range(500)]
    assert closest("encodr37", known) == "encoder37"
    assert closest("Decoder-8", known) == "decoder8"


def test_thousands_of_wrong_names_are_quick() -> None:
    known = [f"column{number}" for number in range(2000)]
    started = time.process_time()
    found = [closest(f"colum{number}", known) for number in range(2000)]
    assert found == known
    assert time.process_time() - started < 3.0  # a tenth of it is usual


def test_numbered_names_are_not_each_other() -> None:
    assert closest("fold3", ["fold1", "fold2"]) is None


def test_synonyms_are_of_the_language() -> None:
    beside = {"val", "test", "val_loss", "cpu", "cuda", "n_estimators", "max_iter"}
    assert set(SYNONYMS) - words_of(SCHEMA) <= beside
    assert not any(name in words.split() for name, words in SYNONYMS.items())


def words_of(schema: Any) -> set[str]:
    """Every key and every choice in a schema."""
    if isinstance(schema, list):
        return {word for item in schema for word in words_of(item)}
    if not isinstance(schema, dict):
        return set()
    found = set(schema.get("properties", ())) | {str(item) for item in schema.get("enum", ())}
    return found | {word for item in schema.values() for word in words_of(item)}


def test_components_are_found_by_their_names() -> None:
    for by_name in COMPONENTS.values():
        for name in by_name:
            assert closest(name.upper(), by_name) == name


names = st.text("abc", max_size=6)


@given(first=names, second=names, third=names)
def test_distance_is_one(first: str, second: str, third: str) -> None:
    assert distance(first, second) == distance(second, first)
    assert (distance(first, second) == 0) == (first == second)
    assert distance(third + first, third + second) == distance(first, second)


@pytest.mark.parametrize(
    ("first", "second", "slips"),
    [("trian", "train", 1), ("ca", "abc", 3), ("kitten", "sitting", 3), ("", "abc", 3)],
)
def test_distance(first: str, second: str, slips: int) -> None:
    assert distance(first, second) == slips
