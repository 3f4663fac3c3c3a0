"""Secrets that a spec says in the open: its runs write it down as it is, since they need it to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.base.redaction import hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path

_CODE = "SP670"


def warn_of_secrets(context: Context) -> None:
    """Warn of texts under the names of secrets, and of those that are known by their look."""
    for path in _secrets(context.values, ()):
        message = "this looks like a secret, and each run keeps its spec and plan as they are"
        hint = "let the code read it from a variable of the environment, and name only that here"
        context.warning(_CODE, message, path, hint=hint)


def _secrets(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _secrets(item, (*path, key))
    elif isinstance(value, str) and hidden(str(path[-1]), value) != value:
        yield path
