"""How columns of a FeatureSet are scaled before anything reads them.

What is learned from rows is learned for each element of a row; `per_sample_...` look at one row alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from specplan.components.component import Component, Positive

Range = Annotated[
    tuple[float, float],
    Meta(description="Smallest and largest value afterwards.", examples=[[-1.0, 1.0]]),
]


class Standard(Component, frozen=True, tag="standard"):
    """Mean 0 and standard deviation 1, as scikit-learn's StandardScaler."""

    with_mean: Annotated[bool, Meta(description="Whether the mean is taken off.")] = True
    with_std: Annotated[bool, Meta(description="Whether it is divided by the deviation.")] = True


class MinMax(Component, frozen=True, tag="min_max"):
    """From the smallest to the largest value of the rows that it is fitted on, as scikit-learn's MinMaxScaler."""

    feature_range: Range = (0.0, 1.0)
    clip: Annotated[bool, Meta(description="Whether values beyond the range are cut off.")] = False


class MaxAbs(Component, frozen=True, tag="max_abs"):
    """Divided by the largest absolute value, as scikit-learn's MaxAbsScaler."""


class Robust(Component, frozen=True, tag="robust"):
    """By median and quantiles, which outliers do not move, as scikit-learn's RobustScaler."""

    with_centering: Annotated[bool, Meta(description="Whether the median is taken off.")] = True
    with_scaling: Annotated[
        bool, Meta(description="Whether it is divided by the distance of the quantiles.")
    ] = True
    quantile_range: Annotated[
        tuple[float, float],
        Meta(description="The two quantiles, in percent.", examples=[[10.0, 90.0]]),
    ] = (25.0, 75.0)
    unit_variance: Annotated[
        bool, Meta(description="Whether values of a normal distribution get variance 1.")
    ] = False


class Normalizer(Component, frozen=True, tag="normalizer"):
    """Each row divided by its norm, as scikit-learn's Normalizer."""

    norm: Annotated[Literal["l1", "l2", "max"], Meta(description="The norm.")] = "l2"


class Quantile(Component, frozen=True, tag="quantile"):
    """To a uniform or normal distribution by ranks, as scikit-learn's QuantileTransformer."""

    n_quantiles: Annotated[
        Positive, Meta(description="Number of ranks that are kept.", examples=[100])
    ] = 1000
    output_distribution: Annotated[
        Literal["uniform", "normal"], Meta(description="Distribution afterwards.")
    ] = "uniform"
    subsample: Annotated[
        Positive | None,
        Meta(description="Rows that are looked at, at most; null for all.", examples=[50_000]),
    ] = 10_000
    random_state: Annotated[
        int, Meta(ge=0, description="Seed of the choice of these rows.", examples=[7])
    ] = 0


class Power(Component, frozen=True, tag="power"):
    """To something like a normal distribution by powers, as scikit-learn's PowerTransformer."""

    method: Annotated[
        Literal["yeo-johnson", "box-cox"],
        Meta(description="`box-cox` is for values above 0 only."),
    ] = "yeo-johnson"
    standardize: Annotated[
        bool, Meta(description="Whether mean and deviation become 0 and 1 then.")
    ] = True


class Absolute(Component, frozen=True, tag="absolute"):
    """The absolute value."""


class Negate(Component, frozen=True, tag="negate"):
    """The value with the other sign."""


class PerSampleMinMax(Component, frozen=True, tag="per_sample_min_max"):
    """Each row from its own smallest to its own largest value."""

    feature_range: Range = (0.0, 1.0)


class PerSampleZeroStart(Component, frozen=True, tag="per_sample_zero_start"):
    """Each row without its own first value."""


class Segmented(Component, frozen=True, tag="segmented"):
    """Another scaler for each part of a row, all of one kind."""

    boundaries: Annotated[
        tuple[int, ...],
        Meta(
            min_length=2,
            description="Where the parts begin, and where the last one ends: from 0 to the number of "
            "elements of a row, ascending.",
            examples=[[0, 9, 20]],
        ),
    ]
    scaler: Annotated[
        Literal[
            "standard",
            "min_max",
            "max_abs",
            "robust",
            "normalizer",
            "quantile",
            "power",
            "absolute",
            "negate",
            "per_sample_min_max",
            "per_sample_zero_start",
        ],
        Meta(description="The scaler of each part."),
    ]
    arguments: Annotated[
        dict[str, Any],
        Meta(description="Its arguments.", examples=[{"feature_range": [-1, 1]}]),
    ] = {}
