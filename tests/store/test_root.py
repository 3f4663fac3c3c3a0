"""Where runs go."""

from __future__ import annotations

from pathlib import Path

import pytest

from specplan.errors import RunError
from specplan.store.layout import RunFolder, experiment_folder, root_of
from specplan.store.root import runs_root


def test_the_first_that_is_said_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECPLAN_HOME", "home")
    of_plan = Path("deep")
    assert runs_root("given", folder=of_plan, results="of_plan") == Path("given")
    assert runs_root(folder=of_plan, results="of_plan") == Path("home")
    monkeypatch.setenv("SPECPLAN_HOME", "")
    assert runs_root(folder=of_plan, results="of_plan") == Path("deep/of_plan")
    assert runs_root(folder=of_plan) == Path("runs")


@pytest.mark.parametrize("results", ["..", "../other", "/elsewhere", "runs/../.."])
def test_a_plan_cannot_send_runs_out_of_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, results: str
) -> None:
    monkeypatch.delenv("SPECPLAN_HOME", raising=False)
    with pytest.raises(RunError) as caught:
        runs_root(folder=tmp_path, results=results)
    assert str(caught.value) == (
        f"results.dir is `{results}`, which leaves the folder of the spec\n"
        f"hint: say where the runs go with `--root {results}`"
    )
    assert runs_root(results, folder=tmp_path, results=results) == Path(results)


@pytest.mark.parametrize("experiment", ["cells", "lab/cells/old"])
def test_the_root_is_found_from_a_run(experiment: str) -> None:
    root = Path("/data/runs")
    run = RunFolder(experiment_folder(root, experiment) / "20260101-000000-00000000")
    assert root_of(run, experiment) == root
