"""How the rows of a FeatureSet are divided into named splits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from specplan.components.component import Component

Share = Annotated[float, Meta(gt=0, le=1)]
Leaks = Annotated[
    Literal["warn", "allow"],
    Meta(
        description="Whether equal rows in several splits are worth a warning (SP506).",
        examples=["allow"],
    ),
]
Value = str | int | bool
Condition = str | int | float | bool | tuple[str | int | float | bool, ...] | dict[str, Any]


class RandomSplit(Component, frozen=True, tag="random"):
    """Shuffle the rows with `numpy.random.default_rng(seed)` and cut them consecutively."""

    ratios: Annotated[
        dict[str, Share],
        Meta(
            min_length=1,
            description="Share of the rows in each split; the shares sum to 1. Sizes are rounded by largest "
            "remainder. However they are written, `train`, `val` and `test` are cut first, then the others by name.",
            examples=[{"train": 0.8, "test": 0.2}],
        ),
    ]
    group_by: Annotated[
        str | tuple[str, ...],
        Meta(
            description="Column, or list of columns, of text, integers or booleans: rows that agree in them "
            "stay together. The groups are shuffled and cut where the sizes come nearest to the ratios; "
            "each split gets at least one.",
            examples=["cell_id"],
        ),
    ] = ()
    stratify_by: Annotated[
        str | tuple[str, ...],
        Meta(
            description="Column, or list of columns, of text, integers or booleans: each split gets its share "
            "of the rows with each value, up to one row. Not together with `group_by`.",
            examples=["label"],
        ),
    ] = ()
    seed: Annotated[
        int | None,
        Meta(
            description="Seed of the shuffle; without it, one derived from `run.seed`.",
            examples=[13],
        ),
    ] = None
    leaks: Leaks = "warn"


class OrderedSplit(Component, frozen=True, tag="ordered"):
    """Cut the rows consecutively as they are, without a shuffle: the past from the future in a time series."""

    ratios: Annotated[
        dict[str, Share],
        Meta(
            min_length=1,
            description="Share of the rows in each split; the shares sum to 1. Sizes are rounded by largest "
            "remainder. The splits follow each other in the order in which they are written.",
            examples=[{"past": 0.8, "future": 0.2}],
        ),
    ]
    leaks: Leaks = "warn"


class ColumnSplit(Component, frozen=True, tag="column"):
    """Divide the rows by the value of a column, such as the number of a fold."""

    column: Annotated[
        str,
        Meta(
            description="Column of text, integers or booleans whose value tells the split of a row.",
            examples=["fold"],
        ),
    ]
    splits: Annotated[
        dict[str, tuple[Value, ...]],
        Meta(
            min_length=1,
            description="Values of the rows in each split. Each value that the column has is in one of them.",
            examples=[{"train": [0, 1, 2], "test": [3]}],
        ),
    ]
    leaks: Leaks = "warn"


class ConditionSplit(Component, frozen=True, tag="condition"):
    """The rows that meet conditions, in their order. A row can be in no split, but not in two."""

    splits: Annotated[
        dict[str, dict[str, Condition]],
        Meta(
            min_length=1,
            description="For each split, conditions on columns that all hold: a value that is to be equal, "
            "a list that is to contain, or comparisons by name: `lt`, `lte`, `gt`, `gte`, `eq`, `ne`, `in`, "
            "`not_in`, and `lambda` with a text such as `lambda x: 0 <= x < 90`. Of a file the columns are of "
            "text, integers or booleans.",
            examples=[{"young": {"cycle": {"lt": 100}}, "old": {"cycle": {"gte": 100}}}],
        ),
    ]
    leaks: Leaks = "warn"


class RowsSplit(Component, frozen=True, tag="rows"):
    """The rows that a column names, split by split. A row can be in none, and in several."""

    splits: Annotated[
        dict[str, str],
        Meta(
            min_length=1,
            description="For each split the column that says what is in it: of booleans, true for its rows; "
            "of integers, the position of a row in the split, negative for rows that are not in it.",
            examples=[{"train": "in_train", "test": "in_test"}],
        ),
    ]
    leaks: Leaks = "warn"


Splitter = RandomSplit | OrderedSplit | ColumnSplit | ConditionSplit | RowsSplit
