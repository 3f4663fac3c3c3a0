"""`progress(...)` and `tqdm`: code of the user's says how far it is, and its run keeps that."""

from __future__ import annotations

import math
import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING, Generic, TextIO, TypeVar

import msgspec

from specplan.base.redaction import redacted_text
from specplan.results.progress import Level, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, Self

T = TypeVar("T")
_SECONDS = 0.2
"""Between two documents: nobody sees more, and an inner loop may be short."""


class Reporter:
    """Records how far the loops of a program are, a few times a second and at the end.

    Args:
        record: takes a JSON document.
        every: seconds between two documents.
    """

    def __init__(self, record: Callable[[str], object], *, every: float = _SECONDS) -> None:
        self._record = record
        self._every = every
        self._levels: list[Level] = []
        self._due = -math.inf
        self._is_told = True
        self._lock = threading.Lock()

    def report(self, value: float, level: int = 0, description: str | None = None) -> None:
        """A loop is at `value`; what is inside of it begins anew. Without a description it has the one before.

        Raises:
            ValueError: the value is no number, or the level is negative.
        """
        if level < 0 or math.isnan(value):
            raise ValueError(f"progress is a number of a level from 0 on, not {value} of {level}")
        with self._lock:
            known = self._levels[level].description if level < len(self._levels) else None
            said = known if description is None else redacted_text(description)
            missing = [Level(0.0)] * (level - len(self._levels))
            value = min(max(float(value), 0.0), 1.0)
            self._levels[level:] = [*missing, Level(value, said)]
            self._is_told = False
            if monotonic() >= self._due:
                self._tell()

    def open(self) -> None:
        """From now on, `progress` and `tqdm` report to this one."""
        _REPORTERS.append(self)

    def close(self) -> None:
        """Record what was not yet, and leave `progress` and `tqdm` to the one before."""
        if self in _REPORTERS:
            _REPORTERS.remove(self)
        with self._lock:
            if not self._is_told:
                self._tell()

    def _tell(self) -> None:
        self._record(msgspec.json.encode(Told(tuple(self._levels))).decode())
        self._due = monotonic() + self._every
        self._is_told = True


_REPORTERS: list[Reporter] = []
_BARS: list[tqdm[Any]] = []


def progress(
    value: float, level: int = 0, desc: str | None = None, *, console: bool = False
) -> None:
    """Say how far the run is whose code this is; outside of a run nothing is kept.

    Args:
        value: from 0 to 1.
        level: 0 for the outermost loop; what is inside of it begins anew.
        desc: what is done; by default what was said of the level before.
        console: whether it is printed as well.

    Raises:
        ValueError: the value is no number, or the level is negative.
    """
    if _REPORTERS:
        _REPORTERS[-1].report(value, level, desc)
    if console:
        sys.stderr.write(f"{'  ' * level}{Level(value, desc)}\n")


class tqdm(Generic[T]):  # noqa: N801 -- called as the package is whose place it takes
    """A loop that says how far it is: `for row in tqdm(rows, desc="rows")`. Loops inside are levels.

    It is called as `tqdm.tqdm` is. A terminal gets a line of it.

    Args:
        iterable: what is gone through; without it `update` counts.
        desc: what is done.
        total: how many there are; by default the length of `iterable`, if it has one.
        leave: whether its line stays on the terminal.
        file: where the line goes; by default standard error.
        disable: whether nothing is said at all.
        initial: how many were done before.
        options: what else `tqdm` takes says how it looks, and does nothing here.
    """

    def __init__(
        self,
        iterable: Iterable[T] | None = None,
        desc: str | None = None,
        total: float | None = None,
        *,
        leave: bool = True,
        file: TextIO | None = None,
        disable: bool = False,
        initial: int = 0,
        **options: object,
    ) -> None:
        del options
        length = getattr(iterable, "__len__", None)
        self.iterable = iterable
        self.desc = desc
        self.total = length() if total is None and length is not None else total
        self.n: float = initial
        self.disable = disable
        self._leave = leave
        self._file = file or sys.stderr
        self._due = -math.inf
        self._level = len(_BARS)
        if not disable:
            _BARS.append(self)
            self.refresh()

    def __iter__(self) -> Iterator[T]:
        if self.iterable is None:
            raise TypeError("this tqdm has nothing to go through; count with `update`")
        try:
            for each in self.iterable:
                yield each
                self.update()
        finally:
            self.close()

    def __len__(self) -> int:
        return int(self.total or 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, n: float = 1) -> None:
        """So many more are done."""
        self.n += n
        self.refresh()

    def reset(self, total: float | None = None) -> None:
        """Begin again, with another total if one is given."""
        self.n = 0
        self.total = self.total if total is None else total
        self.refresh()

    def set_description(self, desc: str | None = None, *, refresh: bool = True) -> None:
        """Say what is done now."""
        self.desc = desc
        if refresh:
            self.refresh()

    def set_postfix(self, *_words: object, **_values: object) -> None:
        """Does nothing: values belong into metrics."""

    def refresh(self) -> None:
        """Say how far it is."""
        if self.disable:
            return
        if self.total:
            progress(self.n / self.total, self._level, self.desc)
        elif self.desc is not None:
            progress(0.0, self._level, self.desc)
        if self._file.isatty() and monotonic() >= self._due:
            self._due = monotonic() + _SECONDS
            self._file.write(f"\r\x1b[K{self._line()}")
            self._file.flush()

    def close(self) -> None:
        """It is over, and so are the loops inside of it."""
        if self not in _BARS:
            return
        del _BARS[_BARS.index(self) :]
        if self._file.isatty():
            self._file.write(f"\r\x1b[K{self._line()}\n" if self._leave else "\r\x1b[K")
            self._file.flush()

    def _line(self) -> str:
        words = [] if self.desc is None else [f"{self.desc}:"]
        if self.total:
            words.append(str(Level(self.n / self.total)))
        count = f"{self.n:g}" if self.total is None else f"{self.n:g}/{self.total:g}"
        return " ".join([*words, count])
