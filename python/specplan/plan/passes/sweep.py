"""Pass: the sweep of a spec, as far as it can be checked without compiling each of its runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from specplan.components.method import BY_RUNS
from specplan.plan.model import Train
from specplan.spec.axes import AxisError, axis_of
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from specplan.plan.model import Phase
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.schedule import Schedule
    from specplan.spec.axes import Axis
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import SweepSpec

NOT_RUN = "SP750"
"""Code of the warning that a spec has a sweep, which only `mlx sweep` runs."""
_HERE: Path = ("sweep",)
_METRIC: Path = ("sweep", "metric")


def check(context: Context, schedule: Schedule) -> None:
    """Report what is wrong with the sweep; warn that what is compiled is the spec without it."""
    sweep = context.spec.sweep
    if sweep is None:
        return
    known, right = len(context.diagnostics), context.right
    axes = _axes(context, sweep)
    if len(axes) == len(sweep.vary) and sweep.method.get("use") == "grid":
        _check_grid(context, sweep, axes)
    if len(axes) == len(sweep.vary) and sweep.method.get("use") == "cmaes":
        _check_cmaes(context, axes)
    if not right:
        return  # a phase that has a fault is not among those that measure
    _check_metric(context, sweep, schedule)
    if len(context.diagnostics) == known:
        context.warning(
            NOT_RUN,
            "the spec has a sweep, and this is its plan without it",
            _HERE,
            hint="`mlx sweep` compiles and runs every point of it",
            key=True,
        )


def _axes(context: Context, sweep: SweepSpec) -> list[Axis]:
    found = []
    for address, spec in sweep.vary.items():
        try:
            found.append(axis_of(address, spec))
        except AxisError as error:
            path = (*_HERE, "vary", address)
            context.error("SP751", str(error), path, hint=error.hint)
    return found


def _check_grid(context: Context, sweep: SweepSpec, axes: list[Axis]) -> None:
    drawn = [axis for axis in axes if axis.is_drawn]
    for axis in drawn:
        message = f"a grid has to know the values of `{axis.address}`, and these are drawn"
        hint = "`range` and `range_mult` count values out; `method: {use: random}` draws them"
        context.error("SP753", message, axis.path, hint=hint)
    if drawn:
        return
    count = math.prod(axis.count for axis in axes)
    if count > sweep.runs:
        sizes = " x ".join(str(axis.count) for axis in axes)
        of = f" ({sizes})" if len(axes) > 1 else ""
        message = f"Too many combinations: {count}{of}; `runs` allows {sweep.runs}"
        hint = f"`runs: {count}` allows them, `method: {{use: random}}` draws {sweep.runs} of them"
        context.error("SP752", message, (*_HERE, "vary"), hint=hint, key=True)


def _check_cmaes(context: Context, axes: list[Axis]) -> None:
    ranges = [axis for axis in axes if axis.is_drawn or axis.whole]
    if len(ranges) < 2:
        message = f"`cmaes` moves in two or more ranges of numbers, and the sweep has {len(ranges)}"
        hint = "`uniform`, `log_uniform` and `integers` are ranges; `tpe` takes any values"
        context.error("SP753", message, (*_HERE, "method"), hint=hint)


def _check_metric(context: Context, sweep: SweepSpec, schedule: Schedule) -> None:
    if sweep.metric is None:
        _check_needs_no_metric(context, sweep)
        return
    phases = {name: phase for phase in schedule.phases for name in names_of(phase)}
    label, _, metric = sweep.metric.rpartition("/")
    phase = phases.get(label)
    if phase is None:
        message = f"`{sweep.metric}` is no metric of a phase, `PHASE/METRIC`"
        listed = f"; phases: {quoted(phases)}"
        hint = did_you_mean(label, phases) if label else _with_phase(metric, phases)
        context.error("SP754", message + listed, _METRIC, hint=hint)
    elif metric not in phase.measured:
        measured = phase.measured
        message = f"phase `{label}` has no metric `{metric}`; it has {quoted(measured) or 'none'}"
        context.error("SP754", message, _METRIC, hint=did_you_mean(metric, measured))
    elif sweep.pruner is not None and not (isinstance(phase, Train) and phase.path == label):
        message = f"a pruner looks at the epochs of one train phase, and `{label}` is none"
        hint = "an `evaluation` callback measures between the epochs of a train phase"
        context.error("SP754", message, _METRIC, hint=hint)


def _check_needs_no_metric(context: Context, sweep: SweepSpec) -> None:
    named = {"method": sweep.method.get("use"), "pruner": (sweep.pruner or {}).get("use")}
    for part, use in named.items():
        if use in BY_RUNS or (use is not None and part == "pruner"):
            message = f"`{use}` goes by a metric, and the sweep names none"
            hint = "`metric: PHASE/METRIC` says which, such as `metric: test/rmse`"
            context.error("SP753", message, (*_HERE, part), hint=hint)


def names_of(phase: Phase) -> tuple[str, ...]:
    """What a metric may call a phase: by its path, or all of its folds or seeds together."""
    return tuple(dict.fromkeys((phase.path, phase.path_without_passes)))


def _with_phase(metric: str, phases: dict[str, Phase]) -> str | None:
    found = [label for label, phase in phases.items() if metric in phase.measured]
    return f"did you mean `{found[-1]}/{metric}`?" if found else None
