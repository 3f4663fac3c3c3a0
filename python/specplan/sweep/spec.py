"""A spec with a sweep, and the plans of its points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from blake3 import blake3
from msgspec.structs import replace

from specplan.components.method import BY_RUNS
from specplan.errors import RunError, SpecError
from specplan.plan.compile import compile_document
from specplan.plan.passes.sweep import NOT_RUN
from specplan.spec.axes import Axis, axes_of
from specplan.spec.composition import Setting
from specplan.spec.diagnostics import Diagnostic, Origin
from specplan.spec.load import load
from specplan.spec.model import SweepSpec
from specplan.spec.wording import as_json
from specplan.sweep.check import each_once, with_values
from specplan.sweep.folder import SEED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from specplan.plan.model import Compiled
    from specplan.plan.passes.context import CodeUse
    from specplan.spec.composition import Composition
    from specplan.spec.document import Document
    from specplan.sweep.points import Values

THREADS = 1
"""Threads of a run where the spec says nothing: more of them, or fewer for more runs at a time, could change bits."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """A spec with a sweep, checked but for its points.

    Attributes:
        base: the spec without the sweep, compiled.
        seeds: seeds of `run.seed` that each point is run with; None where the spec says its seed.
        key: what makes it the same sweep when it is called again: what is run, and how points are chosen,
            but not how many.
    """

    path: Path
    composition: Composition
    code: CodeUse
    spec: SweepSpec
    axes: tuple[Axis, ...]
    seeds: Axis | None
    base: Compiled
    key: str

    @property
    def columns(self) -> tuple[Axis, ...]:
        """Everything that a point gives a value."""
        return self.axes if self.seeds is None else (*self.axes, self.seeds)

    @property
    def most_runs(self) -> int:
        """How many there are where the points are not known before: so many for each seed."""
        return self.spec.runs * (1 if self.seeds is None else self.seeds.count)

    @property
    def method(self) -> str:
        """Name of how points are chosen."""
        return str(self.spec.method["use"])


def read_sweep(
    path: Path, composition: Composition, code: CodeUse, *, seeds: int | None = None
) -> Sweep:
    """Read and check a spec with a sweep; `seeds` are how many each point is run with.

    Raises:
        SpecError: with everything that is wrong; or it has no sweep.
        RunError: seeds are asked for where they cannot be.
    """
    document = load(path, composition)
    if "sweep" not in document.value:
        if seeds is None:
            raise SpecError([_without_sweep(document)])
        varied = f"sweep.vary[{SEED}]={{range: [0, {seeds}]}}"
        composition = replace(composition, overrides=(*composition.overrides, varied))
        return read_sweep(path, composition, code)
    base = compile_document(document, code=code)
    assert base.spec is not None, "it was a spec"
    written = base.spec["sweep"]
    spec = msgspec.convert(written, SweepSpec)
    chosen = {name: item for name, item in written.items() if name != "runs"}
    # What is chosen by means over seeds is chosen otherwise with more of them.
    with_seeds = seeds if spec.method["use"] in BY_RUNS and seeds else seeds is not None
    key = blake3(as_json([base.plan.id, chosen, with_seeds]).encode()).hexdigest()
    return Sweep(
        path=path,
        composition=composition,
        code=code,
        spec=spec,
        axes=axes_of(spec.vary),
        seeds=None if seeds is None else _seeds(spec, seeds),
        base=replace(base, warnings=tuple(w for w in base.warnings if w.code != NOT_RUN)),
        key=key,
    )


def _seeds(spec: SweepSpec, count: int) -> Axis:
    if SEED in spec.vary:
        raise RunError(f"the sweep has seeds of its own: it varies `{SEED}`")
    return Axis(address=SEED, path=("sweep",), values=range(count))


def compile_point(sweep: Sweep, point: Values) -> Compiled:
    """The plan of one point. A fault of it stands where the sweep says the value, or tells it beside.

    Raises:
        SpecError: with everything that is wrong.
    """
    settings = tuple(choice.setting for choice in point) + _for_all(sweep)
    composition = replace(sweep.composition, settings=settings)
    try:
        return compile_document(load(sweep.path, composition), code=sweep.code)
    except SpecError as error:
        faults = [with_values(fault, _document(sweep), point) for fault in error.diagnostics]
        raise SpecError(faults) from error


def compile_points(sweep: Sweep, points: Iterable[Values]) -> list[tuple[Values, Compiled]]:
    """The plans of all points, each plan once.

    Raises:
        SpecError: with everything that is wrong with any of them, each fault once.
    """
    compiled: list[tuple[Values, Compiled]] = []
    faults: list[Diagnostic] = []
    for point in points:
        try:
            compiled.append((point, compile_point(sweep, point)))
        except SpecError as error:
            faults += error.diagnostics
    if faults:
        raise SpecError(each_once(faults, _document(sweep)))
    first: dict[str, tuple[Values, Compiled]] = {}
    for point, plan in compiled:
        first.setdefault(plan.plan.id, (point, plan))
    return list(first.values())


def _for_all(sweep: Sweep) -> tuple[Setting, ...]:
    """What every point is given beside its own values."""
    given: dict[str, Any] = {}
    addresses = {axis.address for axis in sweep.axes}
    if sweep.base.plan.numerics.threads is None and "run.threads" not in addresses:
        given["run.threads"] = THREADS
    if sweep.base.plan.experiment.add_timestamp:
        given["experiment.add_timestamp"] = False  # the runs of a sweep are of one experiment
    return tuple(
        Setting(address=address, value=value, key=("sweep",), place=("sweep",))
        for address, value in given.items()
    )


def _without_sweep(document: Document) -> Diagnostic:
    return Diagnostic(
        code="SP755",
        message="the spec has no sweep, so there is nothing to vary",
        origin=Origin(file=document.sources[0].name),
        hint="`sweep: {vary: {run.seed: {range: [0, 5]}}}` runs it with five seeds, and so does `--seeds 5`",
    )


def _document(sweep: Sweep) -> Document:
    assert sweep.base.document is not None, "a spec was compiled"
    return sweep.base.document
