"""Batches that code of the user makes of the rows of a split.

Each epoch is made by a new call, with a generator of its own, so that it is a function of the seed and of its
number, as those of built-in samplers are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.base.amounts import count
from specplan.code.probe import Column
from specplan.components.reference import COLUMNS, LABEL
from specplan.components.sampler import DEFAULT_ROLE
from specplan.errors import RunError
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.code.signature import Signature

Batch = dict[str, "NDArray[np.int64]"]
"""The numbers of the rows of a batch by their role; `DEFAULT_ROLE` where they are read one by one."""
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
        roles: of the rows of a tuple; empty where rows are read one by one.
        samples: rows or tuples of an epoch; steps: its batches; largest: those of the largest batch that was seen.

    Raises:
        RunError: it gives no batches of these rows, batches of different roles, or epochs with different
            numbers of batches or rows.
    """

    def __init__(self, make: MakeEpoch, name: str, seed: int, rows: int) -> None:
        self._make = make
        self._name = name
        self._seed = seed
        self._rows = rows
        self._roles: tuple[str, ...] | None = None
        first = self._made(0)
        self.roles = () if DEFAULT_ROLE in first[0] else tuple(first[0])
        self.samples, self.steps = sum(map(_size, first)), len(first)
        tried = [first, *(self.of_epoch(epoch) for epoch in range(1, TRIED))]
        self.largest = max(_size(batch) for batches in tried for batch in batches)

    def of_epoch(self, epoch: int) -> list[Batch]:
        """The batches of an epoch, counted from 0.

        Raises:
            RunError: they are not as many batches, or not of as many rows or of the roles, as those of the first.
        """
        batches = self._made(epoch)
        found = (sum(map(_size, batches)), len(batches))
        if found != (self.samples, self.steps):
            message = (
                f"{self._name} gave {found[0]} rows in {found[1]} batches in epoch {epoch}, and "
                f"{self.samples} in {self.steps} in epoch 0; every epoch has as many"
            )
            raise RunError(message)
        return batches

    def _made(self, epoch: int) -> list[Batch]:
        generator = np.random.default_rng([self._seed, epoch])
        made = self._make(self._rows, epoch, generator)
        batches = [self._by_role(batch, epoch) for batch in made]
        if not batches:
            raise RunError(f"{self._name} gave no batch in epoch {epoch}")
        return batches

    def _by_role(self, batch: Any, epoch: int) -> Batch:
        given = batch if isinstance(batch, Mapping) else {DEFAULT_ROLE: batch}
        roles = tuple(given)
        if self._roles is None and isinstance(batch, Mapping):
            self._check_names(roles)
        self._roles = self._roles or roles
        if set(roles) != set(self._roles):
            message = f"{self._name} gave a batch of {_told(roles)} in epoch {epoch}, and one of {_told(self._roles)} before"
            raise RunError(message)
        found = {role: self._checked(np.asarray(given[role]), epoch) for role in self._roles}
        sizes = {role: len(rows) for role, rows in found.items()}
        if len(set(sizes.values())) > 1:
            told = " and ".join(f"{size} of `{role}`" for role, size in sizes.items())
            message = f"{self._name} gave a batch with {told} in epoch {epoch}; a tuple has one row of each role"
            raise RunError(message)
        return found

    def _check_names(self, roles: tuple[object, ...]) -> None:
        for role in roles:
            if not isinstance(role, str) or not LABEL.fullmatch(role) or role == DEFAULT_ROLE:
                rule = "a role has letters, digits, `_` and `-`, and begins with a letter or `_`"
                if role == DEFAULT_ROLE:
                    rule = "rows that are read one by one are that, and tuples need other names"
                raise RunError(f"{self._name} gave the role {role!r}; {rule}")
        if len(roles) < 2:
            told = count(len(roles), "role")
            raise RunError(f"{self._name} gave batches of {told}; tuples have two or more")

    def _checked(self, batch: NDArray[Any], epoch: int) -> NDArray[np.int64]:
        if batch.ndim != 1 or batch.dtype.kind not in "iu" or not len(batch):
            message = (
                f"{self._name} gave a batch of {batch.dtype} of shape {batch.shape} in epoch {epoch}, "
                "a batch is a list of numbers of rows, or one for each role"
            )
            raise RunError(message)
        least, most = int(batch.min()), int(batch.max())
        if least < 0 or most >= self._rows:
            wrong = least if least < 0 else most
            message = f"{self._name} gave the row {wrong} in epoch {epoch}; the rows are 0 to {self._rows - 1}"
            raise RunError(message)
        return batch.astype(np.int64)


def _size(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _told(roles: tuple[str, ...]) -> str:
    return "rows without a role" if roles == (DEFAULT_ROLE,) else f"the roles {quoted(roles)}"


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
