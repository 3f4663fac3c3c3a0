"""In which order, and how many at a time, the rows of a split are read."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from specplan.components.component import Component, NonNegative, Positive

DEFAULT_ROLE = "default"
"""The role of rows that are read one by one."""
ANCHOR = "anchor"
"""The role of the row for which the others are looked for."""

BatchSize = Annotated[
    Positive, Meta(description="Rows, or tuples of rows, in a batch.", examples=[32])
]
DropLast = Annotated[bool, Meta(description="Whether a last batch that is not full is left out.")]
Seed = Annotated[
    int | None,
    Meta(
        description="Seed of the shuffle; without it, one derived from `run.seed`.", examples=[42]
    ),
]


class Simple(Component, frozen=True, tag="simple"):
    """Batches of consecutive rows, in the order of the split or shuffled."""

    later: ClassVar[frozenset[str]] = frozenset(
        {"group_by", "stratify_by", "strict_stratification"}
    )

    batch_size: Annotated[Positive, Meta(description="Rows in a batch.", examples=[32])] = 1
    shuffle: Annotated[bool, Meta(description="Whether the rows are shuffled.")] = False
    group_by: Annotated[
        str | tuple[str, ...],
        Meta(
            description="Column, or list of columns: no batch has rows of two groups. "
            "With `shuffle` the batches come in any order.",
            examples=["cell_id"],
        ),
    ] = ()
    stratify_by: Annotated[
        str | tuple[str, ...],
        Meta(
            description="Column, or list of columns: each batch has as many rows of each value, up to one. "
            "Not together with `group_by`.",
            examples=["label"],
        ),
    ] = ()
    strict_stratification: Annotated[
        bool,
        Meta(
            description="Whether an epoch ends when the smallest stratum does; false goes on with the others."
        ),
    ] = True
    drop_last: Annotated[
        bool, Meta(description="Whether a last batch with fewer rows is left out.")
    ] = False
    seed: Seed = None
    reshuffle: Annotated[
        bool,
        Meta(
            description="Whether each epoch has its own order, `default_rng([seed, epoch])`; "
            "false repeats `default_rng(seed)` in every epoch."
        ),
    ] = True


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When two rows belong together, by one column. Text and truth values are at distance 0 or 1."""

    mode: Annotated[
        Literal["similar", "dissimilar"],
        Meta(description="Whether rows belong together that are near each other, or that are not."),
    ] = "similar"
    tolerance: Annotated[
        NonNegative, Meta(description="The largest distance that is near.", examples=[0.1])
    ] = 0.0
    metric: Annotated[
        Literal["euclidean", "manhattan", "chebyshev", "cosine"],
        Meta(description="Distance of two numbers or arrays of numbers."),
    ] = "euclidean"
    weight_mode: Annotated[
        Literal["binary", "linear", "exp"],
        Meta(
            description="Weight in the losses: `max_weight` for all, or falling from it to `min_weight` as rows "
            "fit less well."
        ),
    ] = "binary"
    max_weight: Annotated[
        NonNegative, Meta(description="Weight of rows that fit best.", examples=[2.0])
    ] = 1.0
    min_weight: Annotated[
        NonNegative, Meta(description="Weight of rows that just fit.", examples=[0.1])
    ] = 0.0
    allow_fallback: Annotated[
        bool,
        Meta(
            description="Whether an anchor for which no row fits gets those that fit best, with `min_weight`; "
            "otherwise it is left out."
        ),
    ] = False


Conditions = Annotated[dict[str, Condition], Meta(min_length=1)]
MostTuples = Annotated[Positive, Meta(description="Tuples of one anchor, at most.", examples=[1])]
BestOnly = Annotated[
    bool,
    Meta(
        description="Whether the rows that fit best are taken; otherwise any that fit, at random."
    ),
]
ShuffleTuples = Annotated[bool, Meta(description="Whether the tuples are shuffled.")]
Reshuffle = Annotated[
    bool,
    Meta(
        description="Whether the tuples come in another order in each epoch. They are drawn once, "
        "by `default_rng(seed)`."
    ),
]


class Paired(Component, frozen=True, tag="paired"):
    """Pairs: each row is the `anchor` of some, with rows that belong to it as `positive`."""

    conditions: Annotated[
        Conditions,
        Meta(
            description="When a row belongs to the anchor, by column; all have to hold.",
            examples=[{"cell_id": {"mode": "similar"}}],
        ),
    ]
    batch_size: BatchSize = 1
    shuffle: ShuffleTuples = False
    max_samples_per_anchor: MostTuples = 3
    choose_best_only: BestOnly = False
    drop_last: DropLast = False
    seed: Seed = None
    reshuffle: Reshuffle = True

    @property
    def partners(self) -> dict[str, dict[str, Condition]]:
        """The conditions by role."""
        return {"positive": self.conditions}


class Triplet(Component, frozen=True, tag="triplet"):
    """Triplets: each row is the `anchor` of some, with a `positive` that belongs to it and a `negative` that does not."""

    pos_conditions: Annotated[
        Conditions,
        Meta(
            description="When a row can be the positive one, by column; all have to hold.",
            examples=[{"cell_id": {"mode": "similar"}}],
        ),
    ]
    neg_conditions: Annotated[
        Conditions,
        Meta(
            description="When a row can be the negative one, by column; all have to hold.",
            examples=[{"cell_id": {"mode": "dissimilar"}}],
        ),
    ]
    batch_size: BatchSize = 1
    shuffle: ShuffleTuples = False
    max_samples_per_anchor: MostTuples = 3
    choose_best_only: BestOnly = False
    drop_last: DropLast = False
    seed: Seed = None
    reshuffle: Reshuffle = True

    @property
    def partners(self) -> dict[str, dict[str, Condition]]:
        """The conditions by role."""
        return {"positive": self.pos_conditions, "negative": self.neg_conditions}


class Roles(Component, frozen=True, tag="roles"):
    """Tuples of any roles: each row is the `anchor` of some, with one row for each role of the mapping."""

    condition_mapping: Annotated[
        dict[str, Conditions],
        Meta(
            min_length=1,
            description="For each role beside `anchor`, when a row can have it, by column; all have to hold.",
            examples=[{"positive": {"cell_id": {}}, "far": {"soh": {"mode": "dissimilar"}}}],
        ),
    ]
    batch_size: BatchSize = 1
    shuffle: ShuffleTuples = False
    max_samples_per_anchor: MostTuples = 3
    choose_best_only: BestOnly = False
    drop_last: DropLast = False
    seed: Seed = None
    reshuffle: Reshuffle = True

    @property
    def partners(self) -> dict[str, dict[str, Condition]]:
        """The conditions by role, in the order of their names: a plan file keeps no other."""
        return dict(sorted(self.condition_mapping.items()))


Tuples = Paired | Triplet | Roles
AnySampler = Simple | Tuples


def roles_of(sampler: AnySampler) -> tuple[str, ...]:
    """The roles of the rows that a sampler gives."""
    return (DEFAULT_ROLE,) if isinstance(sampler, Simple) else (ANCHOR, *sampler.partners)


def columns_of(sampler: AnySampler) -> tuple[str, ...]:
    """The columns that decide what is in a batch, each once."""
    if isinstance(sampler, Simple):
        by = sampler.group_by or sampler.stratify_by
        return (by,) if isinstance(by, str) else by
    conditions = sampler.partners.values()
    return tuple(dict.fromkeys(column for role in conditions for column in role))
