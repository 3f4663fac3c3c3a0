"""`xp/<experiment>/informations.json`: where the newest run of an experiment is, for scripts that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.base.files import write_atomically
from specplan.track.plain import encode

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.store.run_file import RunFile


def write_informations(workdir: Path, run_file: RunFile) -> None:
    """Say on which host the newest run of an experiment is, how it is called and how it stands."""
    path = workdir / "xp" / run_file.experiment / "informations.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "hostname": run_file.sessions[-1].host,
        "run_id": run_file.run_id,
        "status": str(run_file.status),
    }
    write_atomically(path, encode(told))
