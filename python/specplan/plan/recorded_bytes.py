"""How much space the records of a plan take on the disk: the files of docs/format.md, block by block.

Everything is counted as it is when the run is over: full chunks without the space behind their last row,
the last ones written compactly. Where early stopping may end a phase, what it takes without it.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import prod
from typing import TYPE_CHECKING

import msgspec

from specplan.plan.by_feed import by_feed
from specplan.plan.dtypes import item_size
from specplan.plan.model import Eval, Evaluation, Train

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.plan.model import Phase, Plan, Record

_BLOCK = 4096
"""Unit in which a file system gives space, and the size of the header of every chunk."""
_ALIGNMENT = 64
_LARGE_BODY = 1 << 20
_LARGE_START = 64 << 10
_FIRST_CHUNK, _LAST_CHUNK = 1 << 20, 64 << 20
_TEXT_SHARE = 16
_MOST_FILES = 1000
"""Files of a channel that are looked at one by one; the others are taken to be as full as the last of them."""
_SHORT_TEXT = 12

_AHEAD_REGION, _AHEAD_SHARE, _MOST_AHEAD, _LEAST_RELEASED = 2 << 20, 4, 4 << 20, 512 << 10
"""Large regions have space ahead of their rows, and keep it where it is little."""

_CHANNEL_FILES = _BLOCK
"""channel.json."""
STORE_FILES = 4 * _BLOCK
"""Of every run: store.json, the process id in `.lock`, and the two blocks of the watermark."""

_KEYS = (4, 4)
_VIEW = 16


class _Kind(msgspec.Struct, frozen=True, kw_only=True):
    """Files of one kind.

    Attributes:
        columns: bytes of a row in each.
        ending: bytes of the footer; that of tensors depends a little on their labels.
        texts: for each column of views, the bytes of the labels that are too long for them.
    """

    columns: tuple[int, ...]
    ending: int
    texts: tuple[int, ...] = ()


_INDEX = _Kind(columns=(8, 8, 8, 4, 4, 4, 4, 4), ending=586)
_METRICS = _Kind(columns=(8, 8, 4, 4, _VIEW, _VIEW, _VIEW, _VIEW, 8, 8, 4), ending=722)


class RecordedBytes(msgspec.Struct, frozen=True, kw_only=True):
    """Space on the disk, in bytes.

    Attributes:
        tensors: chunks of tensors; index: which batch is where; metrics: logged values, of the whole run
            in one series of files, here in proportion to their rows.
        tables: at most, of the Parquet tables that are written beside the records. How much less depends on
            how well the values can be compressed.
    """

    tensors: int = 0
    index: int = 0
    metrics: int = 0
    tables: int = 0

    @property
    def records(self) -> int:
        """Space without the tables."""
        return self.tensors + self.index + self.metrics


class _Batches(msgspec.Struct, frozen=True):
    """What a channel is given: epochs of full batches with perhaps a smaller one at the end."""

    epochs: int
    rows: int
    batch: int

    @property
    def per_epoch(self) -> int:
        return -(-self.rows // self.batch)


def recorded_bytes(plan: Plan) -> tuple[RecordedBytes, ...]:
    """What each phase takes."""
    counts = [metric_rows(phase) for phase in plan.phases]
    shares = _shares(_metrics_bytes(plan, sum(counts)), counts)
    return tuple(
        _of_phase(plan, phase, share, count)
        for phase, share, count in zip(plan.phases, shares, counts, strict=True)
    )


def metric_rows(phase: Phase) -> int:
    """Values that a phase logs."""
    losses = len(phase.losses)
    whole = losses + bool(losses)
    if not isinstance(phase, Train):
        return phase.steps * losses + whole + len(phase.metrics)
    rows = phase.epochs * (phase.steps + 1) * whole
    for evaluation in phase.evaluations:
        rows += _passes(phase, evaluation) * len(evaluation.measured)
    return rows


def _passes(phase: Train, evaluation: Evaluation) -> int:
    return phase.epochs // evaluation.every_n_epochs + evaluation.run_on_start


def epoch_rows(phase: Phase) -> int:
    """Rows, or tuples of rows, of one epoch of the first feed, without a last batch that is left out."""
    return phase.all_feeds[0].samples if isinstance(phase, Train) else phase.rows


def batch_size(part: Phase | Evaluation) -> int:
    """Rows of a batch, of which the last one may have fewer."""
    size: int | None = None
    match part:
        case Train():
            return min(part.all_feeds[0].batch_size, epoch_rows(part))
        case Eval() | Evaluation():
            size = part.batch_size
    return min(size or part.rows, part.rows)


def _of_phase(plan: Plan, phase: Phase, metrics: int, logged: int) -> RecordedBytes:
    tables = _table_bytes(_METRICS.columns, logged)
    found = RecordedBytes(metrics=metrics, tables=tables)
    if isinstance(phase, Train):
        found = _with_evaluations(found, phase)
    if phase.record == "none":
        return found
    for part in by_feed(plan.graph, phase) if isinstance(phase, Train) else (phase,):
        if part.records:
            found = _with_tensors(found, part)
    return found


def _with_evaluations(found: RecordedBytes, phase: Train) -> RecordedBytes:
    tensors, index = found.tensors, found.index
    for evaluation in phase.evaluations:
        batches = _Batches(_passes(phase, evaluation), evaluation.rows, batch_size(evaluation))
        added = _of_tensors(evaluation.records, batches, batches.epochs * batches.per_epoch)
        tensors, index = tensors + added[0], index + added[1]
    return msgspec.structs.replace(found, tensors=tensors, index=index)


def _of_tensors(records: Sequence[Record], batches: _Batches, count: int) -> tuple[int, int]:
    """What the tensors of so many batches take, and their indexes."""
    entries = _Batches(1, count, 1)
    tensors = sum(_tensor_bytes(record, batches) for record in records)
    return tensors, _files_bytes(_INDEX, entries) * len(records)


def _with_tensors(found: RecordedBytes, phase: Phase) -> RecordedBytes:
    epochs = kept = 1
    if isinstance(phase, Train):
        kept = phase.epochs if phase.record == "all" else 1
        epochs = kept if phase.early_stopping is None else phase.epochs
    batches = _Batches(epochs, epoch_rows(phase), batch_size(phase))
    columns = (*_KEYS, *(_value_bytes(record) for record in phase.records))
    tensors, index = _of_tensors(phase.records, batches, epochs * phase.steps)
    return msgspec.structs.replace(
        found,
        tensors=found.tensors + tensors,
        index=found.index + index,
        tables=found.tables + _table_bytes(columns, kept * batches.rows),
    )


def _value_bytes(record: Record) -> int:
    return item_size(record.dtype) * prod(record.shape)


def _tensor_bytes(record: Record, batches: _Batches) -> int:
    kind = _Kind(columns=(_value_bytes(record), *_KEYS), ending=490 if record.shape else 418)
    return _CHANNEL_FILES + _files_bytes(kind, batches)


def _metrics_bytes(plan: Plan, rows: int) -> int:
    kind = msgspec.structs.replace(_METRICS, texts=_long_labels(plan))
    return _files_bytes(kind, _Batches(1, rows, 1))


def _long_labels(plan: Plan) -> tuple[int, ...]:
    """For phase, split, node and name, the bytes of the labels that do not fit into a view."""
    labels: tuple[set[str], ...] = (set(), set(), set(), set())
    for phase in plan.phases:
        kind = "train" if isinstance(phase, Train) else type(phase).__name__.lower()
        owners: list[tuple[str | None, str, Phase | Evaluation]] = [(phase.split, kind, phase)]
        if isinstance(phase, Train):
            owners += [(each.split, each.name, each) for each in phase.evaluations]
        labels[0].add(phase.path)
        for split, name, owner in owners:
            prefix = "" if owner is phase else f"{name}_"
            objectives = (*owner.losses, *owner.metrics)
            labels[1].add(split or "")
            labels[2].update(objective.node for objective in objectives)
            labels[3].update(f"{prefix}{objective.label}" for objective in objectives)
            labels[3].add(f"{name}_loss" if owner.losses else "")
    sizes = ([len(text.encode()) for text in texts] for texts in labels)
    return tuple(sum(size for size in column if size > _SHORT_TEXT) for column in sizes)


def _shares(total: int, counts: Sequence[int]) -> Iterator[int]:
    """`total` divided in proportion to `counts`, without losing a byte."""
    whole = max(1, sum(counts))
    ends = [total * end // whole for end in accumulate(counts, initial=0)]
    return (end - start for start, end in pairwise(ends))


def _table_bytes(columns: Sequence[int], rows: int) -> int:
    """Of a Parquet table whose values cannot be compressed: its rows, and what describes each column."""
    if not rows:
        return 0
    return _in_blocks(rows * sum(columns) * 51 // 50 + 1024 * (len(columns) + 4))


def _files_bytes(kind: _Kind, batches: _Batches) -> int:
    """Of all files of one kind in one folder."""
    total, number = 0, 0
    rest, in_epoch = batches.epochs * batches.rows, 0
    while rest:
        aim = min(_FIRST_CHUNK << 2 * min(number, 3), _LAST_CHUNK)
        capacity = max(aim // sum(kind.columns), batches.batch)
        rows = min(rest, _whole_batches(capacity, in_epoch, batches))
        rest -= rows
        in_epoch = (in_epoch + rows) % batches.rows
        number += 1
        if not rest and 2 * rows < capacity:
            size = _file_bytes(kind, rows, rows, max(kind.texts, default=0))
        else:
            size = _file_bytes(kind, capacity, rows, aim // _TEXT_SHARE)
        total += size
        if number == _MOST_FILES:
            return total + size * rest // rows
    return total


def _whole_batches(capacity: int, start: int, batches: _Batches) -> int:
    """The most rows of whole batches that fit, of which the first one is `start` rows into its epoch."""
    left = batches.rows - start
    if left > capacity:
        return capacity // batches.batch * batches.batch
    epochs, room = divmod(capacity - left, batches.rows)
    return left + epochs * batches.rows + room // batches.batch * batches.batch


def _file_bytes(kind: _Kind, capacity: int, rows: int, text_capacity: int) -> int:
    """Blocks of one file in which there is something."""
    places: list[tuple[int, int]] = []
    end = 0
    for space, used in _regions(kind, capacity, rows, text_capacity):
        places.append((end, used))
        end += -(-space // _ALIGNMENT) * _ALIGNMENT
    start = _LARGE_START if end >= _LARGE_BODY else _BLOCK
    blocks = last = 0
    for offset, used in ((-start, _BLOCK), *places, (end, kind.ending)):
        if used:
            first = max((start + offset) // _BLOCK, last)
            last = max((start + offset + used - 1) // _BLOCK + 1, last)
            blocks += max(0, last - first)
    return blocks * _BLOCK


def _regions(
    kind: _Kind, capacity: int, rows: int, text_capacity: int
) -> Iterator[tuple[int, int]]:
    """Size of each region, and how much of it has space on the disk."""
    texts = iter(kind.texts)
    for width in kind.columns:
        yield capacity * width, _with_space_ahead(capacity * width, rows * width)
        if width == _VIEW and kind.texts:
            yield text_capacity, next(texts)


def _with_space_ahead(space: int, used: int) -> int:
    if space < _AHEAD_REGION or space - used >= _LEAST_RELEASED:
        return used
    ahead = min(space // _AHEAD_SHARE, _MOST_AHEAD)
    return min(space, -(-used // ahead) * ahead)


def _in_blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
