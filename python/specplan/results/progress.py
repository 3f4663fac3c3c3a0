"""How far a program says that it is, level by level, as its run records it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.store.fields import PROGRESS

if TYPE_CHECKING:
    from specplan.results.open import Run


class Level(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one loop is: the outermost is level 0, those inside of it follow.

    Attributes:
        value: from 0 to 1.
        description: what is done; None where nobody said it.
    """

    value: float
    description: str | None = None

    def __str__(self) -> str:
        percent = f"{100 * self.value:3.0f} %"
        return percent if self.description is None else f"{percent} {self.description}"


class Told(msgspec.Struct, frozen=True):
    """One document."""

    levels: tuple[Level, ...]


def progress_of(run: Run) -> tuple[Level, ...]:
    """The levels of a run as they were told of last; none where nothing was.

    Raises:
        StoreError: the records of them are damaged.
    """
    last: list[Told] = run.documents(PROGRESS, most=1, kind=Told)
    return last[-1].levels if last else ()
