from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import specplan

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.standard_normal(40), "b": rng.standard_normal(40)})
    pq.write_table(table, tmp_path / "rows.parquet")
    return {
        "data": {
            "Rows": {
                "source": {"use": "parquet", "path": str(tmp_path / "rows.parquet")},
                "features": ["a"],
                "targets": ["b"],
            }
        },
        "graph": {
            "nodes": {"Net": {"model": {"use": "mlp"}, "input": "Rows.a", "target": "Rows.b"}},
            "optimizer": {"use": "sgd"},
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [
            {
                "phase": "train",
                "label": "train",
                "sampler": {"use": "simple", "batch_size": 8},
                "losses": ["mse"],
            }
        ],
    }


def test_a_mapping_becomes_a_plan_a_run_and_a_table(spec: dict[str, Any], tmp_path: Path) -> None:
    plan = specplan.compile(spec)
    run = plan.run(root=tmp_path / "runs")
    assert run.metrics(name="train_loss").num_rows == 6
    assert run.tensors("Net").stacked().shape == (40, 1)
    assert specplan.open(run.folder.path).id == run.id
    assert specplan.open(run.id, root=tmp_path / "runs").plan.id == plan.id


def test_a_file_and_a_mapping_of_one_meaning_are_one_plan(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"specplan": 1, **spec}))
    assert specplan.compile(path).id == specplan.compile(str(path)).id == specplan.compile(spec).id


def test_overrides_of_a_file_and_of_a_mapping(spec: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"specplan": 1, **spec}))
    overrides = ["plan.train.sampler.batch_size=4", "experiment.id=other"]
    plans = [specplan.compile(source, overrides=overrides) for source in (path, spec)]
    assert [plan.model.experiment.id for plan in plans] == ["other", "other"]
    assert plans[0].id == plans[1].id != specplan.compile(spec).id
    with pytest.raises(specplan.SpecError, match=r"^-c:1:6: error\[SP103\]"):
        specplan.compile(spec, overrides=["plan.trian.epochs=3"])
    for wrong in ("run.seed=1", [1]):
        with pytest.raises(TypeError, match="override"):
            specplan.compile(spec, overrides=wrong)  # type: ignore[arg-type]


def test_warnings_are_errors_where_that_is_asked_for(spec: dict[str, Any]) -> None:
    spec["metrics"] = {"r2": {"use": "r2", "node": "Net"}}
    [warning] = specplan.compile(spec).warnings
    assert (warning.code, warning.severity) == ("SP306", "warning")
    with pytest.raises(specplan.SpecError, match=r"error\[SP306\]: no phase uses metric r2"):
        specplan.compile(spec, strict=True)


def test_a_plan_is_written_and_read(spec: dict[str, Any], tmp_path: Path) -> None:
    plan = specplan.compile(spec)
    plan.save(tmp_path / "plan.json")
    again = specplan.Plan.load(tmp_path / "plan.json")
    assert again.id == plan.id
    assert again.run(root=tmp_path / "runs").status == "completed"


def test_a_plan_shows_itself(spec: dict[str, Any]) -> None:
    plan = specplan.compile({**spec, "experiment": {"id": "demo"}})
    assert repr(plan) == f"Plan(demo, {plan.id[:15]}…, phases=['train'])"
    assert "Net" in plan.explain()
    assert plan._repr_html_().startswith("<pre>")
    assert plan.model.experiment.id == "demo"
    assert plan.warnings == ()


def test_a_wrong_spec_raises_with_everything_that_is_wrong(spec: dict[str, Any]) -> None:
    spec["plan"][0]["losses"] = ["msq"]
    spec["graph"]["nodes"]["Net"]["input"] = "Rows.c"
    with pytest.raises(specplan.SpecError) as caught:
        specplan.compile(spec)
    errors = [found for found in caught.value.diagnostics if found.severity == "error"]
    assert [found.code for found in errors] == ["SP302", "SP301"]


@pytest.mark.parametrize("spec", [None, []])
def test_a_spec_is_a_path_or_a_mapping(spec: Any) -> None:
    with pytest.raises(TypeError, match=r"^a spec is the path of a file or a mapping, not \w+$"):
        specplan.compile(spec)


def test_saving_where_there_is_no_folder_names_the_file(
    tmp_path: Path, spec: dict[str, Any]
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        specplan.compile(spec).save(tmp_path / "plans" / "a.json")
    assert caught.value.filename == str(tmp_path / "plans" / "a.json")
