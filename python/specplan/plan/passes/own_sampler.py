"""What a sampler of the user makes of the rows: seen when it was run, because only its code knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.code.batches import OwnBatches, bound_maker, packed
from specplan.code.probe import Draw, Drew
from specplan.errors import RunError
from specplan.plan.passes.own_code import needed, to_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from specplan.plan.passes.context import Context
    from specplan.plan.passes.own_component import LiveObject, OwnCode
    from specplan.spec.diagnostics import Path


def own_sampler(
    context: Context,
    own: OwnCode,
    columns: Mapping[str, NDArray[Any]],
    place: Path,
    *,
    seed: int,
    rows: int,
) -> Drew | None:
    """What an epoch has; None where a fault was reported. `place` is where the spec names the sampler."""
    job = Draw(
        **to_run(context, own),
        seed=seed,
        rows=rows,
        columns={name: packed(values) for name, values in columns.items()},
    )
    return needed(context, own, job, Drew, place, gives="batches")


def bound_sampler(
    context: Context,
    sampler: LiveObject,
    columns: Mapping[str, NDArray[Any]],
    place: Path,
    *,
    seed: int,
    rows: int,
) -> OwnBatches | None:
    """What an epoch of an object of the program has, which is called here; None where a fault was reported."""
    use = sampler.component.use
    try:
        return OwnBatches(bound_maker(sampler.value, columns), f"`{use}`", seed, rows)
    except RunError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001 -- whatever the program's own object raises is what is wrong
        message = f"`{use}` failed with {rows} rows, {type(error).__name__}: {error}"
    context.error("SP604", message, (*place, "use"))
    return None
