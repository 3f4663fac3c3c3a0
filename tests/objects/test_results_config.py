"""Where the runs of an experiment lie."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import specplan
from specplan import ArtifactResult, Callback, EvalPhase, Experiment, ResultsConfig
from specplan.results.verify import verify_run

if TYPE_CHECKING:
    from specplan import EvalResults
    from tests.objects.parts import Parts


class Keeps(Callback):
    def on_phase_end(self) -> object:  # type: ignore[override]
        return ArtifactResult("numbers", np.arange(3))


def run(parts: Parts, config: ResultsConfig | None) -> EvalResults:
    experiment = Experiment.from_active_context("exp", results_config=config, overwrite=True)
    phase = EvalPhase.from_split("eval", "test", [parts.loss], callbacks=[Keeps()])
    results = experiment.run_phase(phase)
    assert isinstance(results, specplan.EvalResults)
    return results


def test_both_documented_forms_are_one(tmp_path: Path) -> None:
    ours, theirs = ResultsConfig(results_dir=tmp_path), ResultsConfig(base_dir=str(tmp_path))
    assert ours == theirs == ResultsConfig(tmp_path, base_dir=tmp_path)
    assert ours.results_dir is ours.base_dir
    assert (ours.save_execution, ours.save_metrics, ours.save_artifacts) == (True, False, True)
    assert repr(ResultsConfig(save_metrics=True)) == (
        "ResultsConfig(save_execution=True, save_metrics=True, save_artifacts=True)"
    )


def test_an_explicit_place_beats_the_flag(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    config = ResultsConfig(
        tmp_path / "runs", save_artifacts=False, artifacts=elsewhere, execution="in-memory"
    )
    assert (config.save_artifacts, config.save_execution) == (True, False)
    assert config.location("artifacts") == elsewhere
    assert config.home == tmp_path / "runs"
    assert ResultsConfig(artifacts=elsewhere).home == elsewhere
    assert ResultsConfig().home is None
    assert ResultsConfig().save_execution is False
    assert ResultsConfig.from_config(config.get_config()) == config


@pytest.mark.parametrize(
    "folder",
    ["./memory", "memory2", "/ram", "ram/1", "memory/", "./in-memory", Path("memory"), Path("ram")],
    ids=str,
)
def test_a_folder_may_have_any_name(folder: str | Path) -> None:
    config = ResultsConfig(execution=folder)
    assert config.location("execution") == Path(folder)
    given = config.get_config()
    assert ResultsConfig(**given) == ResultsConfig.from_config(given) == config
    # Earlier versions wrote it so.
    assert ResultsConfig.from_config(given | {"execution": "memory"}).save_execution is True


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    message = "two names of one folder; these differ: `a` and `b`$"
    with pytest.raises(ValueError, match=message):
        ResultsConfig("a", base_dir="b")
    with pytest.raises(TypeError, match=r'^metrics is a path, "in-memory" or None, not int$'):
        ResultsConfig(metrics=1)  # type: ignore[arg-type]
    message = r"""^artifacts: 'in_memory' would be a folder; memory is "in-memory", and that folder "./in_"""
    with pytest.raises(ValueError, match=message):
        ResultsConfig(artifacts="in_memory")
    with pytest.raises(TypeError, match=r"^base_dir is a path or None, not int$"):
        ResultsConfig(base_dir=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^save_metrics is True or False, not str$"):
        ResultsConfig(save_metrics="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^results_config is a ResultsConfig, not str$"):
        Experiment("exp", results_config="runs")  # type: ignore[arg-type]
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        ValueError, match="must be empty, absent, or hold nothing but runs; it has `not"
    ):
        ResultsConfig(tmp_path)
    with pytest.raises(ValueError, match=r"notes.txt` is not a folder$"):
        ResultsConfig(tmp_path / "notes.txt")


def test_a_folder_with_runs_of_the_experiment_is_gone_on_with(parts: Parts, tmp_path: Path) -> None:
    run(parts, ResultsConfig(tmp_path))
    again = run(parts, ResultsConfig(tmp_path))
    assert again.run.version == 2
    assert again.run.folder.path.parent == tmp_path / "exp"
    message = "hold nothing but runs of experiment `other`; it has `exp`$"
    with pytest.raises(ValueError, match=message):
        Experiment("other", results_config=ResultsConfig(tmp_path))


@pytest.mark.parametrize(
    "places",
    [
        {"base_dir": "runs"},
        {"base_dir": "runs", "execution": "in-memory", "artifacts": "in-memory"},
        {"base_dir": "runs", "execution": "tensors", "metrics": "scalars", "artifacts": "figures"},
        {"execution": "tensors"},
        {},
    ],
)
def test_results_are_read_in_the_same_way_wherever_they_lie(
    parts: Parts, tmp_path: Path, places: dict[str, Any]
) -> None:
    paths = {
        kind: place if place == "in-memory" else tmp_path / place for kind, place in places.items()
    }
    results, expected = run(parts, ResultsConfig(**paths)), run(parts, None)
    assert results.metrics().values() == expected.metrics().values()
    np.testing.assert_array_equal(results.stacked_tensors("MLP"), expected.stacked_tensors("MLP"))
    np.testing.assert_array_equal(results.artifacts().one().artifact, np.arange(3))
    assert verify_run(results.run.folder).damages == ()
    for place in {path for path in paths.values() if isinstance(path, Path)}:
        assert list(place.glob(f"exp/{results.run.id}/*"))


def test_what_is_in_memory_goes_and_the_metrics_stay(parts: Parts, tmp_path: Path) -> None:
    results = run(parts, ResultsConfig(tmp_path, execution="in-memory"))
    folder = results.run.folder
    records = folder.records.resolve()
    assert records.is_dir()
    assert sorted(path.name for path in folder.tables.iterdir()) == ["metrics.parquet"]
    losses = results.metrics("eval_loss").values()
    del results
    parts.experiment.history.clear()
    gc.collect()
    assert not records.exists()
    opened = specplan.open(folder.path)
    assert opened.metrics("eval_loss").arrow.column("value").to_pylist() == [losses[-1].value]


def test_previews_leave_nothing_on_disk(parts: Parts, tmp_path: Path) -> None:
    experiment = Experiment.from_active_context(
        "exp", results_config=ResultsConfig(tmp_path), overwrite=True
    )
    results = experiment.preview_phase(EvalPhase.from_split("eval", "test", [parts.loss]))
    assert len(results.tensors("MLP")) == 1
    assert list(tmp_path.iterdir()) == []
