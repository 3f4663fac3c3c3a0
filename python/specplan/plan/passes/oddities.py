"""Pass: what a spec without faults says that its author can hardly mean.

Only a spec that is right is looked at: of one that is not, half of this would be told because of the fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.plan.passes.classes import warn_of_classes
from specplan.plan.passes.evaluation import warn_of_evaluation
from specplan.plan.passes.idle import warn_of_idle_arguments
from specplan.plan.passes.secrets import warn_of_secrets
from specplan.plan.passes.sequence import warn_of_sequence
from specplan.plan.passes.training import warn_of_training
from specplan.plan.passes.unused import warn_of_unused

if TYPE_CHECKING:
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.phase import Parts
    from specplan.plan.passes.schedule import Schedule


def warn(context: Context, parts: Parts, schedule: Schedule) -> None:
    """Warn of everything odd, each cause once."""
    if context.fresh:
        warn_of_training(context, parts, schedule)
        warn_of_sequence(context, parts, schedule)
        misread = warn_of_evaluation(context, parts, schedule)
        warn_of_unused(context, parts, schedule, misread=misread)
    warn_of_classes(context, parts.resolved)
    warn_of_idle_arguments(context, parts.resolved)
    warn_of_secrets(context)
