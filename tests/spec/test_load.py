from __future__ import annotations

import enum
from pathlib import Path

import numpy as np
import pytest

from specplan.errors import SpecError
from specplan.spec.load import from_mapping, load

TEXT = "specplan: 1\ndata:\n  Sensor:\n    features: [voltage, current]\n"


def test_value_and_folder(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(TEXT)
    document = load(tmp_path / "spec.yaml")
    assert document.value == {
        "specplan": 1,
        "data": {"Sensor": {"features": ["voltage", "current"]}},
    }
    assert document.folder == tmp_path
    assert document.name == "spec"


def test_origin_of_value_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    document = load("spec.yaml")
    item = document.origin(("data", "Sensor", "features", 1))
    assert (item.line, item.column, item.end_column) == (4, 25, 32)
    assert str(item) == "spec.yaml:4:25"
    key = document.origin(("data", "Sensor", "features"), key=True)
    assert (key.line, key.column, key.end_column) == (4, 5, 13)
    assert document.source_line(key) == "    features: [voltage, current]"


def test_origin_of_what_is_not_there_is_what_is_around_it(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(TEXT)
    document = load(tmp_path / "spec.yaml")
    inside = document.origin(("data", "Sensor", "source", "path"))
    assert (inside.line, inside.column) == (4, 5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"specplan": 1}'),
        ("a.JSON", '{"specplan": 1}'),
        ("a.yml", "specplan: 1"),
        ("a.spec", '\n {"specplan": 1}'),
        ("a", "# a comment\nspecplan: 1"),
    ],
)
def test_format(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert load(tmp_path / name).value == {"specplan": 1}


@pytest.mark.parametrize(
    ("stem", "name"), [("soh-mlp", "soh-mlp"), ("2 cells.v1", "_2_cells_v1"), ("été", "_t_")]
)
def test_name_is_a_label(tmp_path: Path, stem: str, name: str) -> None:
    (tmp_path / f"{stem}.yaml").write_text("specplan: 1")
    assert load(tmp_path / f"{stem}.yaml").name == name


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        load("spek.yaml")
    assert str(caught.value) == (
        "spek.yaml: error[SP007]: there is no such file\nhint: did you mean `spec.yaml`?"
    )


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"error\[SP007\]: this is a folder, not a file"):
        load(tmp_path)


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_bytes("a: 1\nb: é".encode() + b"\xff")
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "spec.yaml")
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.message) == ("SP005", "byte 10 (0xff) is not UTF-8")
    assert (problem.origin.line, problem.origin.column) == (2, 5)


def test_faults_of_the_text_are_all_reported(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"a": 1, "a": 2, "b": NaN}')
    slips = load(tmp_path / "spec.json").slips
    assert [problem.code for problem in slips] == ["SP002", "SP004"]
    assert slips[0].labels[0].text == "first defined here"


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"PAR1\x15\x04", "this is a Parquet file, not a spec in JSON or YAML"),
        (b"ARROW1\0\0", "this is an Arrow file, not a spec in JSON or YAML"),
        (b"PK\x03\x04", "this is a zip archive, not a spec in JSON or YAML"),
    ],
)
def test_another_file_in_place_of_a_spec(tmp_path: Path, start: bytes, message: str) -> None:
    (tmp_path / "data.parquet").write_bytes(start + bytes(20))
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "data.parquet")
    assert [problem.message for problem in caught.value.diagnostics] == [message]


def test_mapping_becomes_plain() -> None:
    class Color(enum.StrEnum):
        RED = "red"

    mapping = {
        "color": Color.RED,
        "rate": np.float64(0.5),
        "shape": (1, 2),
        "path": Path("data/sensor.parquet"),
        "nothing": None,
        "flag": True,
    }
    value = from_mapping(mapping).value
    assert value == {
        "specplan": 1,
        "color": "red",
        "rate": 0.5,
        "shape": [1, 2],
        "path": "data/sensor.parquet",
        "nothing": None,
        "flag": True,
    }
    assert type(value["color"]) is str
    assert type(value["rate"]) is float


def test_mapping_is_copied() -> None:
    mapping: dict[str, dict[str, object]] = {"data": {"Sensor": {}}}
    document = from_mapping(mapping)
    mapping["data"].clear()
    assert document.value["data"] == {"Sensor": {}}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"a": [{"b": {1, 2}}]}, "a[0].b: a spec cannot hold an object of type `set`"),
        ({"a": b"bytes"}, "a: a spec cannot hold an object of type `bytes`"),
        ({"a": {1: 2}}, "a: keys are strings, this one is 1"),
    ],
)
def test_mapping_that_json_cannot_write(mapping: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        from_mapping(mapping)
    assert str(caught.value) == message


def test_mapping_has_paths_instead_of_places() -> None:
    document = from_mapping({"data": {"Sensor": {}}}, folder="specs")
    assert str(document.origin(("data", "Sensor"))) == "data.Sensor"
    assert document.folder == Path.cwd() / "specs"
    assert document.name == "experiment"
