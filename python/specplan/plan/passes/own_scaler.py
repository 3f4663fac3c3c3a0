"""A scaler of the user, tried with a few rows of the data before a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.code.batches import packed
from specplan.code.probe import Fitting, Judged
from specplan.data.scaling import joined
from specplan.plan.passes.own_code import answered, to_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from specplan.plan.passes.context import Context
    from specplan.plan.passes.own_component import OwnCode
    from specplan.spec.diagnostics import Path

ROWS = 256
"""Rows that a scaler is tried with, at most."""


def check_scaler(
    context: Context, own: OwnCode, rows: Mapping[str, NDArray[Any]], place: Path
) -> bool:
    """Whether a scaler can be fitted on the first rows of its columns; otherwise what is wrong is reported."""
    job = Fitting(**to_run(context, own), rows=packed(joined(list(rows.values()))))
    return isinstance(answered(context, job, Judged, place, runs=True), Judged)
