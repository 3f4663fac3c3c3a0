"""What a phase measured over time, as curves of one chart for each quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from specplan.plan.model import Train
from specplan.results.arrow_arrays import number
from specplan.results.chart import Curve, draw_chart
from specplan.results.metrics import as_arrow, split_series

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from specplan._native import MetricTable
    from specplan.plan.model import Phase

_PLACES = ("epoch", "step")
"""Numbers of a row that only say where it belongs."""
_MISSING = -1
"""What stands for a null batch or epoch."""


class _Series(NamedTuple):
    """All values of one metric of one node on one split."""

    name: str
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


def draw_phase_curves(phase: Phase, metrics: MetricTable, *, kept_epoch: int | None) -> list[str]:
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


def draw_logged_curves(metrics: MetricTable) -> list[str]:
    """A chart for each metric of which a program logged several values, with a curve for each name of rows."""
    found: dict[str, list[_Series]] = {}
    for labels, places in split_series(as_arrow(metrics)):
        name = labels["name"] or ""
        if not labels["phase"] and name not in _PLACES and places.num_rows > 1:
            label = "/".join(part for part in (labels["split"], labels["node"]) if part)
            found.setdefault(name, []).append(_series_of(label or name, places))
    return [_drawn(name, series) for name, series in found.items()]


def draw_overlaid_curves(runs: Mapping[str, MetricTable]) -> list[str]:
    """A chart for each series of which one of the runs has several values, with a curve for each run."""
    found: dict[str, list[_Series]] = {}
    for run, metrics in runs.items():
        for labels, places in split_series(as_arrow(metrics)):
            is_place = not labels["phase"] and labels["name"] in _PLACES
            if places.num_rows > 1 and not is_place:
                parts = (labels[key] for key in ("phase", "split", "node", "name"))
                label = "/".join(part for part in parts if part)
                found.setdefault(label, []).append(_series_of(run, places))
    return [_drawn(label, series) for label, series in found.items()]


def _drawn(title: str, series: Sequence[_Series]) -> str:
    by_epoch = all(map(_has_epochs, series))
    curves = []
    for colour, each in enumerate(series):
        shown = each.whole() if by_epoch else each
        places = shown.epoch if by_epoch else shown.step
        curves.append(_curve(shown, places.astype(float), shown.value, colour))
    return draw_chart(title, curves, x_name="epoch" if by_epoch else "step")


def _has_epochs(series: _Series) -> bool:
    """Whether a series has one value for each of several epochs."""
    epochs = series.whole().epoch
    return bool(len(epochs)) and epochs.min() >= 0 and len(np.unique(epochs)) > 1


def _quantity(name: str, phase: Phase) -> str | None:
    """What a metric is a value of, whichever rows it was measured on; None for what another one says."""
    labels = ["loss", *(each.label for each in (*phase.losses, *phase.metrics))]
    base = next((label for label in labels if name == label or name.endswith(f"_{label}")), name)
    only = phase.losses[0] if len(phase.losses) == 1 else None
    # The one loss of a phase is its total.
    return None if only is not None and only.weight == 1 and base == only.label else base


def _series(metrics: MetricTable) -> Iterator[_Series]:
    for name in metrics.labels("name"):
        named = metrics.select("name", name)
        nodes = named.labels("node")
        for node in nodes if len(nodes) > 1 else [None]:
            of_node = named if node is None else named.select("node", node)
            yield _series_of(name, as_arrow(of_node), node)


def _series_of(name: str, rows: pa.Table, node: str | None = None) -> _Series:
    epoch, batch, step = (_numbers(rows.column(key)) for key in ("epoch", "batch", "step"))
    value = np.asarray(np.from_dlpack(rows.column("value").combine_chunks()), np.float64)
    return _Series(name, node, epoch, batch, step, value)


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
