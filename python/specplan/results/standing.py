"""How the experiments below a root stand: one line for the newest run of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.errors import RunError, StoreError
from specplan.results.locate import all_runs, experiment_of
from specplan.results.open import Run
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from pathlib import Path

_OVER = (Status.COMPLETED, Status.SKIPPED)
SPARKS = "▁▂▃▄▅▆▇█"


class Standing(msgspec.Struct, frozen=True):
    """The newest run of an experiment.

    Attributes:
        done: phases that are over; of `total`.
        metrics: the last value of each metric, and all of its values.
    """

    experiment: str
    run_id: str
    host: str
    status: Status
    started_at: str
    done: int
    total: int
    metrics: dict[str, tuple[float, ...]] = {}


def standings(root: Path, *, with_metrics: bool = False) -> list[Standing]:
    """The newest run of every experiment, by the name of the experiment. Damaged runs are left out."""
    newest = {experiment_of(folder, root): folder for folder in all_runs(root)}
    found = []
    for name, folder in newest.items():
        try:
            run = Run(folder)
            found.append(_standing(name, run, with_metrics=with_metrics))
        except (RunError, StoreError):
            continue
    return found


def _standing(name: str, run: Run, *, with_metrics: bool) -> Standing:
    session = run.run_file.sessions[-1]
    return Standing(
        experiment=name,
        run_id=run.id,
        host=session.host,
        status=run.status,
        started_at=session.started_at,
        done=sum(phase.status in _OVER for phase in run.phases),
        total=len(run.plan.phases),
        metrics=_curves(run) if with_metrics else {},
    )


def _curves(run: Run) -> dict[str, tuple[float, ...]]:
    """Values of whole epochs and phases where there are some, else of all steps; of the last phase."""
    rows = run.metrics().arrow.select(["phase", "name", "batch", "value"]).to_pylist()
    if not rows:
        return {}
    last = rows[-1]["phase"]
    curves: dict[str, list[float]] = {}
    whole = {row["name"] for row in rows if row["phase"] == last and row["batch"] is None}
    for row in rows:
        of_step = row["batch"] is not None and row["name"] in whole
        if row["phase"] == last and not of_step:
            curves.setdefault(row["name"], []).append(row["value"])
    return {name: tuple(values) for name, values in curves.items()}


def sparkline(values: tuple[float, ...], width: int = 16) -> str:
    """The last values as a line of blocks; a value that is not finite is a gap."""
    shown = values[-width:]
    finite = [value for value in shown if abs(value) < float("inf")]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    steps = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        SPARKS[round((value - low) * steps)] if abs(value) < float("inf") else " "
        for value in shown
    )
