"""Graphs of thousands of nodes: no recursion, and no work that grows with the square of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from specplan.errors import SpecError
from specplan.plan.compile import compile_path

if TYPE_CHECKING:
    from pathlib import Path

NODES = 2000
SECONDS = 3.0
"""Of processor time; half a second is usual."""


def node(source: str | list[str], *, target: bool = False) -> dict[str, Any]:
    model = {"use": "mlp", "output_shape": [1], "n_layers": 0}
    given = {"merge": {"use": "concat"}} if isinstance(source, list) else {"model": model}
    return given | {"input": source} | ({"target": "Cells.soh"} if target else {})


def chain() -> dict[str, Any]:
    nodes = {f"N{index}": node(f"N{index - 1}") for index in range(1, NODES)}
    return {"N0": node("Cells.curve")} | nodes | {"Last": node(f"N{NODES - 1}", target=True)}


def fan_in() -> dict[str, Any]:
    nodes = {f"N{index}": node("Cells.curve") for index in range(NODES)}
    return nodes | {"All": node(list(nodes)), "Last": node("All", target=True)}


def spec(nodes: dict[str, Any]) -> str:
    train = {"phase": "train", "label": "train", "losses": ["mse"], "sampler": {"use": "simple"}}
    source = {"use": "parquet", "path": "data/cells.parquet"}
    value = {
        "specplan": 1,
        "data": {"Cells": {"source": source, "features": ["curve"], "targets": ["soh"]}},
        "graph": {"nodes": nodes, "optimizer": {"use": "sgd"}},
        "losses": {"mse": {"use": "mse", "node": "Last"}},
        "plan": [train, {"phase": "eval", "label": "eval", "losses": ["mse"]}],
    }
    return json.dumps(value, indent=1)


@pytest.mark.parametrize("nodes", [chain(), fan_in()], ids=["chain", "fan-in"])
def test_thousands_of_nodes(folder: Path, nodes: dict[str, Any]) -> None:
    (folder / "spec.json").write_text(spec(nodes))
    started = time.process_time()
    compiled = compile_path(folder / "spec.json")
    assert time.process_time() - started < SECONDS
    assert len(compiled.plan.graph.order) == len(nodes)
    assert compiled.warnings == ()


def test_a_long_cycle_and_what_is_behind_it(folder: Path) -> None:
    nodes = chain()
    nodes["N0"]["input"] = f"N{NODES // 2}"
    (folder / "spec.json").write_text(spec(nodes))
    started = time.process_time()
    with pytest.raises(SpecError) as caught:
        compile_path(folder / "spec.json")
    assert time.process_time() - started < SECONDS
    [cycle] = caught.value.diagnostics
    assert cycle.code == "SP305"
    assert cycle.message.count(" -> ") == NODES // 2 + 1
