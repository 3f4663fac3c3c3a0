"""A run that a real command recorded, to be damaged."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from specplan._native import Store
from specplan.store.artifacts import ArtifactFolder
from specplan.store.fields import ARTIFACT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from specplan.store.layout import RunFolder


def damage(path: Path, change: Callable[[bytearray], None]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def flip(position: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content[position] ^= 1

    return change


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def keep_artifacts(folder: RunFolder) -> None:
    """Add three artifacts to a run: an array, a folder and a text, as a further session does."""
    made = folder.path.parent / "made"
    (made / "inner").mkdir(parents=True)
    (made / "one.txt").write_text("one")
    (made / "inner/two.txt").write_text("two")
    artifacts = ArtifactFolder(folder.artifacts, durable=False)
    rows = [
        artifacts.save("array.npy", np.arange(5)),
        artifacts.save("made", made),
        artifacts.save("text.txt", "some text"),
    ]
    store = Store.open(str(folder.records), session=2)
    channel = store.text(phase="", node="", role="default", field=ARTIFACT, json=True)
    for row in rows:
        channel.record([msgspec.json.encode(row).decode()], -1, -1)
    store.close()
