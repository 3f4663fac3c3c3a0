"""`@ml_dash_experiment(prefix)`: a function that is a run."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from specplan.objects.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Callable


def ml_dash_experiment(
    prefix: str | None = None, **arguments: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function run inside of a run of an experiment, which it gets as keyword `experiment`.

    Args:
        prefix: as of an Experiment; so are `arguments`.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inside(*positional: Any, **named: Any) -> Any:
            with Experiment(prefix=prefix, **arguments).run as experiment:
                return function(*positional, **{"experiment": experiment, **named})

        return inside

    return decorated
