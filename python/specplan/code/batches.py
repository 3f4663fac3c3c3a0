"""Batches that code of the user makes of the rows of a split.

Each epoch is made by a new call, with a generator of its own, so that it is a function of the seed and of its
number, as those of built-in samplers are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.code.probe import Column
from specplan.components.reference import COLUMNS
from specplan.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from specplan.code.signature import Signature

MakeEpoch = Callable[[int, int, np.random.Generator], list[Any]]
"""Of the number of rows, the number of the epoch and its generator makes the batches."""
TRIED = 3
"""Epochs that are made to see that each has as many batches and rows as the first."""


def maker(
    make: Callable[..., Any],
    given: Mapping[str, Any],
    declared: Signature,
    columns: Mapping[str, NDArray[Any]],
) -> MakeEpoch:
    """What makes the batches of an epoch: a call of the function, or of a new object of the class.

    Args:
        make: the function or class; given: its arguments as the plan has them.
        columns: those that the spec names, in the order of the split.
    """
    read = guarded(columns)
    arguments = {**given, COLUMNS: read} if read or COLUMNS in declared.parameters else given

    def batches(rows: int, epoch: int, generator: np.random.Generator) -> list[Any]:
        if isinstance(make, type):
            return list(make(**arguments)(rows, epoch, generator))
        return list(make(rows, epoch, generator, **arguments))

    return batches


def bound_maker(make: Callable[..., Any], columns: Mapping[str, NDArray[Any]]) -> MakeEpoch:
    """What makes the batches of an epoch by calling an object that a program holds."""
    arguments = {COLUMNS: guarded(columns)} if columns else {}

    def batches(rows: int, epoch: int, generator: np.random.Generator) -> list[Any]:
        return list(make(rows, epoch, generator, **arguments))

    return batches


class OwnBatches:
    """What a sampler of the user's makes of the rows of one split.

    Args:
        make: makes the batches of an epoch; name: what errors call it.
        seed: the seed that is in force; rows: of the split.

    Attributes:
        samples: rows of an epoch; steps: its batches; largest: rows of the largest batch that was seen.

    Raises:
        RunError: it gives no batches of these rows, or epochs with different numbers of batches or rows.
    """

    def __init__(self, make: MakeEpoch, name: str, seed: int, rows: int) -> None:
        self._make = make
        self._name = name
        self._seed = seed
        self._rows = rows
        first = self._made(0)
        self.samples, self.steps = sum(map(len, first)), len(first)
        tried = [first, *(self.of_epoch(epoch) for epoch in range(1, TRIED))]
        self.largest = max(len(batch) for batches in tried for batch in batches)

    def of_epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """The numbers of the rows of each batch of an epoch, counted from 0.

        Raises:
            RunError: they are not as many batches, or not of as many rows, as those of the first.
        """
        batches = self._made(epoch)
        found = (sum(map(len, batches)), len(batches))
        if found != (self.samples, self.steps):
            message = (
                f"{self._name} gave {found[0]} rows in {found[1]} batches in epoch {epoch}, and "
                f"{self.samples} in {self.steps} in epoch 0; every epoch has as many"
            )
            raise RunError(message)
        return batches

    def _made(self, epoch: int) -> list[NDArray[np.int64]]:
        generator = np.random.default_rng([self._seed, epoch])
        made = self._make(self._rows, epoch, generator)
        batches = [self._checked(np.asarray(batch), epoch) for batch in made]
        if not batches:
            raise RunError(f"{self._name} gave no batch in epoch {epoch}")
        return batches

    def _checked(self, batch: NDArray[Any], epoch: int) -> NDArray[np.int64]:
        if batch.ndim != 1 or batch.dtype.kind not in "iu" or not len(batch):
            message = (
                f"{self._name} gave a batch of {batch.dtype} of shape {batch.shape} in epoch {epoch}, "
                "a batch is a list of numbers of rows"
            )
            raise RunError(message)
        least, most = int(batch.min()), int(batch.max())
        if least < 0 or most >= self._rows:
            wrong = least if least < 0 else most
            message = f"{self._name} gave the row {wrong} in epoch {epoch}; the rows are 0 to {self._rows - 1}"
            raise RunError(message)
        return batch.astype(np.int64)


def packed(values: NDArray[Any]) -> Column:
    """A column as another process reads it."""
    values = _typed(values)
    return Column(dtype=values.dtype.str, shape=values.shape, values=values.tobytes())


def unpacked(column: Column) -> NDArray[Any]:
    """The column that was packed."""
    return np.frombuffer(column.values, np.dtype(column.dtype)).reshape(column.shape)


def guarded(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Columns that the code can read and not change."""
    views = {name: _typed(values).view() for name, values in columns.items()}
    for view in views.values():
        view.flags.writeable = False
    return views


def _typed(values: NDArray[Any]) -> NDArray[Any]:
    """Text as text of numpy, which has no objects."""
    return values.astype(np.str_) if values.dtype.hasobject else np.ascontiguousarray(values)
