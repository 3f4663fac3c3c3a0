"""What a sweep says, in the terms of Optuna."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
from blake3 import blake3

from specplan.components import COMPONENTS
from specplan.errors import RunError
from specplan.sweep.points import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.spec.axes import Axis

_BITS_OF_SEEDS = 32
PACKAGES = {"cmaes": ("cmaes",)}
"""What a method needs beside Optuna, by its name."""


def distribution(axis: Axis) -> Any:
    """What Optuna draws: numbers, or the index of a value, which may be of any kind."""
    from optuna import distributions

    if axis.is_drawn:
        return distributions.FloatDistribution(axis.low, axis.high, log=axis.log)
    if axis.whole:
        return distributions.IntDistribution(int(axis.low), int(axis.high))
    return distributions.CategoricalDistribution(tuple(range(axis.count)))


def choice(axis: Axis, drawn_value: Any) -> Choice:
    """What Optuna has drawn of an axis."""
    if axis.is_drawn or axis.whole:
        return Choice(axis, drawn_value)
    return Choice(axis, axis.known_values()[drawn_value], drawn_value)


def pruner(spec: dict[str, Any] | None) -> Any:
    """What compares runs; without one none is ended."""
    from optuna import pruners

    if spec is None:
        return pruners.NopPruner()
    options = msgspec.structs.asdict(declared("pruner", spec))
    match spec["use"]:
        case "median":
            return pruners.MedianPruner(**options)
        case "successive_halving":
            return pruners.SuccessiveHalvingPruner(**options)
    most = options.pop("max_resource")
    return pruners.HyperbandPruner(max_resource="auto" if most is None else most, **options)


def sampler(method: str, seed: int, options: dict[str, Any]) -> Any:
    """What draws the values of one trial by those before it."""
    from optuna import samplers

    if method == "tpe":
        return samplers.TPESampler(seed=seed, **options)
    return samplers.CmaEsSampler(
        seed=seed,
        independent_sampler=samplers.RandomSampler(seed=seed),
        warn_independent_sampling=False,
        **options,
    )


def declared(kind: Any, spec: dict[str, Any]) -> Any:
    """The arguments that a spec gives a method or pruner, with their defaults."""
    return msgspec.convert(spec, COMPONENTS[kind][spec["use"]])


def seed_of(seed: int, trial: int) -> int:
    """The seed by which a trial is drawn."""
    digest = blake3(f"{seed}/{trial}".encode()).digest(_BITS_OF_SEEDS // 8)
    return int.from_bytes(digest, "little")


def optuna_for(what: str, *others: str) -> Any:
    """Optuna.

    Raises:
        RunError: it or one of the other packages is not installed, and `what` needs it.
    """
    for package, name in (("optuna", "Optuna"), *((each, f"`{each}`") for each in others)):
        if find_spec(package) is None:
            raise RunError(
                f"{what} needs {name}, which is not installed\n"
                "hint: `pip install specplan[sweep]`; `grid` and `random` without a pruner need nothing"
            )
    import optuna

    return optuna


@contextmanager
def quietly() -> Iterator[None]:
    """Without what Optuna says of its own: which of its parts are young, and each trial that ends."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
