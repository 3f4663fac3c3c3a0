"""Which values of a sweep a run was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.base.redaction import hidden
from specplan.errors import RunError
from specplan.results.table import cell_text
from specplan.store.layout import SWEEP_FILE, SWEEP_PREFIX
from specplan.store.sweep_file import read_sweep_file

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder


def sweep_point(folder: RunFolder) -> str:
    """The sweep that a run was begun for and its values there; empty where its id names none beside it.

    A run is whole without the sweep: where the file of that cannot be read, this is told instead.
    """
    stamp, _, _ = folder.path.name.rpartition("-")
    file = folder.path.parent / f"{SWEEP_PREFIX}{stamp}" / SWEEP_FILE
    if not file.is_file():
        return ""
    try:
        points = read_sweep_file(file).points
    except RunError as error:
        return f"{file.parent.name}: {error}"
    values = next((point.values for point in points if point.run == folder.path.name), None)
    if values is None:
        return ""
    said = (f"{name}={hidden(name, cell_text(value))}" for name, value in values.items())
    return f"{file.parent.name}: {', '.join(said)}"
