"""What code of the user's raised in a run, as the program that called it catches it."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING

from specplan.errors import RunError, SpecplanError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def caught_as_raised() -> Iterator[None]:
    """A RunError that leaves is also an instance of the class of its cause, with the attributes of that.

    So `except ValueError` around a call catches the ValueError of a callback, and `except RunError` still
    catches everything.
    """
    try:
        yield
    except RunError as error:
        cause = error.__cause__
        if type(error) is not RunError or not isinstance(cause, Exception):
            raise
        # A generator, as this function is one, may not raise a StopIteration.
        if isinstance(cause, SpecplanError | StopIteration | StopAsyncIteration):
            raise
        raise both(error, cause) from cause


def both(error: RunError, cause: BaseException) -> RunError:
    """A RunError with the text of `error` that is an instance of the class of `cause` too.

    It is `error` itself where no class can be both.
    """
    try:
        kind = type(
            RunError.__name__,
            (RunError, type(cause)),
            {
                "__module__": RunError.__module__,
                "__qualname__": RunError.__qualname__,
                "__doc__": RunError.__doc__,
                "__init__": BaseException.__init__,
                "__str__": BaseException.__str__,
                "__reduce__": lambda _self: (both, (error, cause)),
            },
        )
        found: RunError = kind(str(error))
    except TypeError:
        return error
    vars(found).update({**vars(cause), **vars(error)})
    for name in _slots(type(cause)):
        if hasattr(cause, name):
            setattr(found, name, getattr(cause, name))
    return found


def _slots(kind: type[BaseException]) -> Iterator[str]:
    """Attributes that are no items of `__dict__`: `errno` of an OSError."""
    for each in kind.__mro__:
        for name, value in vars(each).items():
            if inspect.ismemberdescriptor(value) and not name.startswith("__"):
                yield name
