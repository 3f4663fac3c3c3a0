"""What a phase measured over time, as curves of one chart for each quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from specplan.plan.model import Train
from specplan.results.arrow_arrays import number
from specplan.results.chart import Curve, draw_chart
from specplan.results.metrics import labels_of, select, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from specplan.plan.model import Phase

_PLACES = ("epoch", "step")
"""Numbers of a row that only say where it belongs."""
_MISSING = -1
"""What stands for a null batch or epoch."""


class _Series(NamedTuple):
    """All values of one metric of one node on one split.

    Attributes:
        name: of its curve.
    """

    name: str
    metric: str
    node: str | None
    epoch: NDArray[np.int64]
    batch: NDArray[np.int64]
    step: NDArray[np.int64]
    value: NDArray[np.float64]

    def whole(self) -> _Series:
        """The values that count for a whole epoch or phase."""
        return self._part(self.batch == _MISSING)

    def of_batches(self) -> _Series:
        """The others."""
        return self._part(self.batch != _MISSING)

    def _part(self, kept: NDArray[np.bool_]) -> _Series:
        return self._replace(
            epoch=self.epoch[kept],
            batch=self.batch[kept],
            step=self.step[kept],
            value=self.value[kept],
        )


def draw_phase_curves(phase: Phase, metrics: pa.Table, *, kept_epoch: int | None) -> list[str]:
    """A chart for each quantity of a phase that has several values; `metrics` are its rows.

    `kept_epoch` is the epoch whose weights it left behind, where that is not its last.
    """
    series = list(_series(metrics))
    charts = []
    for quantity in dict.fromkeys(_quantity(each.name, phase) for each in series):
        if quantity is None:
            continue
        of_it = [each for each in series if _quantity(each.name, phase) == quantity]
        in_epochs = [each for each in of_it if len(np.unique(each.whole().epoch)) > 1]
        if in_epochs:
            mark = None if kept_epoch is None else (float(kept_epoch), f"epoch {kept_epoch} kept")
            curves = [*_by_epoch(in_epochs), *_behind(in_epochs, phase)]
            charts.append(draw_chart(quantity, curves, x_name="epoch", mark=mark))
        elif curves := _by_step(of_it):
            charts.append(draw_chart(quantity, curves, x_name="step"))
    return charts


def draw_logged_curves(metrics: pa.Table) -> list[str]:
    """A chart for each metric of which a program logged several values, with a curve for each name of rows."""
    logged = select(metrics, "phase", "")
    charts = []
    for name in labels_of(logged, "name"):
        if name in _PLACES:
            continue
        several = [
            series
            for split, of_split in _parts(select(logged, "name", name), "split")
            for series in _series(of_split, split or "")
            if len(series.value) > 1
        ]
        if several:
            by_epoch = all(map(_has_epochs, several))
            curves = [
                _logged(each, colour, by_epoch=by_epoch) for colour, each in enumerate(several)
            ]
            charts.append(draw_chart(name, curves, x_name="epoch" if by_epoch else "step"))
    return charts


def draw_overlaid_curves(runs: Mapping[str, pa.Table]) -> list[str]:
    """A chart for each series of which one of the runs has several values, with a curve for each run."""
    found: dict[str, list[tuple[int, str, _Series]]] = {}
    for colour, (run, metrics) in enumerate(runs.items()):
        for phase, of_phase in _parts(metrics, "phase"):
            for split, of_split in _parts(of_phase, "split"):
                for series in _series(of_split, ""):
                    parts = (phase, split, series.node, series.metric)
                    if len(series.value) > 1 and (phase or series.metric not in _PLACES):
                        label = "/".join(part for part in parts if part)
                        found.setdefault(label, []).append((colour, run, series))
    charts = []
    for label, of_runs in found.items():
        by_epoch = all(_has_epochs(series) for _, _, series in of_runs)
        curves = [
            _logged(series._replace(name=run, node=None), colour, by_epoch=by_epoch)
            for colour, run, series in of_runs
        ]
        charts.append(draw_chart(label, curves, x_name="epoch" if by_epoch else "step"))
    return charts


def _parts(metrics: pa.Table, column: str) -> Iterator[tuple[str | None, pa.Table]]:
    """The rows of each label of a column, and of none."""
    for label in values_of(metrics, column):
        if label is None:
            yield None, metrics.filter(pc.is_null(metrics.column(column)))
        else:
            yield label, select(metrics, column, label)


def _has_epochs(series: _Series) -> bool:
    """Whether a series has one value for each of several epochs."""
    epochs = series.whole().epoch
    return bool(len(epochs)) and epochs.min() >= 0 and len(np.unique(epochs)) > 1


def _logged(series: _Series, colour: int, *, by_epoch: bool) -> Curve:
    shown = series.whole() if by_epoch else series
    places = shown.epoch if by_epoch else shown.step
    return _curve(shown, places.astype(float), shown.value, colour)


def _quantity(name: str, phase: Phase) -> str | None:
    """What a metric is a value of, whichever rows it was measured on; None for what another one says."""
    labels = ["loss", *(each.label for each in (*phase.losses, *phase.metrics))]
    base = next((label for label in labels if name == label or name.endswith(f"_{label}")), name)
    only = phase.losses[0] if len(phase.losses) == 1 else None
    # The one loss of a phase is its total.
    return None if only is not None and only.weight == 1 and base == only.label else base


def _series(metrics: pa.Table, label: str | None = None) -> Iterator[_Series]:
    """The series of each metric, by its name or under a label."""
    for name in labels_of(metrics, "name"):
        named = select(metrics, "name", name)
        nodes = labels_of(named, "node")
        for node in nodes if len(nodes) > 1 else [None]:
            rows = named if node is None else select(named, "node", node)
            epoch, batch, step = (_numbers(rows.column(key)) for key in ("epoch", "batch", "step"))
            value = np.asarray(np.from_dlpack(rows.column("value").combine_chunks()), np.float64)
            yield _Series(label or name, name, node, epoch, batch, step, value)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    whole = column.combine_chunks().cast("int64")
    missing = number(_MISSING, "int64")[0]
    return np.asarray(np.from_dlpack(pc.fill_null(whole, missing)), np.int64)


def _by_epoch(series: Sequence[_Series]) -> list[Curve]:
    curves = []
    for colour, each in enumerate(series):
        whole = each.whole()
        curves.append(_curve(each, whole.epoch.astype(float), whole.value, colour))
    return curves


def _behind(series: Sequence[_Series], phase: Phase) -> list[Curve]:
    """The batches of each epoch, around its place."""
    if not isinstance(phase, Train):
        return []
    curves = []
    for colour, each in enumerate(series):
        batches = each.of_batches()
        if len(batches.value):
            steps = int(batches.batch.max()) + 1
            places = batches.epoch - 0.5 + (batches.batch + 0.5) / steps
            curves.append(_curve(each, places, batches.value, colour, faint=True))
    return curves


def _by_step(series: Sequence[_Series]) -> list[Curve]:
    """The batches of a single epoch, or what was logged without any."""
    curves: list[Curve] = []
    for each in series:
        batches = each.of_batches() if len(each.of_batches().value) else each.whole()
        if len(np.unique(batches.step)) > 1:
            curves.append(_curve(each, batches.step.astype(float), batches.value, len(curves)))
    return curves


def _curve(
    series: _Series,
    places: NDArray[np.float64],
    values: NDArray[np.float64],
    colour: int,
    *,
    faint: bool = False,
) -> Curve:
    # Of a place that was measured again the last value counts.
    x, from_the_end = np.unique(places[::-1], return_index=True)
    name = series.name if series.node is None else f"{series.name} of {series.node}"
    return Curve(name, x, values[::-1][from_the_end], colour, faint)
