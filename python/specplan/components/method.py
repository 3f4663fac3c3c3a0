"""How a sweep chooses the values of its runs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from specplan.components.component import Component, Positive


class Grid(Component, frozen=True, tag="grid"):
    """Every combination of the values, the last place varying fastest."""


class Random(Component, frozen=True, tag="random"):
    """Values that are drawn for each run by themselves."""


class Qmc(Component, frozen=True, tag="qmc"):
    """Values that cover the space more evenly than drawn ones. Needs Optuna and scipy."""

    qmc_type: Annotated[
        Literal["sobol", "halton"], Meta(description="Sequence that the values are taken from.")
    ] = "sobol"
    scramble: Annotated[
        bool, Meta(description="Whether the sequence is scrambled, by the seed of the sweep.")
    ] = True


class Tpe(Component, frozen=True, tag="tpe"):
    """Values near those of the best runs so far: a tree-structured Parzen estimator. Needs Optuna."""

    n_startup_trials: Annotated[
        Positive,
        Meta(
            description="Runs whose values are drawn, before there is something to go by.",
            examples=[5],
        ),
    ] = 10
    n_ei_candidates: Annotated[
        Positive,
        Meta(description="Candidates of which the most promising is taken.", examples=[48]),
    ] = 24
    multivariate: Annotated[
        bool, Meta(description="Whether values are looked at together instead of one by one.")
    ] = False
    constant_liar: Annotated[
        bool,
        Meta(
            description="Whether runs that go on count as bad ones, so that several at a time keep apart."
        ),
    ] = False


class CmaEs(Component, frozen=True, tag="cmaes"):
    """Numbers from a normal distribution that moves to the best runs so far. Needs Optuna and cmaes.

    It needs two or more ranges of numbers; values of a list are drawn.
    """

    n_startup_trials: Annotated[
        Positive,
        Meta(
            description="Runs whose values are drawn, before there is something to go by.",
            examples=[5],
        ),
    ] = 1
    popsize: Annotated[
        Annotated[int, Meta(ge=2)] | None,
        Meta(
            description="Runs after which the distribution moves; null is 4 + floor(3 ln(axes)).",
            examples=[8],
        ),
    ] = None


BY_RUNS = frozenset({"tpe", "cmaes"})
"""Methods that choose by what the runs so far have measured."""
