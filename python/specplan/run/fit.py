"""The phase `fit`: scikit-learn nodes are fitted in order, each on the whole split at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from specplan.run.evaluate import measure
from specplan.run.program import Program

if TYPE_CHECKING:
    from specplan.plan.model import Fit
    from specplan.run.context import Context


def fit(phase: Fit, context: Context) -> dict[str, float]:
    """Run a fit phase; returns what it measured on the rows it fitted, by name."""
    split = context.split(phase, phase.split)
    with torch.no_grad():
        program = Program(context.plan, context.state, split, phase.nodes, fitted=phase.fitted)
    return measure(phase, program, context, batch_size=None, total="fit_loss")
