"""The printed plan. `UPDATE_GOLDEN=1 pytest tests/plan/test_explain.py` writes the texts anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from specplan.plan.canonical import read_plan, write_plan
from specplan.plan.compile import compile_mapping, compile_path
from specplan.plan.explain import explain

GOLDEN = Path(__file__).parent.parent / "golden/explain"


def check(text: str, name: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_all_of_the_language(folder: Path) -> None:
    text = explain(compile_path(folder / "spec.yaml").plan)
    # The footer of the data file, and so the id, depends on the version of pyarrow.
    check(re.sub("b3:[0-9a-f]{64}", "b3:(id)", text), "cells")


def test_a_plan_from_a_file_reads_the_same(folder: Path) -> None:
    compiled = compile_path(folder / "spec.yaml")
    write_plan(compiled, folder / "plan.json")
    assert explain(read_plan(folder / "plan.json").plan) == explain(compiled.plan)


def test_smallest() -> None:
    spec = {
        "experiment": {"id": "smallest"},
        "data": {"S": {"source": {"use": "memory", "name": "S"}, "features": ["x"]}},
        "graph": {"nodes": {"Net": {"model": {"use": "mlp", "output_shape": [2]}, "input": "S.x"}}},
        "plan": [{"phase": "eval", "label": "look", "batch_size": 4}],
    }
    plan = compile_mapping(spec, tables={"S": {"x": np.zeros(6, np.int8)}}).plan
    check(explain(plan), "smallest")
