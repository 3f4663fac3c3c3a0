"""Parameters of a run: `exp.params.set(learning_rate=0.001)`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.track.run import TrackedRun


class Parameters:
    """The parameters of a run; those of nested mappings and classes by names with dots."""

    def __init__(self, run: Callable[[], TrackedRun]) -> None:
        self._run = run

    def set(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> Parameters:
        """Add parameters; one that is there is replaced.

        Args:
            values: values, or mappings and classes of them, by name; so are `named`.

        Raises:
            RuntimeError: the run has not begun, or is over.
            TypeError: a value is none that JSON holds.
            ValueError: a name would be a value and hold others: `a` and `a.b`.
        """
        run = self._run()
        added = flat({**(values or {}), **named})
        _check_conflicts({**run.params, **added})
        run.set_params(added)
        return self

    def log(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> Parameters:
        """The same as `set`."""
        return self.set(values, **named)

    def get(self, flatten: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 -- documented so
        """The parameters by their names with dots, or as nested mappings."""
        params = self._run().params
        return params if flatten else nested(params)


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values of nested mappings and classes by names with dots. Names with `_` before them are left out of classes."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = _members(value) if inspect.isclass(value) else value
        if isinstance(inner, Mapping) and inner:
            found |= flat(inner, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = inner
    return found


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """What `flat` was given, as far as its values tell."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        *parts, last = name.split(".")
        inside = found
        for part in parts:
            inside = inside.setdefault(part, {})
        inside[last] = value
    return found


def _members(cls: type) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(cls).items()
        if not name.startswith("_") and not callable(value)
    }


def _check_conflicts(params: Mapping[str, Any]) -> None:
    for name in params:
        parts = name.split(".")
        for count in range(1, len(parts)):
            if (outer := ".".join(parts[:count])) in params:
                raise ValueError(
                    f"the parameter `{outer}` has a value, so there can be no `{name}` in it"
                )
