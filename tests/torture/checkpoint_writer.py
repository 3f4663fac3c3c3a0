"""Writes one checkpoint and removes the one before, as a run does: `checkpoint_writer.py FOLDER NUMBER`."""

from __future__ import annotations

import sys
from pathlib import Path

from specplan.errors import StoreError
from specplan.store.checkpoints import Checkpoint, CheckpointFolder, write_index

FILES = {"values.safetensors": 700, "state/state.json": 90, "state/weights.safetensors": 5000}


def contents(number: int) -> dict[str, bytes]:
    """The files of a checkpoint by their path."""
    return {
        name: bytes((number * 31 + at) % 256 for at in range(size)) for name, size in FILES.items()
    }


def write(folder: Path, number: int) -> None:
    """Raises StoreError."""
    checkpoints = CheckpointFolder(folder)
    with checkpoints.writing(number) as place:
        for name, content in contents(number).items():
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(content)
        write_index(place, _index(number))
    checkpoints.keep(1)


def _index(number: int) -> Checkpoint:
    return Checkpoint(
        plan_id="b3:none",
        session=1,
        created_at="2026-01-01T00:00:00.000+00:00",
        commit=number,
        phase=0,
        is_open=False,
        groups={},
        values=None,
        phases=(),
        kept_epochs={},
        surroundings={},
        data={},
    )


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]), int(sys.argv[2]))
    except StoreError as error:
        print(f"error {error}")  # noqa: T201 -- the harness reads it
        raise SystemExit(1) from None
