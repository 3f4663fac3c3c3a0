"""A scaler that is code of the user: called, checked, and known by what it learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.code.learned import LearnedError, learn_again, learned, stray
from specplan.code.load import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from specplan.code.source import Source

_TRIED = 8
"""Rows by which a scaler is compared with one that was only told what it had learned."""


class ScalingError(ValueError):
    """A class of the user's that does not do what a scaler does. `hint` says what does."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.hint = hint
        super().__init__(message)


class OwnScaling:
    """A scaler of the user's, in the form of those that are built in.

    Args:
        make: makes a new object of the class; name: what errors call it.
        source: where its code is, for the lines that errors name; None where that is not known.

    Raises:
        ValueError: no object can be made, or it has no `fit` and `transform`.
    """

    def __init__(self, make: Callable[[], Any], name: str, source: Source | None) -> None:
        self._make = make
        self._name = name
        self._source = source
        self._live = self._made()

    def fit(self, rows: NDArray[Any]) -> None:
        """Learn from rows of shape (rows, elements).

        Raises:
            ValueError: the code fails, or what it learned cannot be kept whole.
        """
        self._called(self._live.fit, _guarded(rows))
        self._check_kept(rows[:_TRIED])

    def transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows, scaled; raises ValueError where the code fails or gives other than rows of numbers."""
        return self._rows(self._called(self._live.transform, _guarded(rows)), rows, "transform")

    def inverse_transform(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows as they were; raises ValueError where the code fails, or has no such method."""
        if not callable(getattr(self._live, "inverse_transform", None)):
            raise ScalingError(f"`{self._name}` has no `inverse_transform`")
        found = self._called(self._live.inverse_transform, _guarded(rows))
        return self._rows(found, rows, "inverse_transform")

    @property
    def state(self) -> dict[str, Any]:
        """What was learned, as plain values."""
        try:
            return self._called(learned, self._live)  # type: ignore[no-any-return]
        except LearnedError as error:
            raise ScalingError(f"`{self._name}` {error}") from None

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        self._called(learn_again, self._live, state)

    def _made(self) -> Any:
        live = self._called(self._make)
        for method in ("fit", "transform"):
            if not callable(getattr(live, method, None)):
                raise ScalingError(f"`{self._name}` is not a scaler: it has no method `{method}`")
        return live

    def _check_kept(self, rows: NDArray[Any]) -> None:
        """Compare with a new object that was told what this one learned."""
        known = self.transform(rows)
        told = OwnScaling(self._make, self._name, self._source)
        told.state = msgspec.json.decode(msgspec.json.encode(self.state))
        try:
            same = np.array_equal(told.transform(rows), known, equal_nan=True)
        except ValueError as error:
            raise self._not_kept(str(error)) from error
        if not same:
            raise self._not_kept("it scales the same rows otherwise then")

    def _not_kept(self, what: str) -> ScalingError:
        names = stray(self._live, self._made())
        held = f"; `fit` set {names}" if names else ""
        return ScalingError(
            f"`{self._name}` cannot be brought back from what it learned: {what}{held}",
            hint="what `fit` learns is in attributes whose names end in `_`, or in what `state_dict` "
            "gives and `load_state_dict` takes; `transform` draws nothing at random",
        )

    def _rows(self, found: Any, rows: NDArray[Any], method: str) -> NDArray[Any]:
        array = np.asarray(found)
        if array.dtype.kind not in "biuf" or array.shape != rows.shape:
            raise ScalingError(
                f"`{method}` of `{self._name}` gave {array.dtype} of shape {array.shape} for rows of "
                f"shape {rows.shape}; it gives as many numbers"
            )
        return array

    def _called(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (MemoryError, LearnedError):
            raise
        except Exception as error:
            place = "" if self._source is None else f"{place_of(error, self._source)}: "
            raise ValueError(f"{place}{type(error).__name__}: {error}") from error


def _guarded(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows that the code can read and not change."""
    view = rows.view()
    view.flags.writeable = False
    return view
