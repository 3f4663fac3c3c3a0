"""Several runs side by side: what was set otherwise, and what they measured."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.results.compare import SERIES
from specplan.results.passes import independent, spreads
from specplan.results.settings import ends_in, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.results.open import Run

Value = Literal["last", "min", "max", "mean"]
CONFIDENCE = 0.95
ABSENT = object()
"""What a run has of a setting or metric that it has not."""


class Row(msgspec.Struct, frozen=True):
    """One setting or metric, and what it is in each run, `ABSENT` where it is not."""

    name: str
    values: tuple[Any, ...]


class Comparison(msgspec.Struct, frozen=True):
    """Runs side by side.

    Attributes:
        runs: `<experiment>/<run>` of each.
        settings: those that are not the same in all runs.
        metrics: every metric of any of them.
    """

    runs: tuple[str, ...]
    settings: tuple[Row, ...]
    metrics: tuple[Row, ...]


class Group(msgspec.Struct, frozen=True):
    """Runs that differ only in what was varied, such as the seed.

    Attributes:
        settings: what tells the group from the others.
        count: runs that have the metric.
        mean: of their values.
        half_width: the mean is this near, with a confidence of 95 %, if the values are spread normally;
            None for one run, of which nothing can be said.
        values: by what was varied.
    """

    settings: dict[str, Any]
    count: int
    mean: float
    half_width: float | None
    values: dict[str, float]


def compare(runs: Sequence[Run], value: Value = "last") -> Comparison:
    """Put runs side by side.

    Args:
        runs: at least one.
        value: what stands for the values of a metric: the last (of the epoch whose weights stay), the
            least, the greatest or the mean of the values of whole epochs or phases.
    """
    found = [settings(run.folder) for run in runs]
    measured = [metrics_of(run, value) for run in runs]
    return Comparison(
        runs=tuple(f"{run.experiment}/{run.id}" for run in runs),
        settings=tuple(row for row in _rows(found) if len({*map(_key, row.values)}) > 1),
        metrics=tuple(_rows(measured)),
    )


def metrics_of(run: Run, value: Value = "last") -> dict[str, float]:
    """One number of each metric of a run, by a name with only the parts that are needed to tell it."""
    return _named({_series(row): row["value"] for row in _rows_of(run, value)})


def means_of(run: Run, value: Value = "last") -> dict[str, float]:
    """As `metrics_of`, each metric once: of one that was measured in folds, or with several seeds, the mean of these.

    Nothing for a run of a plan without such passes.
    """
    plan = run.plan
    if not any(phase.passes for phase in plan.phases):
        return {}
    rows = _rows_of(run, value)
    means: dict[tuple[str, ...], float] = {
        (each.phase, each.split or "", each.node or "", each.name): each.mean
        for each in spreads(plan.phases, rows)
    }
    inside = {phase.path for phase in plan.phases if independent(phase)}
    once: dict[tuple[str, ...], float] = {
        _series(row): row["value"] for row in rows if row["phase"] not in inside
    }
    once |= means
    return _named(once)


def _rows_of(run: Run, value: Value) -> list[dict[str, Any]]:
    """One row for each series of a run, with one number as its value."""
    if value == "last":
        return run.last_metrics()
    whole: dict[tuple[str, ...], list[float]] = {}
    single: dict[tuple[str, ...], list[float]] = {}
    for row in run.metric_rows().rows():
        into = whole if row["batch"] is None else single
        into.setdefault(_series(row), []).append(row["value"])
    take: Any = {"min": min, "max": max, "mean": statistics.fmean}[value]
    return [
        {
            **{part: text or None for part, text in zip(SERIES, series, strict=True)},
            "value": take(numbers),
        }
        for series, numbers in {**single, **whole}.items()
    ]


def folds(runs: Sequence[Run], metric: str) -> list[Group]:
    """Each run as a group of its folds, or of its seeds, where they are passes of its plan.

    Args:
        runs: all of them; those without such passes, or without the metric in them, are left out.
        metric: name of a metric with its phase, or its end.
    """
    found = [settings(run.folder) for run in runs]
    differ = {row.name for row in _rows(found) if len({*map(_key, row.values)}) > 1}
    gathered = []
    for run, own in zip(runs, found, strict=True):
        values = {
            f"{spread.phase} {label}": value
            for spread in run.spreads()
            if ends_in(f"{spread.phase}/{spread.name}", metric)
            for label, value in zip(spread.passes, spread.values, strict=True)
        }
        if values:
            told = {name: own[name] for name in own if name in differ}
            gathered.append(_group({"run": f"{run.experiment}/{run.id}", **told}, values))
    return gathered


def is_setting(runs: Sequence[Run], name: str) -> bool:
    """Whether a run has a setting of this name, or whose name ends so."""
    return any(ends_in(each, name) for run in runs for each in settings(run.folder))


def groups(runs: Sequence[Run], over: str, metric: str, value: Value = "last") -> list[Group]:
    """Runs that differ only in the setting `over`, with the mean of a metric in each group.

    Args:
        runs: all of them.
        over: name of a setting, such as `run.seed`, or its end.
        metric: name of a metric, as `metrics_of` has it, or its end.
        value: as for `compare`.
    """
    found = [settings(run.folder) for run in runs]
    differ = {row.name for row in _rows(found) if len({*map(_key, row.values)}) > 1}
    gathered: dict[str, tuple[dict[str, Any], dict[str, float]]] = {}
    for run, own in zip(runs, found, strict=True):
        told = {name: own[name] for name in differ if name in own and not ends_in(name, over)}
        varied = next((own[name] for name in own if ends_in(name, over)), run.id)
        _, values = gathered.setdefault(_key(sorted(told.items())), (told, {}))
        for name, number in metrics_of(run, value).items():
            if ends_in(name, metric):
                values[f"{varied}" if f"{varied}" not in values else f"{varied} ({run.id})"] = (
                    number
                )
    return [_group(told, values) for told, values in gathered.values() if values]


def paired(first: Group, second: Group) -> tuple[float, float | None, int] | None:
    """Mean difference (second - first) of runs that were varied alike, its half width, and how many pairs.

    The interval is that of a paired t test: of the differences `d = second - first` of each pair the mean, and
    `half_width` around it. Runs with one seed, or folds of the same rows, are easy or hard together; in their
    differences that is gone. None where no value of what was varied is in both.
    """
    differences = [
        second.values[key] - first.values[key] for key in first.values if key in second.values
    ]
    if not differences:
        return None
    return statistics.fmean(differences), half_width(differences), len(differences)


def half_width(values: Sequence[float]) -> float | None:
    """Half of the confidence interval of a mean, by Student's t distribution.

    `t * s / sqrt(n)` of n values, where `s * s` is the sum of squared distances from the mean divided by n - 1,
    and `t` the 97.5 % quantile of Student's distribution with n - 1 degrees of freedom: so far from the true mean, in
    units of `s / sqrt(n)`, is the mean of n values that are spread normally in 1 of 20 samples (Student, The probable
    error of a mean, Biometrika 6, 1908). Folds share rows, so over folds it is too narrow rather than too wide
    (Bengio and Grandvalet, No unbiased estimator of the variance of k-fold cross-validation, JMLR 5, 2004).

    None for one value, which has no spread; NaN where a value is not finite.
    """
    if len(values) < 2:
        return None
    if not all(map(math.isfinite, values)):
        return math.nan
    from scipy.stats import t  # type: ignore[import-untyped]

    deviation = statistics.stdev(values) / math.sqrt(len(values))
    return float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation


def _group(told: dict[str, Any], values: dict[str, float]) -> Group:
    numbers = [*values.values()]
    return Group(told, len(numbers), statistics.fmean(numbers), half_width(numbers), values)


def _rows(found: Sequence[dict[str, Any]]) -> list[Row]:
    names = dict.fromkeys(name for each in found for name in each)
    return [Row(name, tuple(each.get(name, ABSENT) for each in found)) for name in names]


def _key(value: object) -> str:
    return "" if value is ABSENT else repr(value)


def _series(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[part] or "" for part in SERIES)


def _named(values: dict[tuple[str, ...], float]) -> dict[str, float]:
    """By phase and name; split and node only where they tell two series apart."""
    found: dict[str, float] = {}
    for series, number in values.items():
        phase, split, node, name = series
        short = "/".join(part for part in (phase, name) if part)
        alike = [other for other in values if (other[0], other[3]) == (phase, name)]
        parts = (phase, split, node, name) if len(alike) > 1 else ()
        label = "/".join(part for part in parts if part) or short
        found[label] = number
    return found
