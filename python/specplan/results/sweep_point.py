"""Which values of a sweep a run was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.redaction import hidden
from specplan.errors import RunError
from specplan.results.table import cell_text
from specplan.store.layout import SWEEP_FILE, SWEEP_PREFIX

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder


class _Point(msgspec.Struct, frozen=True):
    run: str
    values: dict[str, Any]


class _Points(msgspec.Struct, frozen=True):
    """Of sweep.json what is told of a run."""

    points: tuple[_Point, ...] = ()


def sweep_point(folder: RunFolder) -> str:
    """The sweep that a run was begun for and its values there; empty where its id names none beside it.

    Raises:
        RunError: the file of the sweep is damaged.
    """
    stamp, _, _ = folder.path.name.rpartition("-")
    file = folder.path.parent / f"{SWEEP_PREFIX}{stamp}" / SWEEP_FILE
    if not file.is_file():
        return ""
    try:
        points = msgspec.json.decode(file.read_bytes(), type=_Points).points
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"`{folder.shown(file)}` is damaged: {error}") from error
    values = next((point.values for point in points if point.run == folder.path.name), None)
    if values is None:
        return ""
    said = (f"{name}={hidden(name, cell_text(value))}" for name, value in values.items())
    return f"{file.parent.name}: {', '.join(said)}"
