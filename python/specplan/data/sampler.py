"""Which rows of a split make the batches of an epoch.

An epoch is a pure function of the seed and its number, and a batch one of the epoch: nothing is replayed,
so training can begin at any batch of any epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.components.sampler import Simple, columns_of
from specplan.data.keys import codes_of
from specplan.data.tuples import draw_tuples
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from specplan.code.batches import OwnBatches
    from specplan.components.sampler import AnySampler


class SamplerError(ValueError):
    """Rows of which a sampler cannot make batches.

    Attributes:
        key: the argument of the sampler that is at fault.
    """

    def __init__(self, code: str, message: str, key: str, *, hint: str | None = None) -> None:
        self.code = code
        self.message = message
        self.key = key
        self.hint = hint
        super().__init__(f"{message}\nhint: {hint}" if hint else message)


class Epoch(msgspec.Struct, frozen=True):
    """The order of one epoch.

    Attributes:
        order: numbers of the rows, or of the tuples; None for all of them as they are.
        sizes: rows in a batch, of which the last may have fewer; or those in each batch.
        members: for each role the row of each tuple, where every epoch has tuples of its own.
    """

    order: NDArray[np.int64] | None
    sizes: int | list[int]
    members: tuple[NDArray[np.int64], ...] | None = None


class Drawing:
    """What a sampler makes of the rows of one split.

    Args:
        sampler: the declaration; seed: the seed that is in force.
        rows: of the split.
        columns: of `columns_of(sampler)` the values in the order of the split.

    Attributes:
        members: for each role the row of each tuple, as a position in the split; None where rows are read
            one by one.
        weights: of each tuple, float32; None where all are 1.
        samples: rows or tuples of an epoch; steps: its batches.

    Raises:
        SamplerError: no batch can be made.
    """

    def __init__(
        self, sampler: AnySampler, seed: int, rows: int, columns: Mapping[str, NDArray[Any]]
    ) -> None:
        self._sampler = sampler
        self._seed = seed
        self.members: tuple[NDArray[np.int64], ...] | None = None
        self.weights: NDArray[np.float32] | None = None
        self._codes: NDArray[np.int64] | None = None
        self._found = rows
        if not isinstance(sampler, Simple):
            drawn = draw_tuples(sampler, seed, rows, columns)
            self.members, self.weights = drawn.members, drawn.weights
            self._found = len(drawn.members[0])
            if not self._found:
                raise _nothing_belongs(sampler, rows)
        elif names := columns_of(sampler):
            self._codes = codes_of([columns[name] for name in names])
        self.samples, self.steps = self._counted()

    def epoch(self, epoch: int) -> Epoch:
        """The order of an epoch, counted from 0."""
        sampler = self._sampler
        generator = np.random.default_rng([self._seed, epoch] if sampler.reshuffle else self._seed)
        order = generator.permutation(self._found) if sampler.shuffle else None
        if self._codes is None:
            if self.samples < self._found:
                order = np.arange(self.samples) if order is None else order[: self.samples]
            return Epoch(order, sampler.batch_size)
        order = np.arange(self._found) if order is None else order
        if isinstance(sampler, Simple) and sampler.group_by:
            return self._grouped(order, self._codes, generator)
        return Epoch(_in_turns(order, self._codes)[: self.samples], sampler.batch_size)

    def _counted(self) -> tuple[int, int]:
        sampler, size = self._sampler, self._sampler.batch_size
        samples = self._found
        if self._codes is not None and isinstance(sampler, Simple):
            counts = np.bincount(self._codes)
            if sampler.group_by:
                steps = int((counts // size if sampler.drop_last else -(-counts // size)).sum())
                return int((counts - counts % size * sampler.drop_last).sum()), steps
            if len(counts) > size:
                raise _too_small(sampler, len(counts))
            if sampler.strict_stratification:
                samples = len(counts) * int(counts.min())
        if sampler.drop_last:
            samples -= samples % size
        return samples, -(-samples // size)

    def _grouped(
        self, order: NDArray[np.int64], codes: NDArray[np.int64], generator: np.random.Generator
    ) -> Epoch:
        """Batches of one group each, which come in any order where rows are shuffled."""
        sampler = self._sampler
        order = order[np.argsort(codes[order], kind="stable")]
        starts, sizes = _cut_groups(np.bincount(codes), sampler.batch_size)
        kept = np.arange(len(sizes))
        if sampler.drop_last:
            kept = kept[sizes == sampler.batch_size]
        if sampler.shuffle:
            kept = generator.permutation(kept)
        starts, sizes = starts[kept], sizes[kept]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return Epoch(order[np.repeat(starts, sizes) + within], sizes.tolist())


class OwnDrawing:
    """The batches that code of the user makes, anew for each epoch: what `Drawing` is for others."""

    members = None
    weights = None

    def __init__(self, batches: OwnBatches) -> None:
        self._batches = batches
        self.roles = batches.roles
        self.samples, self.steps = batches.samples, batches.steps

    def epoch(self, epoch: int) -> Epoch:
        """The order of an epoch, counted from 0."""
        found = self._batches.of_epoch(epoch)
        joined = [np.concatenate([batch[role] for batch in found]) for role in found[0]]
        sizes = [len(next(iter(batch.values()))) for batch in found]
        return Epoch(None, sizes, tuple(joined)) if self.roles else Epoch(joined[0], sizes)


def _cut_groups(
    counts: NDArray[np.int64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and rows of each batch where rows stand group by group."""
    batches = -(-counts // size)
    number = np.arange(batches.sum()) - np.repeat(np.cumsum(batches) - batches, batches)
    ends = np.repeat(np.cumsum(counts), batches)
    starts = np.repeat(np.cumsum(counts) - counts, batches) + number * size
    return starts, np.minimum(size, ends - starts)


def _in_turns(order: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows so that each stratum gives one in turn: the first of each, then the second of each."""
    by_stratum = np.argsort(codes[order], kind="stable")
    counts = np.bincount(codes)
    rank = np.empty(len(order), np.int64)
    rank[by_stratum] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.lexsort((codes[order], rank))]


def _too_small(sampler: Simple, strata: int) -> SamplerError:
    said = quoted(columns_of(sampler))
    message = f"batch_size {sampler.batch_size} is less than the {strata} values of {said}"
    hint = f"a batch has a row of each: `batch_size` is at least {strata}"
    return SamplerError("SP721", message, "batch_size", hint=hint)


def _nothing_belongs(sampler: AnySampler, rows: int) -> SamplerError:
    key = {"paired": "conditions", "triplet": "pos_conditions", "roles": "condition_mapping"}
    message = f"of {rows} rows none has a partner for every role"
    hint = "widen a `tolerance`, or say `allow_fallback: true`"
    return SamplerError("SP722", message, key[str(sampler.__struct_config__.tag)], hint=hint)
