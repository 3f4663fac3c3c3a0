"""What a division of rows comes to: the sizes of splits, and which rows they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan._native import Division, Keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray


class CutError(ValueError):
    """Rows that cannot be divided as they are to be.

    Attributes:
        place: path of what is wrong, from the splitter on.
        also: path of what explains it, and what it is.
        at_key: whether it is the name at the end of `place` that is wrong, not what stands under it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        place: tuple[str | int, ...],
        *,
        hint: str | None = None,
        also: tuple[tuple[str | int, ...], str] | None = None,
        at_key: bool = False,
    ) -> None:
        self.code = code
        self.message = message
        self.place = place
        self.hint = hint
        self.also = also
        self.at_key = at_key
        super().__init__(f"{message}\nhint: {hint}" if hint else message)


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of each key go to each split, key by key; without keys all rows have the same.

    Attributes:
        left: rows that are in no split. Where there are some, they are a last one in the cells.
        chosen: the rows of splits that overlap or have an order of their own. The cells then have
            each row in the first split that has it.
    """

    sizes: dict[str, int]
    cells: Sequence[int]
    keys: Keys | None
    seed: int | None
    left: int = 0
    chosen: Mapping[str, NDArray[np.int64]] | None = None

    def division(self) -> Division:
        """The rows of the splits, in the order of `sizes`, and then those that are in none."""
        splits = len(self.sizes) + (self.left > 0)
        return Division(sum(self.cells), self.cells, splits, keys=self.keys, seed=self.seed)

    def rows(self) -> dict[str, NDArray[np.int64]]:
        """The row numbers of each split, in the order in which they were dealt out."""
        if self.chosen is not None:
            return dict(self.chosen)
        division = self.division()
        return {name: division.split(index) for index, name in enumerate(self.sizes)}
