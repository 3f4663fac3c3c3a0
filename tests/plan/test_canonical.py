from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import rfc8785

from specplan.errors import PlanError
from specplan.plan.canonical import (
    id_of_written,
    plain,
    plan_bytes,
    plan_id,
    read_plan,
    write_map,
    write_plan,
)
from specplan.plan.compile import compile_mapping, compile_path
from specplan.plan.model import PLAN_VERSION, Plan
from specplan.spec.load import load

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parent.parent / "golden/plan_ids.json"


def spec() -> dict[str, Any]:
    return {
        "specplan": 1,
        "experiment": {"id": "soh"},
        "run": {"seed": 42},
        "data": {
            "Sensor": {
                "source": {"use": "memory", "name": "sensor"},
                "features": ["voltage"],
                "targets": ["soh"],
                "splits": {"use": "random", "ratios": {"train": 0.8, "test": 0.2}},
            }
        },
        "graph": {
            "nodes": {
                "Net": {"model": {"use": "mlp"}, "input": "Sensor.voltage", "target": "Sensor.soh"},
                "Ridge": {
                    "model": {"use": "sklearn.linear_model:Ridge"},
                    "input": "Sensor.voltage",
                    "target": "Sensor.soh",
                },
            },
            "optimizer": {"use": "adam", "lr": 0.01},
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "metrics": {"r2": {"use": "r2", "node": "Ridge"}},
        "plan": [
            {
                "phase": "train",
                "label": "train",
                "split": "train",
                "sampler": {"use": "simple", "batch_size": 32},
                "losses": ["mse"],
            },
            {"phase": "fit", "label": "fit", "split": "train", "metrics": ["r2"]},
        ],
    }


def compiled_of(value: dict[str, Any], **columns: Any) -> Any:
    table: dict[str, Any] = {
        "voltage": np.zeros((50, 10), np.float32),
        "soh": np.zeros(50),
    } | columns
    return compile_mapping(value, tables={"sensor": table, "renamed": table})


def id_of(value: dict[str, Any], **columns: Any) -> str:
    plan_id: str = compiled_of(value, **columns).plan.id
    return plan_id


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _write_defaults(value: dict[str, Any]) -> None:
    value["graph"]["nodes"]["Net"]["model"] |= {"n_layers": 2, "hidden_dim": 32, "dropout": 0}
    value["graph"]["nodes"]["Ridge"]["model"] |= {"alpha": 1, "fit_intercept": True}
    value["graph"]["optimizer"] |= {"betas": [0.9, 0.999]}
    value["losses"]["mse"] |= {"weight": 1, "args": ["outputs", "targets"]}
    value["plan"][0] |= {"epochs": 1, "record": "all"}


def _rename(value: dict[str, Any]) -> None:
    value["experiment"] = {"id": "other", "title": "Other", "tags": {"a": "b"}}
    value["results"] = {"dir": "elsewhere", "durability": "disk", "on_error": "drop"}
    value["data"]["Sensor"]["source"]["name"] = "renamed"


SAME: dict[str, Callable[[dict[str, Any]], None]] = {
    "defaults written out": _write_defaults,
    "names": _rename,
    "lr as text of another form": lambda value: value["graph"]["optimizer"].update(lr=1e-2),
}


def _past_first(value: dict[str, Any]) -> None:
    value["data"]["Sensor"]["splits"] = {"use": "ordered", "ratios": {"train": 0.8, "test": 0.2}}


def _future_first(value: dict[str, Any]) -> None:
    value["data"]["Sensor"]["splits"] = {"use": "ordered", "ratios": {"test": 0.2, "train": 0.8}}


OTHER: dict[str, Callable[[dict[str, Any]], None]] = {
    "past first": _past_first,
    "future first": _future_first,
    "lr": lambda value: value["graph"]["optimizer"].update(lr=0.02),
    "seed": lambda value: value["run"].update(seed=43),
    "alpha": lambda value: value["graph"]["nodes"]["Ridge"]["model"].update(alpha=2),
    "split": lambda value: value["data"]["Sensor"]["splits"].update(seed=1),
    "weight": lambda value: value["losses"]["mse"].update(weight=2),
    "record": lambda value: value["plan"][0].update(record="none"),
    "threads": lambda value: value["run"].update(threads=1),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_meaning_has_the_same_id(name: str) -> None:
    changed = spec()
    SAME[name](changed)
    assert id_of(changed) == id_of(spec())


def test_the_same_meaning_has_the_same_bytes() -> None:
    changed = spec()
    _write_defaults(changed)
    plans = [compiled_of(value).plan for value in (spec(), changed, _reversed(spec()))]
    assert len({plan_bytes(plan) for plan in plans}) == 1


@pytest.mark.parametrize("name", OTHER)
def test_another_meaning_has_another_id(name: str) -> None:
    changed = copy.deepcopy(spec())
    OTHER[name](changed)
    assert id_of(changed) != id_of(spec())


def test_another_value_in_the_data_has_another_id() -> None:
    assert id_of(spec(), soh=np.ones(50)) != id_of(spec())
    assert id_of(spec(), soh=np.zeros(50, np.float32)) != id_of(spec())


def test_json_yaml_and_comments(folder: Path, spec_text: str) -> None:
    compiled = compile_path(folder / "spec.yaml")
    value = load(folder / "spec.yaml").value
    (folder / "spec.json").write_text(json.dumps(_reversed(value)), encoding="utf-8")
    commented = "# A comment\n" + spec_text.replace("lr: 0.01}", "lr: 1.0e-2} # small")
    (folder / "commented.yaml").write_text(commented, encoding="utf-8")
    for name in ("spec.json", "commented.yaml"):
        assert plan_bytes(compile_path(folder / name).plan) == plan_bytes(compiled.plan)


def test_ids_are_stable() -> None:
    """A change of an id makes every plan of every user another one: it needs a good reason."""
    found = {"plain": id_of(spec())}
    for name, change in OTHER.items():
        changed = spec()
        change(changed)
        found[name] = id_of(changed)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_round_trip(folder: Path) -> None:
    compiled = compile_path(folder / "spec.yaml")
    write_plan(compiled, folder / "spec.plan.json")
    read = read_plan(folder / "spec.plan.json")
    assert read.plan == compiled.plan
    assert read.folder == folder
    assert plan_bytes(read.plan) == (folder / "spec.plan.json").read_bytes()
    assert plan_id(read.plan) == compiled.plan.id


def test_paths_start_from_the_folder_of_the_plan(folder: Path) -> None:
    compiled = compile_path(folder / "spec.yaml")
    (folder / "plans/first").mkdir(parents=True)
    target = folder / "plans/first/plan.json"
    write_plan(compiled, target)
    read = read_plan(target)
    assert read.plan.data["Cells"].source.path == "../../data/cells.parquet"
    assert read.plan.results.dir == "../../runs"
    assert read.plan.id == compiled.plan.id
    assert [file.name for file in target.parent.iterdir()] == ["plan.json"]


def test_map(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    compiled = compile_path("spec.yaml")
    (folder / "plans").mkdir()
    write_map(compiled, Path("plans/plan.json"))
    places = json.loads((folder / "plans/plan.map.json").read_text(encoding="utf-8"))
    assert places["/data/Cells"] == {"file": "../spec.yaml", "line": 6, "column": 5}
    assert places["/graph/nodes/Enc"]["line"] == 14
    assert places["/phases/1"]["line"] == 46
    assert places["/phases/1/losses/1"]["line"] == 37


def test_defaults_are_left_out() -> None:
    plan = compiled_of(spec()).plan
    value = plain(plan)
    assert value["plan"] == PLAN_VERSION
    assert "weight" not in value["phases"][0]["losses"][0]
    assert "args" not in value["phases"][0]["losses"][0]["component"]
    assert value["graph"]["optimizer"]["args"]["amsgrad"] is False
    assert msgspec.convert(value, Plan) == plan


def _edit(text: str) -> str:
    return text.replace('"lr":0.01', '"lr":0.02')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_edit, "the contents do not match the id; a plan cannot be edited"),
        (lambda text: text[:-9], "is not JSON: Input data was truncated"),
        (lambda _: "[" * 100_000, "is not JSON: maximum recursion depth exceeded"),
        (lambda _: "[1]", "is not a plan; a plan has the keys `plan` and `id`"),
        (
            lambda text: text.replace('"plan":2', '"plan":3'),
            "is a plan of version 3, this program reads 1 to 2\nhint: a newer specplan wrote it",
        ),
        (lambda text: text.replace('"plan":2', '"plan":0'), "is a plan of version 0, this program"),
        (lambda text: text.replace('"seed":7', '"seed":1e999'), "is not"),
        (lambda text: text.replace('"seed":7', '"seed":9007199254740993'), "is not a valid plan"),
    ],
)
def test_files_that_are_no_plans(folder: Path, change: Callable[[str], str], message: str) -> None:
    path = folder / "plan.json"
    write_plan(compile_path(folder / "spec.yaml"), path)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def _add_guards(value: dict[str, Any]) -> None:
    value["phases"][0]["gurads"] = ["val_mse < 1"]


def _rows_as_text(value: dict[str, Any]) -> None:
    value["phases"][0]["rows"] = "28"


def _no_data(value: dict[str, Any]) -> None:
    value["data"] = [{"source": 1}]


def _no_source(value: dict[str, Any]) -> None:
    value["data"]["Cells"] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_add_guards, "Object contains unknown field `gurads` - at `$.phases[0]`"),
        (_rows_as_text, "Expected `int`, got `str` - at `$.phases[0].rows`"),
        (_no_data, "Expected `object`, got `array` - at `$.data`"),
        (_no_source, "Expected `object`, got `int` - at `$.data[...]`"),
    ],
)
@pytest.mark.parametrize("version", range(1, PLAN_VERSION + 1))
def test_plans_that_only_another_program_can_read(
    folder: Path, version: int, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    value = plain(compile_path(folder / "spec.yaml").plan) | {"plan": version}
    change(value)
    path = folder / "plan.json"
    path.write_bytes(rfc8785.dumps(value | {"id": id_of_written(value)}))
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    assert str(caught.value) == (
        f"{path}: this program cannot read it: {message}\n"
        "hint: a newer specplan may have written it"
    )


def test_a_plan_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read: No such file or directory"):
        read_plan(tmp_path / "plan.json")
