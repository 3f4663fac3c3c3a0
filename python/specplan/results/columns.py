"""Which recorded column is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from specplan.errors import RunError
from specplan.results.ragged import Ragged
from specplan.results.tensors import Tensors
from specplan.results.texts import Texts
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.results.batches import Batches

    Column = TypeVar("Column", bound=Batches[Any])

METHODS: dict[type, str] = {Tensors: "tensors", Ragged: "ragged", Texts: "texts"}
"""How `Run` calls what gives a column of each kind."""


def find_column(
    columns: Sequence[Batches[Any]],
    kind: type[Column],
    *,
    node: str,
    field: str,
    phase: str | None,
    role: str,
) -> Column:
    """The one column of a kind with these labels; of any phase for None.

    Raises:
        RunError: there is none, or several.
    """
    matches = [
        column
        for column in columns
        if (column.node, column.field, column.role) == (node, field, role)
        and phase in (None, column.phase)
    ]
    what = _name(node, role, field)
    found = [column for column in matches if isinstance(column, kind)]
    if len(found) == 1:
        return found[0]
    if found:
        phases = ", ".join(f"`{column.phase}`" for column in found)
        raise RunError(
            f"{len(found)} phases recorded {what}: {phases}\n"
            f'hint: say which, as in phase="{found[0].phase}"'
        )
    if matches:
        method = METHODS[type(matches[0])]
        raise RunError(f'{what} is recorded as {method}\nhint: run.{method}("{node}", "{field}")')
    roles = [
        each.role
        for each in columns
        if (each.node, each.field) == (node, field) and phase in (None, each.phase)
    ]
    if roles and role == "default":
        raise RunError(
            f"{what} is recorded for each role\nhint: say which: role={quoted(dict.fromkeys(roles))}"
        )
    where = f" in phase `{phase}`" if phase is not None else ""
    known = [f"{each.phase}: {_name(each.node, each.role, each.field)}" for each in columns]
    raise RunError(f"{what} is not recorded{where}; recorded: {', '.join(known) or 'nothing'}")


def _name(node: str, role: str, field: str) -> str:
    return f"`{node}.{field}`" if role == "default" else f"`{node}.{role}.{field}`"
