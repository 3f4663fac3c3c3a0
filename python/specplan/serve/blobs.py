"""Files as they arrive: in pieces, each at its offset, and none before its digest is right."""

from __future__ import annotations

import re
import shutil
import time
from functools import partial
from typing import TYPE_CHECKING

from specplan.archive.names import name_fault
from specplan.results.artifacts import READERS
from specplan.serve.faults import Fault
from specplan.spec.wording import choices
from specplan.store.artifact_formats import Format
from specplan.store.artifacts import FOLDER, file_digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from specplan.serve.protocol import AddFile, Part
    from specplan.serve.received import Received
    from specplan.store.artifacts import ArtifactRow

FOLDER_NAME = ".uploads"
"""Where the pieces are, below the root of the server: no run begins with a dot."""
KEPT_SECONDS = 7 * 24 * 3600.0
"""After this long a file that nobody went on with is thrown away."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """Bytes that were sent for one run, by their BLAKE3. For one thread at a time.

    Args:
        folder: where they are kept; made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def have(self, digest: str) -> int:
        """How many bytes are there of a file."""
        whole, part = self._paths(digest)
        if whole.is_file():
            return whole.stat().st_size
        return part.stat().st_size if part.is_file() else 0

    def append(self, digest: str, offset: int, size: int, piece: bytes) -> int:
        """Add a piece at its offset; returns how many bytes there are. What is there is left out.

        Raises:
            Fault: there would be a gap, it is too long, or the whole file has another digest.
        """
        whole, part = self._paths(digest)
        there = self.have(digest)
        if not 0 <= offset <= there:
            raise Fault(409, f"bytes from {there} on are missing", have=there)
        if offset + len(piece) > size:
            raise Fault(400, f"the file has {size} bytes, and this piece goes on after them")
        if whole.is_file():
            return there
        self._folder.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            file.write(piece[there - offset :])
        there = part.stat().st_size
        if there >= size:
            if there > size or file_digest(part) != digest:
                part.unlink()
                raise Fault(422, "the file does not match its digest: it was thrown away", have=0)
            part.rename(whole)
        return there

    def take(self, received: Received, asked: AddFile) -> ArtifactRow | None:
        """Make an artifact of files that are there; None where the run has it already.

        Raises:
            Fault: bytes are missing, or the artifact cannot be of that name or kind.
        """
        file = asked.file or asked.name
        if fault := name_fault(file):
            raise Fault(400, f"{file!r} cannot be the name of an artifact: {fault}")
        if asked.file is not None:
            if asked.file in received.files():
                return None
            _remove_left_over(received.run.folder.artifacts, asked.file)
        self._check(asked)
        form = Format(
            name=file,
            kind=asked.kind,
            media_type=asked.media_type,
            write=partial(self._write, asked),
        )
        row = received.run.log_artifact(asked.name, form, step=asked.step)
        received.run.sync()
        for part in asked.parts:
            self._paths(part.blake3)[0].unlink(missing_ok=True)
        return row

    def _check(self, asked: AddFile) -> None:
        if asked.kind not in READERS:
            raise Fault(400, f"no kind `{asked.kind}`; known: {choices(asked.kind, READERS)}")
        is_folder = asked.kind == FOLDER
        for part in asked.parts:
            if is_folder and (fault := name_fault(part.path)):
                raise Fault(400, f"{part.path!r} cannot be the name of a file: {fault}")
        if len({part.path for part in asked.parts}) != len(asked.parts):
            raise Fault(400, "two files of the artifact have one path")
        if not is_folder and [part.path for part in asked.parts] != [""]:
            raise Fault(400, f"an artifact of the kind {asked.kind} is one file, without a path")
        missing = self._missing(asked.parts)
        if missing:
            raise Fault(409, "bytes of the artifact are missing", missing=missing)

    def _missing(self, parts: Sequence[Part]) -> list[dict[str, str | int]]:
        return [
            {"blake3": part.blake3, "offset": self.have(part.blake3)}
            for part in parts
            if not self._is_whole(part)
        ]

    def _is_whole(self, part: Part) -> bool:
        whole, _ = self._paths(part.blake3)
        return whole.is_file() and whole.stat().st_size == part.bytes

    def _write(self, asked: AddFile, target: Path) -> None:
        if asked.kind != FOLDER:
            shutil.copyfile(self._paths(asked.parts[0].blake3)[0], target)
            return
        target.mkdir()
        for part in asked.parts:
            path = target / part.path
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._paths(part.blake3)[0], path)

    def _paths(self, digest: str) -> tuple[Path, Path]:
        """The whole file, and the one that is not whole yet."""
        if not _DIGEST.fullmatch(digest):
            raise Fault(404, "a file is asked for by its BLAKE3, 64 hexadecimal digits")
        return self._folder / digest, self._folder / f"{digest}.part"


def _remove_left_over(artifacts: Path, file: str) -> None:
    """Remove what a server that was killed put there before its records told of it."""
    path = artifacts / file
    if path.parent.resolve() != path.parent:
        return  # behind a link, where nothing of ours is
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_old(root: Path, *, seconds: float = KEPT_SECONDS) -> None:
    """Throw away files that nobody went on with."""
    for path in (root / FOLDER_NAME).glob("*/*"):
        if time.time() - path.stat().st_mtime > seconds:
            path.unlink()
