"""The examples of docs/components-of-your-own.md are run as the page has them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specplan._native import parse_text
from specplan.cli.main import main

PAGE = Path(__file__).parents[2] / "docs/components-of-your-own.md"
NAMES = ["age", "sex", "bmi", "bp", *(f"s{number}" for number in range(1, 7))]
SPEC: dict[str, Any] = {
    "specplan": 1,
    "experiment": {"id": "page"},
    "run": {"seed": 42, "threads": 1},
    "data": {
        "Diabetes": {
            "source": {"use": "parquet", "path": "diabetes.parquet"},
            "features": NAMES,
            "targets": ["progression"],
            "splits": {"use": "random", "ratios": {"train": 0.8, "test": 0.2}},
        }
    },
    "graph": {
        "nodes": {
            "Net": {
                "model": {"use": "mlp"},
                "input": "Diabetes.features",
                "target": "Diabetes.progression",
            }
        },
        "optimizer": {"use": "adam"},
    },
    "losses": {"mse": {"use": "mse", "node": "Net"}},
    "plan": [
        {
            "phase": "train",
            "label": "train",
            "split": "train",
            "epochs": 2,
            "losses": ["mse"],
            "sampler": {"use": "simple", "batch_size": 32},
        },
        {"phase": "eval", "label": "test", "split": "test", "losses": ["mse"]},
    ],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def laid_over(below: Any, above: Any) -> Any:
    if not isinstance(above, dict) or "use" in above:
        return above
    return {**below, **{key: laid_over(below.get(key, {}), item) for key, item in above.items()}}


def spec_with(fragment: dict[str, Any]) -> dict[str, Any]:
    """The spec with what the page says; the losses of the phases are those that it has."""
    sampler = fragment.pop("sampler", None)
    whole: dict[str, Any] = laid_over(SPEC, fragment)
    if "losses" in fragment:
        whole["losses"] = fragment["losses"]
    phases = [{**phase, "losses": list(whole["losses"])} for phase in whole["plan"]]
    if sampler is not None:
        phases[0]["sampler"] = sampler
    return {**whole, "plan": phases}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_example_compiles_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table: dict[str, Any] = {name: rng.standard_normal(200) for name in NAMES}
    table["sex"] = rng.integers(0, 2, 200)
    pq.write_table(pa.table({**table, "progression": rng.standard_normal(200)}), "diabetes.parquet")
    programs = blocks("python")
    for program in programs:
        (name,) = re.findall(r"\A# (\w+\.py)$", program, re.M)
        Path(name).write_text(program)
    fragments = [parse_text(fragment, "yaml").value for fragment in blocks("yaml")]
    assert len(fragments) == len(programs) == 5
    for number, fragment in enumerate(fragments):
        spec = Path(f"spec{number}.json")
        spec.write_text(json.dumps(spec_with(fragment)))
        for command in (["compile", str(spec), "--check-imports"], ["run", str(spec)]):
            with pytest.raises(SystemExit) as ended:
                main([*command, "--trust"])
            assert ended.value.code == 0, capsys.readouterr().err
