"""Splits that code of the user makes of the rows of a FeatureSet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3

from specplan.code.batches import guarded
from specplan.components.reference import COLUMNS, LABEL
from specplan.errors import RunError
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.code.signature import Signature

Rows = dict[str, "NDArray[np.int64]"]
DivideRows = Callable[[int, np.random.Generator], Any]
"""Of the number of rows and a generator makes the rows of each split, by its name."""


def divider(
    make: Callable[..., Any],
    given: Mapping[str, Any],
    declared: Signature,
    columns: Mapping[str, NDArray[Any]],
) -> DivideRows:
    """What divides the rows: a call of the function, or of an object of the class.

    Args:
        make: the function or class; given: its arguments as the plan has them.
        columns: those that the spec names.
    """
    read = guarded(columns)
    arguments = {**given, COLUMNS: read} if read or COLUMNS in declared.parameters else given

    def divide(rows: int, generator: np.random.Generator) -> Any:
        if isinstance(make, type):
            return make(**arguments)(rows, generator)
        return make(rows, generator, **arguments)

    return divide


def divided(divide: DivideRows, name: str, seed: int, rows: int) -> Rows:
    """The rows of each split, in the order that the code gave them. `name` is what errors call the code.

    Raises:
        RunError: it gives no splits of these rows: other numbers than theirs, a row twice, or a split without any.
    """
    made = divide(rows, np.random.default_rng(seed))
    if not isinstance(made, Mapping):
        raise RunError(
            f"{name} gave {type(made).__name__}; a splitter gives the numbers of the rows of each split by its name"
        )
    if not made:
        raise RunError(f"{name} gave no split")
    found = {_label(split, name): _rows(split, part, name, rows) for split, part in made.items()}
    _check_apart(found, name, rows)
    return found


def digest_of_rows(splits: Rows) -> str:
    """`b3:` and the BLAKE3 of which rows are in which split, and in which order."""
    digest = blake3()
    for name in sorted(splits):
        digest.update(f"{name}\0{len(splits[name])}\0".encode())
        digest.update(splits[name].astype("<i8").tobytes())
    return f"b3:{digest.hexdigest()}"


def _label(split: object, name: str) -> str:
    if isinstance(split, str) and LABEL.fullmatch(split):
        return split
    raise RunError(
        f"{name} gave the split {split!r}; a name has letters, digits, `_` and `-`, and begins with a letter or `_`"
    )


def _rows(split: str, part: Any, name: str, rows: int) -> NDArray[np.int64]:
    found = np.asarray(part)
    if found.dtype.kind == "b" and found.shape == (rows,):
        found = np.flatnonzero(found)
    if found.ndim == 1 and not len(found):
        raise RunError(f"{name} gave split `{split}` no row")
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise RunError(
            f"{name} gave split `{split}` {found.dtype} of shape {found.shape}; a split is a list of "
            f"numbers of rows, or a truth value for each of the {rows} rows"
        )
    least, most = int(found.min()), int(found.max())
    if least < 0 or most >= rows:
        wrong = least if least < 0 else most
        raise RunError(f"{name} gave split `{split}` the row {wrong}; the rows are 0 to {rows - 1}")
    return found.astype(np.int64)


def _check_apart(splits: Rows, name: str, rows: int) -> None:
    taken = np.full(rows, -1)
    names = list(splits)
    for number, positions in enumerate(splits.values()):
        before = taken[positions]
        if (before >= 0).any():
            row, other = _first(positions, before >= 0), names[int(before[before >= 0][0])]
            raise RunError(
                f"{name} gave row {row} to the splits {quoted([other, names[number]])}; "
                "a row is in one split, or in none"
            )
        if len(np.unique(positions)) < len(positions):
            values, counts = np.unique(positions, return_counts=True)
            raise RunError(
                f"{name} gave split `{names[number]}` the row {values[counts > 1][0]} twice"
            )
        taken[positions] = number


def _first(positions: NDArray[np.int64], chosen: NDArray[np.bool_]) -> int:
    return int(positions[chosen][0])
