"""sweep.json: the points of a sweep and their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.errors import RunError
from specplan.store.checked_json import matches_checksum
from specplan.store.layout import SWEEP_FILE

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1


class SweepPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a sweep: what was set, and the run of its plan.

    Attributes:
        run: its id. Points of one plan have one run.
    """

    index: int
    run: str
    plan_id: str
    values: dict[str, Any]


class SweepFile(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of sweep.json.

    Attributes:
        key: what makes it the same sweep, see `specplan.sweep.spec`.
        seeds: with how many each point is run; None where the spec says its seed.
        points: in the order in which they were chosen.
    """

    format: int = FORMAT
    id: str
    experiment: str
    key: str
    created_at: str
    spec: str
    method: str
    metric: str | None
    mode: Literal["min", "max"]
    seeds: int | None = None
    points: tuple[SweepPoint, ...] = ()


def read_sweep_file(path: Path) -> SweepFile:
    """What a sweep.json says.

    Raises:
        RunError: it is damaged, of a newer program, or not there.
    """
    if not path.is_file():
        raise RunError(f"no sweep in `{path.parent}`: it has no {SWEEP_FILE}")
    content = path.read_bytes()
    try:
        found = msgspec.json.decode(content, type=dict[str, Any]).get("format")
        if isinstance(found, int) and found > FORMAT:
            raise RunError(f"{path} has format {found}; this program reads {FORMAT}")
        if not matches_checksum(content):
            raise RunError(f"{path} is damaged: it does not match its checksum")
        return msgspec.json.decode(content, type=SweepFile)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
