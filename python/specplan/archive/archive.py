"""One file that holds a FeatureSet, a graph, an experiment or a checkpoint (docs/archive.md).

A zip file of JSON, Arrow and safetensors, with a manifest that has the digest of every entry. Nothing in it
is code, and reading it runs none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec
from blake3 import blake3

from specplan.archive.zip_layout import (
    MOST_ENTRIES,
    Entry,
    check_names,
    directory_record,
    ending,
    local_header,
    read_entries,
)
from specplan.base.files import sync_folder
from specplan.errors import ArchiveError
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Kind = Literal["fs", "mg", "exp", "ckpt", "run"]
Value = TypeVar("Value")

VERSION = 1
MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 32 << 20

_SAID: Mapping[str, str] = {
    "fs": "a FeatureSet",
    "mg": "a ModelGraph",
    "exp": "an Experiment",
    "ckpt": "a checkpoint",
    "run": "a run",
}
_BLOCK = 1 << 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last entry of an archive.

    Attributes:
        specplan: tells an archive from another zip file with a manifest.
        kind: what the archive is of.
        version: of the form of this kind; 1 so far.
        digests: BLAKE3 of each other entry by name, in hexadecimal.
    """

    specplan: Literal["archive"] = "archive"
    kind: Kind
    version: int = VERSION
    digests: dict[str, str]


def archive_path(path: str | os.PathLike[str], kind: Kind) -> Path:
    """`path` with the suffix of the kind, such as `.exp.mml`, where it has not got it."""
    suffix = f".{kind}.mml"
    text = os.fspath(path)
    return Path(text if text.endswith(suffix) else text + suffix)


class ArchiveWriter:
    """Adds entries, each at once. Made by `writing`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._entries: list[Entry] = []
        self._digests: dict[str, str] = {}
        self._offset = 0

    def add(self, name: str, content: bytes | memoryview) -> None:
        """Add the bytes of an entry."""
        self._add(name, len(content), lambda: iter((content,)))

    def add_json(self, name: str, value: object) -> None:
        """Add plain values as indented JSON."""
        self.add(name, msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2))

    def add_file(self, name: str, path: Path) -> None:
        """Add a file, which must not change meanwhile."""
        self._add(name, path.stat().st_size, lambda: _blocks_of(path))

    def add_folder(self, name: str, folder: Path) -> None:
        """Add all files below `folder`, without empty folders. Links are followed."""
        found = (
            Path(place) / file
            for place, _, files in os.walk(folder, followlinks=True)
            for file in files
        )
        for path in sorted(found):
            self.add_file(f"{name}/{path.relative_to(folder).as_posix()}", path)

    def finish(self, kind: Kind) -> None:
        """Add the manifest, and put everything on disk."""
        manifest = Manifest(kind=kind, digests=self._digests)
        self.add_json(MANIFEST, manifest)
        check_names([entry.name for entry in self._entries])
        if len(self._entries) > MOST_ENTRIES:
            raise ArchiveError(f"an archive has at most {MOST_ENTRIES} entries")
        directory = b"".join(map(directory_record, self._entries))
        end = ending(len(self._entries), len(directory), self._offset)
        self._write(directory + end)
        os.fsync(self._descriptor)

    def _add(
        self, name: str, size: int, blocks: Callable[[], Iterator[bytes | memoryview]]
    ) -> None:
        # The header comes first and has the checksum, so the bytes are gone through before.
        checksum, digest, length = 0, blake3(), 0
        for block in blocks():
            checksum = zlib.crc32(block, checksum)
            digest.update(block)
            length += len(block)
        entry = Entry(name, size, checksum, self._offset)
        self._write(local_header(entry))
        written = sum(self._write(block) for block in blocks())
        if length != size or written != size:
            raise ArchiveError(f"`{name}` changed while it was put into the archive")
        self._entries.append(entry)
        self._digests[name] = digest.hexdigest()
        self._offset = entry.start + size

    def _write(self, content: bytes | memoryview) -> int:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        return len(content)


@contextmanager
def writing(path: Path, kind: Kind, *, overwrite: bool) -> Iterator[ArchiveWriter]:
    """Write an archive beside `path`, and rename it when all is in it and on disk.

    Raises:
        FileExistsError: there is such a file, and it is not to be overwritten.
        ArchiveError: two entries have one name, or a name is not portable.
    """
    _check_free(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
    try:
        try:
            writer = ArchiveWriter(descriptor)
            yield writer
            writer.finish(kind)
        finally:
            os.close(descriptor)
        _check_free(path, overwrite=overwrite)
        beside.replace(path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


class Archive:
    """An archive that is open for reading. What is read is checked with its digest.

    The file may be replaced meanwhile: what was opened is read on.

    Raises:
        FileNotFoundError: there is no such file.
        ArchiveError: it is no archive, is damaged, is of another kind or newer.
    """

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        if not path.is_file():
            raise FileNotFoundError(f"there is no file `{path}`")
        self._descriptor = os.open(path, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._descriptor)
        try:
            self._entries = {entry.name: entry for entry in read_entries(self._descriptor)}
            self._manifest = self._read_manifest()
            self._check_kind(kind)
        except ArchiveError as error:
            self.close()
            raise ArchiveError(f"`{path}` cannot be read: {error}") from None

    @property
    def names(self) -> list[str]:
        """The names of the entries but the manifest, in the order in which they lie."""
        return [name for name in self._entries if name != MANIFEST]

    def below(self, folder: str) -> list[str]:
        """The names that begin with `folder/`, without this beginning."""
        start = f"{folder}/"
        return [name.removeprefix(start) for name in self.names if name.startswith(start)]

    def read(self, name: str) -> bytes:
        """The bytes of an entry.

        Raises:
            ArchiveError: there is none of this name, or its bytes changed.
        """
        return b"".join(self._checked_blocks(name))

    def read_json(self, name: str, kind: type[Value]) -> Value:
        """The values of an entry that is JSON.

        Raises:
            ArchiveError: there is none of this name, or it holds something else.
        """
        try:
            return msgspec.json.decode(self.read(name), type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(f"`{self.path}`: `{name}` cannot be read: {error}") from None

    def extract(self, folder: str, target: Path, *, without: str | None = None) -> None:
        """Write the entries below `folder` as files below `target`, which must not be there yet.

        Those in `without`, a folder in it, are left out.

        Raises:
            FileExistsError: `target` is there.
            ArchiveError: the bytes of an entry changed.
        """
        if target.exists() or target.is_symlink():
            raise FileExistsError(f"`{target}` is there already")
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(
            tempfile.mkdtemp(
                prefix=f".{target.name}.", suffix=f".{os.getpid()}.tmp", dir=target.parent
            )
        )
        try:
            for name in self.below(folder):
                if name.partition("/")[0] == without:
                    continue
                path = beside / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    for block in self._checked_blocks(f"{folder}/{name}"):
                        file.write(block)
            beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def close(self) -> None:
        """Close the file."""
        self._close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Archive({str(self.path)!r}, {self._manifest.kind}, {len(self._entries)} entries)"

    def _checked_blocks(self, name: str) -> Iterator[bytes]:
        if name not in self._manifest.digests:
            raise ArchiveError(f"`{self.path}` has no `{name}`")
        digest = blake3()
        for block in self._blocks(self._entries[name]):
            digest.update(block)
            yield block
        if digest.hexdigest() != self._manifest.digests[name]:
            raise ArchiveError(f"`{self.path}` is damaged: `{name}` is not what its digest says")

    def _blocks(self, entry: Entry) -> Iterator[bytes]:
        # Not through a map: a file that is cut meanwhile would end the process.
        place, end = entry.start, entry.start + entry.size
        while place < end:
            block = os.pread(self._descriptor, min(_BLOCK, end - place), place)
            if not block:
                raise ArchiveError(f"`{self.path}` was cut while it was read")
            place += len(block)
            yield block

    def _read_manifest(self) -> Manifest:
        entry = self._entries.get(MANIFEST)
        if entry is None:
            raise ArchiveError(f"it has no `{MANIFEST}`")
        if entry.size > MOST_MANIFEST_BYTES:
            raise ArchiveError(f"its `{MANIFEST}` has {entry.size} bytes, too many")
        text = b"".join(self._blocks(entry))
        if zlib.crc32(text) != entry.checksum:
            raise ArchiveError(f"it is damaged: `{MANIFEST}` is not what its checksum says")
        try:
            said = msgspec.json.decode(text)
            if isinstance(said, dict) and isinstance(said.get("version"), int):
                _check_version(said["version"])
            manifest = msgspec.convert(said, Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(f"its `{MANIFEST}` is none of an archive: {error}") from None
        if differ := manifest.digests.keys() ^ (self._entries.keys() - {MANIFEST}):
            raise ArchiveError(
                f"its `{MANIFEST}` and its entries differ in {quoted(sorted(differ)[:3])}"
            )
        return manifest

    def _check_kind(self, kind: Kind) -> None:
        if self._manifest.kind != kind:
            raise ArchiveError(f"it is {_SAID[self._manifest.kind]}, not {_SAID[kind]}")


def _check_version(version: int) -> None:
    if version > VERSION:
        raise ArchiveError(
            f"it is of version {version}, this program reads {VERSION}; use a newer specplan"
        )
    if version < 1:
        raise ArchiveError(f"there is no version {version} of archives")


def _check_free(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileExistsError(f"`{path}` is there already; overwrite=True replaces it")


def _blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
