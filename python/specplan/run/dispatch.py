"""Calling what a program overrides of a callback, with what it asks for by name."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.errors import RunError
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from specplan.run.callback import Hooked

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Override:
    """The overriding method of one callback.

    Args:
        label: of the callback.
        method: the bound method.
        where: what begins the message of a failure.
        offered: what it can ask for. A method that takes `**kwargs` gets everything.

    Raises:
        TypeError: the method wants what it cannot be given.
    """

    def __init__(
        self,
        label: str,
        method: Callable[..., object],
        offered: Sequence[str],
        *,
        where: str = "",
    ) -> None:
        self.label = label
        self._where = where
        self._method = method
        parameters = list(inspect.signature(method).parameters.values())
        everything = any(each.kind is each.VAR_KEYWORD for each in parameters)
        names = [each.name for each in parameters if each.kind in _NAMED]
        self._wanted = [name for name in offered if everything or name in names]
        for each in parameters:
            required = each.default is each.empty and each.kind not in (
                each.VAR_POSITIONAL,
                each.VAR_KEYWORD,
            )
            if required and (each.kind not in _NAMED or each.name not in offered):
                raise TypeError(
                    f"callback `{label}`: {method.__name__} wants `{each.name}`; "
                    f"it can have {quoted(offered)}"
                )

    def __call__(self, offered: Mapping[str, Callable[[], Any]]) -> object:
        """Call the method with what it asks for, each made now.

        Raises:
            RunError: the method raised something.
        """
        try:
            return self._method(**{name: offered[name]() for name in self._wanted})
        except Exception as error:
            name = f"{self.label}.{self._method.__name__}"
            raise _failure(f"{self._where}callback `{name}`", error) from error


def override(
    base: type,
    callback: Any,
    name: str,
    label: str,
    offered: Sequence[str],
    *,
    where: str = "",
) -> Override | None:
    """The method of a callback, or None where it has that of `base`, which does nothing.

    Raises:
        TypeError: the method wants what it cannot be given.
    """
    method = getattr(callback, name)
    if getattr(method, "__func__", None) is getattr(base, name):
        return None
    return Override(label, method, offered, where=where)


def state_of(callback: Hooked) -> dict[str, Any] | None:
    """What a callback wants to be kept.

    Raises:
        RunError: its `state_dict` raised something.
    """
    try:
        return callback.state_dict()
    except Exception as error:
        raise _failure(f"callback `{callback.label}.state_dict`", error) from error


def _failure(what: str, error: Exception) -> RunError:
    return RunError(f"{what} failed: {_place(error)}{type(error).__name__}: {error}")


def _place(error: Exception) -> str:
    """The line of the method that was called; nothing where the call itself failed."""
    assert error.__traceback__ is not None
    trace = error.__traceback__.tb_next
    return (
        ""
        if trace is None
        else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}: "
    )
