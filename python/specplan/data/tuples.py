"""Rows that belong together: pairs, triplets, and tuples of other roles."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.data.keys import codes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from specplan.components.sampler import Condition, Tuples

_CELLS = 1 << 22
"""Distances that are looked at together."""


class Drawn(msgspec.Struct, frozen=True):
    """Tuples in the order of their anchors.

    Attributes:
        members: for each role, the anchor first, the position of its row in each tuple.
        weights: of each tuple, float32; None where all are 1.
    """

    members: tuple[NDArray[np.int64], ...]
    weights: NDArray[np.float32] | None


def draw_tuples(
    sampler: Tuples, seed: int, rows: int, columns: Mapping[str, NDArray[Any]]
) -> Drawn:
    """The tuples of all anchors. No tuple has a row twice.

    An anchor has as many tuples as rows that fit the role for which most do, up to
    `max_samples_per_anchor`; where fewer fit another role these come again.
    """
    generator = np.random.default_rng(seed)
    roles = [
        [(_comparable(columns[name]), condition) for name, condition in conditions.items()]
        for conditions in sampler.partners.values()
    ]
    width = max((values.shape[1] for role in roles for values, _ in role), default=1)
    block = max(1, _CELLS // max(1, rows * width))
    parts = [
        _of_anchors(sampler, roles, generator, np.arange(start, min(start + block, rows)), rows)
        for start in range(0, rows, block)
    ]
    members = tuple(
        np.concatenate(role) for role in zip(*(members for members, _ in parts), strict=True)
    )
    weights = np.concatenate([weights for _, weights in parts])
    return Drawn(members, None if (weights == 1).all() else weights.astype(np.float32))


_Role = list[tuple["NDArray[np.float64]", "Condition"]]


def _of_anchors(
    sampler: Tuples,
    roles: list[_Role],
    generator: np.random.Generator,
    anchors: NDArray[np.int64],
    rows: int,
) -> tuple[list[NDArray[np.int64]], NDArray[np.float64]]:
    most = sampler.max_samples_per_anchor
    picked = []
    for role in roles:
        fits, misfit = _fitting(role, anchors, rows)
        best = _nearest(misfit, fits, most) if sampler.choose_best_only else None
        picked.append((fits.sum(axis=1), best if best is not None else _any(fits, most, generator)))
    counts = np.stack([np.minimum(fitting, most) for fitting, _ in picked])
    tuples = np.where(counts.min(axis=0) > 0, counts.max(axis=0), 0)
    anchor = np.repeat(np.arange(len(anchors)), tuples)
    number = np.arange(len(anchor)) - np.repeat(np.cumsum(tuples) - tuples, tuples)
    members = [anchors[anchor]]
    for (_, partners), count in zip(picked, counts, strict=True):
        members.append(partners[anchor, number % np.maximum(count[anchor], 1)])
    whole = np.ones(len(anchor), bool)
    for one, other in combinations(members, 2):
        whole &= one != other
    members = [member[whole] for member in members]
    weights = np.ones(len(members[0]))
    for role, partners in zip(roles, members[1:], strict=True):
        for values, condition in role:
            weights *= _weights(
                condition, _distance(condition, values[members[0]], values[partners])
            )
    return members, weights


def _fitting(
    role: _Role, anchors: NDArray[np.int64], rows: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which rows fit each anchor, and how badly each of them does; shapes (anchors, rows)."""
    fits = np.ones((len(anchors), rows), bool)
    misfit = np.zeros((len(anchors), rows))
    for values, condition in role:
        distance = _distance(condition, values[anchors, None], values[None])
        near = distance <= condition.tolerance
        fits &= near if condition.mode == "similar" else ~near
        misfit += distance if condition.mode == "similar" else -distance
    itself = np.arange(len(anchors)), anchors
    fits[itself] = False
    if all(condition.allow_fallback for _, condition in role):
        alone = ~fits.any(axis=1)
        misfit[itself] = np.inf
        fits[alone, misfit[alone].argmin(axis=1)] = rows > 1
    return fits, misfit


def _any(fits: NDArray[np.bool_], most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Up to `most` different rows that fit each anchor, at random; shape (anchors, at most `most`)."""
    counts = fits.sum(axis=1)
    columns = fits.nonzero()[1]
    starts = np.cumsum(counts) - counts
    taken = np.empty((len(fits), 0), np.int64)
    for number in range(min(most, int(counts.max(initial=0)))):
        left = np.maximum(counts - number, 1)
        pick = (generator.random(len(fits)) * left).astype(np.int64)
        # The pick-th of those that are left: each smaller one that was taken moves it up by one.
        for before in np.sort(taken, axis=1).T:
            pick += pick >= before
        taken = np.concatenate([taken, pick[:, None]], axis=1)
    if not len(columns):
        return np.zeros((len(fits), 1), np.int64)
    places = np.minimum(starts[:, None] + taken, len(columns) - 1)
    found: NDArray[np.int64] = columns[places]
    return found


def _nearest(misfit: NDArray[np.float64], fits: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """The rows that fit each anchor best, the best first; of equals the first."""
    ranked = np.where(fits, misfit, np.inf)
    return np.argsort(ranked, axis=1, kind="stable")[:, :most]


def _comparable(column: NDArray[Any]) -> NDArray[np.float64]:
    """Rows of numbers, shape (rows, elements); what is no number by its code."""
    if column.dtype.kind in "fiu":
        return column.reshape(len(column), -1).astype(np.float64)
    return codes_of([column])[:, None].astype(np.float64)


def _distance(
    condition: Condition, one: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    return _METRICS[condition.metric](one, other)


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    found: NDArray[np.float64] = 1 - (one * other).sum(axis=-1) / np.maximum(lengths, 1e-12)
    return found


def _euclidean(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sqrt(np.square(one - other).sum(axis=-1))
    return found


def _manhattan(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.abs(one - other).sum(axis=-1)
    return found


def _chebyshev(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.abs(one - other).max(axis=-1)
    return found


_METRICS: Mapping[
    str, Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
] = {
    "euclidean": _euclidean,
    "manhattan": _manhattan,
    "chebyshev": _chebyshev,
    "cosine": _cosine,
}


def _weights(condition: Condition, distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of partners at these distances: `max_weight` where they fit best, `min_weight` where they do not."""
    tolerance = condition.tolerance
    near = distance <= tolerance
    fits = near if condition.mode == "similar" else ~near
    share = np.ones_like(distance)
    if condition.weight_mode != "binary":
        scale = tolerance if tolerance > 0 else 1.0
        # 0 at what fits best, 1 at the border.
        away = (
            distance / scale if condition.mode == "similar" else scale / np.maximum(distance, 1e-12)
        )
        share = np.exp(-away) if condition.weight_mode == "exp" else 1 - np.minimum(away, 1)
    span = condition.max_weight - condition.min_weight
    return np.where(fits, condition.min_weight + span * share, condition.min_weight)
