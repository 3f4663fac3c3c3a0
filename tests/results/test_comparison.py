"""Runs side by side, ranked and asked in SQL."""

from __future__ import annotations

import json
import math
import statistics
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from specplan.cli.compare import GROUP_KEYS
from specplan.cli.main import group
from specplan.errors import RunError
from specplan.results.aligned import aligned
from specplan.results.catalogue import find_runs
from specplan.results.comparison import (
    Group,
    compare,
    folds,
    groups,
    half_width,
    metrics_of,
    paired,
)
from specplan.results.query import query
from specplan.results.settings import leaves
from specplan.track.run import TrackedRun
from tests.cli.conftest import SPEC, run_mlx, write_project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def made(root: Path, experiment: str, params: Mapping[str, object], loss: list[float]) -> str:
    run = TrackedRun.start(root, experiment)
    run.set_params(params)
    for step, value in enumerate(loss):
        run.log_metrics({"loss": value}, step=step, split="val")
    run.end()
    return f"{experiment}/{run.id}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for rate, final in ((0.1, 1.0), (0.2, 2.0)):
        for seed in (1, 2, 3):
            params = {"net": {"width": 8}, "rate": rate, "seed": seed}
            made(tmp_path, "alice/study", params, [9.0, 0.5, final + seed / 10])
    return tmp_path


def test_names_and_patterns_mean_runs(root: Path) -> None:
    assert len(find_runs(["alice/study"], root)) == 6
    assert len(find_runs([], root)) == 6
    assert len(find_runs(["alice/*"], root)) == 6
    one = find_runs(["alice/study"], root)[2]
    assert [run.id for run in find_runs([one.id, f"alice/study/{one.id}"], root)] == [one.id]
    for name in ("bob/*", "bob"):
        with pytest.raises(RunError, match="no run"):
            find_runs([name], root)


def test_what_was_set_otherwise_and_what_was_measured(root: Path) -> None:
    comparison = compare(find_runs(["alice/study"], root))
    assert [(row.name, row.values) for row in comparison.settings] == [
        ("rate", (0.1, 0.1, 0.1, 0.2, 0.2, 0.2)),
        ("seed", (1, 2, 3, 1, 2, 3)),
    ]
    (row,) = comparison.metrics
    assert (row.name, row.values) == ("loss", (1.1, 1.2, 1.3, 2.1, 2.2, 2.3))


@pytest.mark.parametrize(("value", "expected"), [("min", 0.5), ("max", 9.0), ("mean", 10.6 / 3)])
def test_another_value_may_stand_for_a_metric(root: Path, value: str, expected: float) -> None:
    run = find_runs(["alice/study"], root)[0]
    assert metrics_of(run, value) == {"loss": pytest.approx(expected)}  # type: ignore[arg-type]


def test_runs_are_taken_together_over_seeds(root: Path) -> None:
    first, second = groups(find_runs(["alice/study"], root), "seed", "loss")
    assert (first.settings, first.count) == ({"rate": 0.1}, 3)
    assert first.mean == pytest.approx(1.2)
    # Student's t with two degrees of freedom: 4.3027 standard errors on each side.
    assert first.half_width == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6)
    found = paired(first, second)
    assert found is not None
    assert found == pytest.approx((1.0, 0.0, 3), abs=1e-9)
    assert half_width([1.0]) is None


def test_one_run_has_no_interval(root: Path) -> None:
    ids = [run.id for run in find_runs(["alice/study"], root)]
    asked = ("compare", ids[0], ids[3], "--over", "seed", "--root", str(root))
    formats = {
        each: run_mlx(*asked, *each.split(), folder=root)
        for each in ("", "--csv", "--latex", "--html")
    }
    for done in formats.values():
        assert done.returncode == 0, done.stderr
        assert "nan" not in done.stdout
    assert [line.split(",") for line in formats["--csv"].stdout.splitlines()] == [
        ["rate", *GROUP_KEYS],
        ["0.1", "1", "1.1", "", "", "", ""],
        ["0.2", "1", "2.1", "", "1.0", "", "1"],
    ]
    rows = json.loads(run_mlx(*asked, "--json", folder=root).stdout)
    assert [row["half_width"] for row in rows] == [None, None]
    assert rows[1]["difference_half_width"] is None


def test_the_interval_is_that_of_scipy() -> None:
    from scipy import stats  # type: ignore[import-untyped]

    values = {"1": 0.3, "2": 0.9, "3": 0.4, "4": 0.55}
    others = {"2": 0.7, "1": 0.35, "4": 0.1, "5": 9.0}
    numbers = [*values.values()]
    interval = stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
    assert half_width(numbers) == pytest.approx((interval.high - interval.low) / 2)
    first = Group({}, 4, 0.0, 0.0, values)
    found = paired(first, Group({}, 4, 0.0, 0.0, others))
    assert found is not None
    assert found[1] is not None
    interval = stats.ttest_rel([0.35, 0.7, 0.1], [0.3, 0.9, 0.55]).confidence_interval(0.95)
    assert found[0] - found[1] == pytest.approx(interval.low)
    assert found[0] + found[1] == pytest.approx(interval.high)
    assert found[2] == 3
    assert str(half_width([1.0, math.nan])) == "nan"


def test_settings_are_leaves_by_name() -> None:
    spec = {"plan": [{"label": "train", "epochs": 3}, {"phase": "eval"}], "sizes": [1, 2], "x": {}}
    assert leaves(spec) == {
        "plan.train.label": "train",
        "plan.train.epochs": 3,
        "plan.1.phase": "eval",
        "sizes": [1, 2],
        "x": {},
    }


def test_sql_over_runs(root: Path) -> None:
    runs = find_runs(["alice/*"], root)
    best = query(
        runs,
        "select p.number as rate, min(m.value) as loss from metrics m join params p using (run_id) "
        "where p.name = 'rate' and m.step = 2 group by 1 order by 1",
    )
    assert best.arrow.to_pylist() == [{"rate": 0.1, "loss": 1.1}, {"rate": 0.2, "loss": 2.1}]
    assert query(runs, "select count(*) as n from runs").arrow.to_pylist() == [{"n": 6}]
    with pytest.raises(RunError) as raised:
        query(runs, "select * from metric")
    assert str(raised.value) == (
        "Catalog Error: Table with name metric does not exist!\n"
        "hint: tables of these runs: `runs`, `params`, `metrics`"
    )


def test_sql_over_a_run_that_goes_on(tmp_path: Path) -> None:
    run = TrackedRun.start(tmp_path, "live")
    run.log_metrics({"loss": 0.5})
    run.sync()
    rows = query(find_runs(["live"], tmp_path), "select value from metrics").arrow.to_pylist()
    assert rows == [{"value": 0.5}]
    run.end()


def mlx(*words: str) -> str:
    done = CliRunner().invoke(group, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands(root: Path) -> None:
    place = ("--root", str(root))
    table = mlx("compare", "alice/study", "--over", "seed", "--metric", "loss", *place)
    header, first, second = (line.split() for line in table.splitlines())
    assert header == ["rate", "runs", "mean", "±95%", "vs", "first", "±95%", "pairs"]
    assert first == ["0.1", "3", "1.2", "0.248414"]
    assert (second[:4], second[-1]) == (["0.2", "3", "2.2", "0.248414"], "3")
    every = mlx("compare", "alice/study", "--over", "seed", "--csv", *place)
    for line, shown in zip(every.splitlines()[1:], (first + [""] * 3, second), strict=True):
        cells = line.split(",")
        assert [f"{float(cell):.6g}" if cell else "" for cell in cells] == shown
        assert cells[3] == repr(float(cells[3]))
        assert len(cells[3]) > len(shown[3])
    several = mlx("compare", "alice/study", "--value", "last", "--value", "min", "--csv", *place)
    assert [line.split(",")[:2] for line in several.splitlines()[-2:]] == [
        ["loss (last)", "1.1"],
        ["loss (min)", "0.5"],
    ]
    unknown = CliRunner().invoke(group, ["compare", "alice/study", "--over", "sed", *place])
    assert (unknown.exit_code, "no run has a setting `sed`" in unknown.output) == (2, True)
    compared = json.loads(mlx("compare", "alice/study", "--format", "json", *place))
    assert compared["settings"]["seed"] == [1, 2, 3, 1, 2, 3]
    assert compared["metrics"]["loss"][0] == 1.1
    latex = mlx("compare", "alice/study", "--format", "latex", *place)
    assert latex.startswith("\\begin{tabular}{lrrrrrr}\n\\toprule\n")
    page = mlx("compare", "alice/study", "--format", "html", *place)
    assert "<th>alice/study</th><th" in page
    ranked = json.loads(mlx("best", "loss", "--mode", "max", "--json", "--count", "2", *place))
    assert [row["value"] for row in ranked] == [2.3, 2.2]
    (answer,) = json.loads(
        mlx("query", "select count(*) n from metrics", "--format", "json", *place)
    )
    assert answer == {"n": 18}
    empty = CliRunner().invoke(group, ["query", "select name from metrics where step > 99", *place])
    assert (empty.exit_code, empty.stdout, empty.stderr) == (0, "", "no rows of name\n")
    named = json.loads(mlx("best", "loss", "alice/study", "--json", "--count", "9", *place))
    assert named == json.loads(mlx("best", "loss", "--json", "--count", "9", *place))
    assert [row["value"] for row in named] == [1.1, 1.2, 1.3, 2.1, 2.2, 2.3]
    wrong = CliRunner().invoke(group, ["best", "los", *place])
    said = "no run has a value of `los`; there: `loss`; did you mean `loss`?"
    assert (wrong.exit_code, said in wrong.output) == (2, True)


def test_the_greatest_accuracy_is_the_best(tmp_path: Path) -> None:
    for value in (0.25, 0.75, 0.5):
        run = TrackedRun.start(tmp_path, "study")
        run.log_metrics({"val_accuracy": value, "val_error": value})
        run.end()

    def ranked(*words: str) -> list[float]:
        rows = json.loads(mlx("best", *words, "--json", "--root", str(tmp_path)))
        return [row["value"] for row in rows]

    assert ranked("val_accuracy") == [0.75, 0.5, 0.25]
    assert ranked("val_accuracy", "--mode", "min") == [0.25, 0.5, 0.75]
    assert ranked("val_error") == [0.25, 0.5, 0.75]


def test_a_metric_is_meant_by_its_name_or_the_end_of_it(tmp_path: Path) -> None:
    run = TrackedRun.start(tmp_path, "study")
    run.log_metrics({"train/accuracy": 0.9, "test/accuracy": 0.5, "test_accuracy": 0.1})
    run.end()

    def compared(metric: str) -> list[str]:
        asked = ("compare", "study", "--metric", metric, "--json", "--root", str(tmp_path))
        return list(json.loads(mlx(*asked))["metrics"])

    assert compared("test/accuracy") == ["test/accuracy"]
    assert compared("accuracy") == ["train/accuracy", "test/accuracy"]
    asked = ("compare", "study", "--metric", "test_acuracy", "--root", str(tmp_path))
    done = run_mlx(*asked, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith(
        "no run has a metric `test_acuracy`; there: `train/accuracy`, `test/accuracy`, "
        "`test_accuracy`; did you mean `test_accuracy`?\n"
    )


def test_more_runs_than_fit_a_terminal_stand_below_each_other(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [run.id for run in find_runs(["alice/study"], root)]
    asked = ("compare", "alice/study", "--root", str(root))
    whole = mlx(*asked)
    monkeypatch.setattr("specplan.cli.tables.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "50")
    lines = mlx(*asked).splitlines()
    assert max(map(len, lines)) <= 50
    heads = [line.split() for line in lines if line.startswith("alice/study")]
    assert [name for head in heads[::2] for name in head[1:]] == ids
    assert heads[::2] == heads[1::2]  # of the settings, and of the metrics
    monkeypatch.setenv("COLUMNS", "200")
    assert mlx(*asked) == whole


def test_where_there_are_no_runs(tmp_path: Path) -> None:
    done = run_mlx("best", "loss", "--value", "best", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: there are no runs below `runs`\n")


def test_columns_count_the_cells_of_letters() -> None:
    lines = aligned(("name", "n"), [("größe", "1"), ("模型", "20"), ("e\u0301", "3")])
    assert lines == ["name    n", "größe   1", "模型   20", "e\u0301       3"]


def test_runs_are_compared_fold_by_fold(tmp_path: Path) -> None:
    write_project(tmp_path)
    group_of_folds = {
        "group": "cv",
        "for_each": {"use": "folds", "n": 3, "seed": 1},
        "do": [
            {**SPEC["plan"][0], "epochs": 1},
            {"phase": "eval", "label": "val", "split": "val", "losses": ["mse"]},
        ],
    }
    sampled = {**SPEC.get("results", {}), "system_metrics_seconds": 0.1}
    spec = {**SPEC, "plan": [group_of_folds], "results": sampled}
    (tmp_path / "cv.json").write_text(json.dumps(spec))
    for rate in ("0.05", "0.01"):
        change = f"graph.optimizer.lr={rate}"
        done = run_mlx("run", "cv.json", "--quiet", "-c", change, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    first, second = find_runs(["line"], tmp_path / "runs")
    found = folds([first, second], "val/mse")
    assert [each.count for each in found] == [3, 3]
    assert [each.settings["graph.optimizer.lr"] for each in found] == [0.05, 0.01]
    values = [
        [run.metrics("mse", f"cv.fold_{at}.val") for at in range(3)] for run in (first, second)
    ]
    before, after = ([table.arrow["value"][-1].as_py() for table in each] for each in values)
    difference = paired(*found)
    assert difference is not None
    assert difference[0] == pytest.approx(statistics.fmean(after) - statistics.fmean(before))

    def ranked(*words: str) -> dict[tuple[str, str], float]:
        done = run_mlx("best", *words, "--json", folder=tmp_path)
        return {(row["metric"], row["run"]): row["value"] for row in json.loads(done.stdout)}

    by_mean = sorted(
        ((statistics.fmean(each), run.id) for run, each in ((first, before), (second, after)))
    )
    for words in (("val/mse",), ("cv.val/mse",), ("val/mse", "line")):
        assert [*ranked(*words)] == [("cv.val/mse", id_) for _, id_ in by_mean]
        assert [*ranked(*words).values()] == pytest.approx([mean for mean, _ in by_mean])
    assert ranked("fold_1.val/mse") == {
        ("cv.fold_1.val/mse", first.id): before[1],
        ("cv.fold_1.val/mse", second.id): after[1],
    }
    least = ranked("fold_0.train/mse", "--value", "best")
    assert {name for name, _ in ranked("mse", "--value", "best")} == {"cv.train/mse", "cv.val/mse"}
    assert len(least) == 2
    assert difference[2] == 3
    lines = run_mlx(
        "compare", "line", "--over", "fold", "--csv", folder=tmp_path
    ).stdout.splitlines()
    assert (
        lines[0]
        == "metric,run,graph.optimizer.lr,runs,mean,half_width,difference,difference_half_width,pairs"
    )
    assert [line.split(",")[0] for line in lines[1::2]] == [
        *("cv.train/train_loss", "cv.train/mse", "cv.val/mse", "cv.val/eval_loss")
    ]
