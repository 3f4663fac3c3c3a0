"""What the passes over a group of phases run through."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from specplan.components.component import Component, Positive


class CutBeside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How another FeatureSet is cut into as many folds: what `Folds` says of its own."""

    of: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="Splits whose rows are put together and cut.", examples=[["train", "val"]]
        ),
    ] = None
    train: Annotated[
        str, Meta(description="What the rows of the other parts are called.", examples=["known"])
    ] = "train"
    val: Annotated[
        str, Meta(description="What the part that is left out is called.", examples=["judged"])
    ] = "val"
    group_by: Annotated[
        str | tuple[str, ...] | None,
        Meta(
            description="Columns: rows that agree in them are left out together.", examples=["site"]
        ),
    ] = None
    stratify_by: Annotated[
        str | tuple[str, ...] | None,
        Meta(description="Columns: each fold gets its share of each value.", examples=["label"]),
    ] = None


class Folds(Component, frozen=True, tag="folds"):
    """Cross-validation: rows are cut into `n` parts, and each pass leaves another one of them out.

    Every fold begins with the weights, estimators and optimizer with which the group began, and after the
    last one they are as they were.
    """

    n: Annotated[int, Meta(ge=2, description="Number of folds.", examples=[10])] = 5
    data: Annotated[
        str | None,
        Meta(description="FeatureSet that is cut; by default the only one.", examples=["Cells"]),
    ] = None
    of: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="Splits whose rows are put together and cut; by default those that `train` and "
            "`val` name, all rows where there are no splits, and inside another fold its `train`.",
            examples=[["train", "val"]],
        ),
    ] = None
    train: Annotated[
        str,
        Meta(
            description="What the rows of the other parts are called inside the group.",
            examples=["known"],
        ),
    ] = "train"
    val: Annotated[
        str,
        Meta(
            description="What the part that is left out is called inside the group.",
            examples=["judged"],
        ),
    ] = "val"
    group_by: Annotated[
        str | tuple[str, ...] | None,
        Meta(
            description="Column, or list of columns: rows that agree in them are left out together. By default what "
            "`group_by` of the splits says; `[]` parts the groups.",
            examples=["cell_id"],
        ),
    ] = None
    stratify_by: Annotated[
        str | tuple[str, ...] | None,
        Meta(
            description="Column, or list of columns: each fold gets its share of the rows with each value, up to "
            "one row. By default what `stratify_by` of the splits says. Not together with `group_by`.",
            examples=["label"],
        ),
    ] = None
    shuffle: Annotated[
        bool,
        Meta(description="Whether the rows are shuffled before they are cut consecutively."),
    ] = True
    ordered: Annotated[
        bool,
        Meta(
            description="Whether a fold learns only from what comes before the part that is left out, as in a time "
            "series. Without a shuffle, the rows are cut into `n + 1` parts: the first `train` is the first part "
            "and the rows that do not divide, and each later fold adds the part that was left out before. "
            "Not together with `group_by` or `stratify_by`.",
            examples=[True],
        ),
    ] = False
    seed: Annotated[
        int | None,
        Meta(
            description="Seed of the shuffle; without it, one derived from `run.seed`.",
            examples=[13],
        ),
    ] = None
    also: Annotated[
        dict[str, CutBeside],
        Meta(
            description="Other FeatureSets that are cut into as many folds at the same time, with an `of`, `train`, "
            "`val`, `group_by` and `stratify_by` of their own.",
            examples=[{"Weather": {"of": ["train", "val"]}}],
        ),
    ] = {}


class Seeds(Component, frozen=True, tag="seeds"):
    """The same phases with other initial weights and, where their seeds are not written, other orders of the rows.

    Every pass begins with the state in which the group began, but for the torch nodes that the group
    trains: they start anew. After the last pass everything is as it was.
    """

    n: Annotated[Positive, Meta(description="Number of passes.", examples=[3])] = 5
