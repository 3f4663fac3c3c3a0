"""What `diff` says. `UPDATE_GOLDEN=1 pytest tests/plan/test_diff.py` writes the texts anew."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.plan.canonical import canonical, plan_id, read_plan
from specplan.plan.diff import diff
from specplan.plan.model import Plan
from tests.golden.plans.make import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOLDEN = Path(__file__).parent.parent / "golden/diff"
PLANS = {name: read_plan(HERE / f"v1/{name}.json").plan for name in ("cells", "line")}


def value_of(name: str = "cells") -> Any:
    return json.loads(msgspec.json.encode(PLANS[name]))


def plan_of(value: Any) -> Plan:
    return canonical(msgspec.convert(value, Plan))


def replaced(value: Any, **names: str) -> None:
    """Other names everywhere."""
    text = json.dumps(value)
    for old, new in names.items():
        text = re.sub(rf"\b{old}\b", new, text)
    value.clear()
    value.update(json.loads(text))


def arguments(value: Any) -> None:
    value["graph"]["nodes"]["Enc"]["component"]["args"]["hidden_dim"] = 64
    value["graph"]["nodes"]["Enc"]["parameters"] = 1028
    value["graph"]["nodes"]["Forest"]["component"]["args"]["max_features"] = {"$float": "0.5"}
    value["graph"]["optimizer"]["args"]["lr"] = 0.02
    value["phases"][1]["optimizer"]["args"]["lr"] = 0.02


def data(value: Any) -> None:
    cells = value["data"]["Cells"]
    cells["source"] |= {"digest": "b3:other", "path": "elsewhere.parquet"}
    cells["rows"] = 34
    cells["splits"][0]["rows"] = 22
    cells["splitter"]["args"]["seed"] = 14


def columns(value: Any) -> None:
    cells = value["data"]["Cells"]
    cells["source"]["digest"] = "b3:other"
    cells["columns"]["voltage"] = cells["columns"].pop("name")
    cells["columns"]["soh"]["dtype"] = "float32"
    cells["splits"] = [*cells["splits"][1:], {"name": "late", "rows": 28}]


def phases(value: Any) -> None:
    train, test = value["phases"][1], value["phases"][3]
    train |= {"epochs": 40, "early_stopping": None, "record": "all", "steps": 7}
    train["sampler"]["component"]["args"]["batch_size"] = 4
    train["evaluations"][0]["every_n_epochs"] = 1
    train["losses"] = train["losses"][::-1]
    test["losses"][0]["weight"] = 2.0
    del test["metrics"][1]
    test["records"] = test["records"][:3]
    test["batch_size"] = 2


def nodes(value: Any) -> None:
    graph = value["graph"]
    head = copy.deepcopy(graph["nodes"]["Head"])
    graph["nodes"]["Second"] = head
    del graph["nodes"]["Forest"]
    graph["nodes"]["Scaled"]["component"] = {"use": "sklearn.preprocessing:MinMaxScaler"}
    graph["nodes"]["Head"]["inputs"][0] |= {"value": "Enc", "shape": [4]}
    graph["nodes"]["Head"]["target"] = None
    del value["phases"][2]
    value["phases"][0], value["phases"][1] = value["phases"][1], value["phases"][0]


def labels(value: Any) -> None:
    """Names that streams of random numbers have: recognised through each other, and with other seeds."""
    replaced(value, Enc="Encoder", Fuse="Joined", Cells="Batteries", Forest="Trees")
    value["phases"][1]["path"] = "shallow"
    value["phases"][1]["sampler"]["component"]["args"]["seed"] = 5
    value["graph"]["nodes"]["Trees"]["component"]["args"]["random_state"] = 6


def label_and_more(value: Any) -> None:
    """The only part that is gone, and the only one that is new."""
    replaced(value, Head="Regressor")
    value["graph"]["nodes"]["Regressor"]["component"]["args"]["n_layers"] = 3
    value["phases"][3] |= {"path": "exam", "split": "test", "record": "none"}


def names(value: Any) -> None:
    value["experiment"] |= {"id": "other", "tags": {"chemistry": "LFP"}}
    value["results"]["durability"] = "periodic"
    value["data"]["Cells"]["source"]["path"] = "elsewhere.parquet"


CHANGES: list[Callable[[Any], None]] = [
    arguments, data, columns, phases, nodes, labels, label_and_more, names,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_words(change: Callable[[Any], None]) -> None:
    value = value_of()
    change(value)
    found = diff(PLANS["cells"], plan_of(value))
    lines = ["changes the numbers", *found.numbers, "names and places only", *found.names]
    text = "\n".join(map(str, lines)) + "\n"
    golden = GOLDEN / f"{change.__name__}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_nothing_differs() -> None:
    found = diff(PLANS["cells"], plan_of(value_of()))
    assert (found.numbers, found.names) == ((), ())


EXEMPT = ("experiment", "results", "code", "checkpoint")
POOL: list[Any] = [
    {"x": {"n": 2, "index": 0, "seed": None, "of": [], "within": None,
           "train": {"name": "x", "rows": 1}, "val": {"name": "x", "rows": 1}}},
    [{"group": "x", "kind": "fold", "index": 0, "of": 2}],
    [{"phases": ["x"], "metric": "x", "op": "<", "value": 1, "holds": True}],
    1, "x", {}, [1], ["x"], {"x": [1]}, {"use": "x"}, {"digest": "x"}, {"seed": 1, "digest": "x"}, {"value": "x", "dtype": "x", "shape": []}, {"forward": 1},
    {"monitor": "x", "mode": "min", "patience": 1, "min_delta": 0, "restore_best": True},
    [{"label": "x", "component": {"use": "x"}, "node": "x", "arguments": []}],
    [{"node": "x", "field": "outputs", "dtype": "x", "shape": []}],
    [{"name": "x", "split": "x", "rows": 1, "nodes": [], "losses": [], "metrics": [], "every_n_epochs": 1,
      "batch_size": 1}],
    *re.findall(r'"(\w+)"', " ".join(re.findall(r'"enum":\[.*?\]', json.dumps(
        msgspec.json.schema(Plan), separators=(",", ":"))))),
]  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all values that hold no others."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        place = (*path, key)
        if isinstance(item, dict | list) and item:
            yield from leaves(item, place)
        else:
            yield place


def is_exempt(path: tuple[Any, ...]) -> bool:
    named = path[0] == "data" and path[2] == "source" and path[3] in ("path", "name")
    return path == ("id",) or path[0] in EXEMPT or named


def with_another(value: Any, path: tuple[Any, ...]) -> Plan | None:
    """The plan with another value at one place; None where there is no other."""
    changed = copy.deepcopy(value)
    *rest, last = path
    owner = changed
    for key in rest:
        owner = owner[key]
    now = owner[last]
    others: list[Any] = (
        [now + 1] if isinstance(now, int | float) and not isinstance(now, bool) else []
    )
    others += [f"{now}x"] if isinstance(now, str) else []
    for other in [*others, not now, *POOL]:
        owner[last] = other
        try:
            plan = msgspec.convert(changed, Plan)
        except msgspec.ValidationError:
            continue
        if other != now:
            return msgspec.structs.replace(plan, id=plan_id(plan))
    return None


@pytest.mark.parametrize("name", PLANS)
def test_every_field_that_can_change_a_number_changes_the_id_and_is_told(name: str) -> None:
    plan, value = PLANS[name], value_of(name)
    fixed = set()
    for path in leaves(value):
        other = with_another(value, path)
        if other is None:
            fixed.add(path[-1])
            continue
        found = diff(plan, other)
        assert (other.id == plan.id) is is_exempt(path), path
        assert bool(found.numbers) is not is_exempt(path), path
        assert bool(found.names) is (is_exempt(path) and path != ("id",)), path
        assert all(str(change) for change in (*found.numbers, *found.names))
    # Fields that can have one value only, and parts for which the pool has no other value.
    assert fixed == {
        "callbacks",
        "clips",
        "dtype",
        "feeds",
        "learning_rate",
        "live",
        "optimizers",
        "phase",
        "plateau",
        "scale",
    }
