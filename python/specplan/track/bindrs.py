"""What an experiment belongs to, and which of its files do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from specplan.track.files import Files


class Bindrs(list[str]):
    """The names of what an experiment belongs to; called with one, the files that are in it."""

    def __init__(self, names: Iterable[str], files: Callable[[], Files]) -> None:
        super().__init__(names)
        self._files = files

    def __call__(self, name: str) -> Files:
        """The files with this name among their bindrs: `exp.bindrs("release").list()`."""
        return self._files()(bindrs=[name])
