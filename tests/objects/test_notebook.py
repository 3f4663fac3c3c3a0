"""What a notebook and a terminal show of objects. `UPDATE_GOLDEN=1` with this file writes the texts anew."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

from specplan import EvalPhase, ExperimentRun, PhaseGroup, SimpleSampler, TrainPhase
from specplan.objects.history import History
from specplan.results.scalar_series import MetricEntry, MetricSeries
from specplan.store.run_file import PhaseTiming, Status

if TYPE_CHECKING:
    from tests.objects.parts import Parts

GOLDEN = Path(__file__).parents[1] / "golden/notebook"
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def check(name: str, value: object) -> None:
    page = value._repr_html_()  # type: ignore[attr-defined]
    fromstring(f"<div>{page}</div>")
    text = re.sub(r"\d+\.\d\d s", "0.00 s", f"{value!r}\n\n{page}\n")
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def group_of(parts: Parts) -> PhaseGroup:
    train = TrainPhase.from_split("fit", "train", SimpleSampler(16), [parts.loss], 2)
    evaluate = EvalPhase.from_split("check", "test", [parts.loss])
    return PhaseGroup("outer", [PhaseGroup("inner", [train]), evaluate])


def test_a_feature_set(parts: Parts) -> None:
    check("feature_set", parts.feature_set)


def test_a_plan_of_phases(parts: Parts) -> None:
    check("phase_group", group_of(parts))


def test_results(parts: Parts) -> None:
    results = parts.experiment.run_group(group_of(parts))
    first, head, *lines = repr(results).splitlines()
    assert first == "PhaseGroupResults outer: 2 phases"
    assert head.split() == ["phase", "kind", "status", "took", "recorded", "last", "metrics"]
    assert [line.split()[:3] for line in lines] == [
        ["outer.inner.fit", "train", "completed"],
        ["outer.check", "eval", "completed"],
    ]
    fromstring(f"<div>{results._repr_html_()}</div>")
    fromstring(f"<div>{results['check']._repr_html_()}</div>")


def test_metrics() -> None:
    values = {("loss", 0, None): 0.5, ("loss", 1, None): 0.25, ("<b>", 1, 3): 1e-12}
    entries = {
        key: MetricEntry(
            name=key[0], value=value, epoch_idx=key[1], batch_idx=key[2], split="train"
        )
        for key, value in values.items()
    }
    check("metrics", MetricSeries(("name", "epoch", "batch"), entries))


def test_the_history() -> None:
    end = START + timedelta(seconds=1.5)
    timing = PhaseTiming(
        path="train",
        started_at=START.isoformat(),
        ended_at=end.isoformat(),
        status=Status.COMPLETED,
    )
    runs = [
        ExperimentRun(
            label="train",
            started_at=START,
            ended_at=end,
            status=Status.COMPLETED,
            execution_meta=(timing,),
        ),
        ExperimentRun(
            label="eval",
            started_at=START,
            ended_at=end,
            status=Status.FAILED,
            error="RunError: <script>alert(1)</script> & more",
        ),
    ]
    check("history", History(runs))
    assert repr(History()) == "History: 0 runs"
