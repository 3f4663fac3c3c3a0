"""Values by named coordinates, such as epoch and batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

Key = tuple[Any, ...]
Reducer = Callable[[list[Any]], Any]


class AxisSeries(Generic[T]):
    """Values by a key of one coordinate for each axis, in the order in which they were recorded.

    A series of one axis takes and gives the coordinate itself as the key. Nothing is read before it is
    asked for, and choosing reads nothing.

    Attributes:
        axes: names of the coordinates, in the order of the keys.
        reducers: what `collapse` takes by name.
    """

    reducers: ClassVar[Mapping[str, Reducer]] = {
        "first": lambda values: values[0],
        "last": lambda values: values[-1],
    }

    def __init__(self, axes: Sequence[str], entries: Mapping[Key, T]) -> None:
        self.axes = tuple(axes)
        self._entries = entries

    @property
    def shape(self) -> dict[str, int]:
        """How many different coordinates each axis has."""
        return {axis: len(values) for axis, values in self.axes_values().items()}

    def axis_values(self, axis: str) -> list[Any]:
        """The different coordinates of an axis, in the order in which they first occur.

        Raises:
            KeyError: there is no such axis.
        """
        position = self._position(axis)
        return list(dict.fromkeys(key[position] for key in self._entries))

    def axes_values(self) -> dict[str, list[Any]]:
        """The different coordinates of every axis."""
        return {axis: self.axis_values(axis) for axis in self.axes}

    def at(self, **coordinates: Any) -> T:
        """The value at one coordinate for each axis.

        Raises:
            KeyError: an axis is missing or unknown, or there is no value.
        """
        for axis in coordinates:
            self._position(axis)
        missing = [axis for axis in self.axes if axis not in coordinates]
        if missing:
            raise KeyError(f"`at` needs a coordinate for each axis; {quoted(missing)} is missing")
        return self._at(tuple(coordinates[axis] for axis in self.axes))

    def where(self, **coordinates: Any) -> Self:
        """The part whose keys agree in these axes.

        Args:
            coordinates: for an axis its coordinate, several of them, or a function that says for a
                coordinate whether it is wanted.

        Raises:
            KeyError: there is no such axis.
        """
        tests = [(self._position(axis), _test(wanted)) for axis, wanted in coordinates.items()]
        chosen = [
            key for key in self._entries if all(test(key[position]) for position, test in tests)
        ]
        return type(self)(
            self.axes, _Renamed(self._entries, dict(zip(chosen, chosen, strict=True)))
        )

    def select(self, **coordinates: Any) -> list[T]:
        """The values of `where`."""
        return self.where(**coordinates).values()

    def collapse(self, axis: str, reducer: str | Callable[[list[T]], Any]) -> Self:
        """Make one value of those that differ in one axis only.

        Args:
            axis: the axis that goes.
            reducer: what makes it of the list of values; a function, or a name in `reducers`.

        Raises:
            KeyError: there is no such axis.
            ValueError: there is no such reducer for these values, or there are no values.
        """
        position, reduce = self._position(axis), self._reducer(reducer)
        grouped: dict[Key, list[T]] = {}
        for key in self._entries:
            rest = key[:position] + key[position + 1 :]
            grouped.setdefault(rest, []).append(self._entries[key])
        if not grouped:
            raise ValueError(f"there is nothing to collapse: {self!r} is empty")
        axes = self.axes[:position] + self.axes[position + 1 :]
        return type(self)(axes, {key: reduce(values) for key, values in grouped.items()})

    def squeeze(self) -> Self:
        """The same values without the axes in which they do not differ."""
        kept = [position for position, axis in enumerate(self.axes) if self.shape[axis] != 1]
        keys = {tuple(key[position] for position in kept): key for key in self._entries}
        return type(self)([self.axes[position] for position in kept], _Renamed(self._entries, keys))

    def one(self) -> T:
        """The only value.

        Raises:
            ValueError: there is none, or several.
        """
        if len(self) != 1:
            raise ValueError(f"one value was expected, and there are {len(self)}")
        return self.first()

    def first(self, *, sort_by: str | Sequence[str] | None = None) -> T:
        """The first value, as recorded or in the order of some axes.

        Raises:
            KeyError: there is no such axis.
            ValueError: there are no values.
        """
        return self._entries[self._ordered(sort_by)[0]]

    def last(self, *, sort_by: str | Sequence[str] | None = None) -> T:
        """The last value, as recorded or in the order of some axes.

        Raises:
            KeyError: there is no such axis.
            ValueError: there are no values.
        """
        return self._entries[self._ordered(sort_by)[-1]]

    def keys(self) -> list[Any]:
        """The keys: tuples, or the coordinates of a series of one axis."""
        return [self._outer(key) for key in self._entries]

    def values(self) -> list[T]:
        """The values."""
        return [self._entries[key] for key in self._entries]

    def items(self) -> Iterator[tuple[Any, T]]:
        """Pairs of key and value."""
        for key in self._entries:
            yield self._outer(key), self._entries[key]

    def __getitem__(self, key: Any) -> T:
        return self._at(self._inner(key))

    def __contains__(self, key: object) -> bool:
        return self._inner(key) in self._entries

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        axes = ", ".join(f"{axis}: {count}" for axis, count in self.shape.items())
        entries = "1 entry" if len(self) == 1 else f"{len(self)} entries"
        return (
            f"{type(self).__name__}({axes}; {entries})"
            if axes
            else f"{type(self).__name__}({entries})"
        )

    def _position(self, axis: str) -> int:
        if axis not in self.axes:
            raise KeyError(f"there is no axis `{axis}`; there: {choices(axis, self.axes)}")
        return self.axes.index(axis)

    def _at(self, key: Key) -> T:
        if key not in self._entries:
            named = zip(self.axes, key, strict=False)
            asked = ", ".join(f"{axis}={value!r}" for axis, value in named)
            raise KeyError(f"there is no value at {asked} in {self!r}")
        return self._entries[key]

    def _inner(self, key: Any) -> Key:
        return key if isinstance(key, tuple) else (key,)

    def _outer(self, key: Key) -> Any:
        return key[0] if len(self.axes) == 1 else key

    def _ordered(self, sort_by: str | Sequence[str] | None) -> list[Key]:
        if not self._entries:
            raise ValueError(f"{self!r} is empty")
        if sort_by is None:
            return list(self._entries)
        axes = [sort_by] if isinstance(sort_by, str) else sort_by
        positions = [self._position(axis) for axis in axes]
        # None, the batch of what counts for a whole epoch, comes after every number.
        return sorted(
            self._entries,
            key=lambda key: [(key[position] is None, key[position] or 0) for position in positions],
        )

    def _reducer(self, reducer: str | Callable[[list[T]], Any]) -> Callable[[list[T]], Any]:
        if not isinstance(reducer, str):
            return reducer
        if reducer not in self.reducers:
            known = choices(reducer, self.reducers)
            raise ValueError(f"{type(self).__name__} has no reducer `{reducer}`; it has {known}")
        return self.reducers[reducer]


class _Renamed(Mapping[Key, T]):
    """Some entries under other keys."""

    def __init__(self, entries: Mapping[Key, T], keys: Mapping[Key, Key]) -> None:
        self._of = entries
        self._keys = keys

    def __getitem__(self, key: Key) -> T:
        return self._of[self._keys[key]]

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _test(wanted: Any) -> Callable[[Any], bool]:
    if callable(wanted):
        return lambda value: bool(wanted(value))
    if isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes):
        allowed = set(wanted)
        return lambda value: value in allowed
    return lambda value: bool(value == wanted)
