"""Files and rich objects of a run, below `artifacts/`. A file that is there is never changed again."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec
from blake3 import blake3

from specplan.archive.names import name_fault
from specplan.base.files import in_the_making, sync_folder
from specplan.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.store.artifact_formats import Format

FOLDER = "folder"
FOLDER_MEDIA_TYPE = "inode/directory"


class ArtifactRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the records say of one artifact.

    Attributes:
        name: as it was given.
        file: path below `artifacts/`.
        kind: array, arrays, bytes, figure, file, folder, json, table, tensors or text.
        bytes: of the file, or of all files of a folder.
        blake3: of the file's bytes, or of the list of a folder's files (docs/format.md).
        phase: path of the phase in which it was made, as far as that was said; so are `epoch`, `batch`
            and `step`.
    """

    name: str
    file: str
    kind: str
    media_type: str
    bytes: int
    blake3: str
    phase: str | None = None
    epoch: int | None = None
    batch: int | None = None
    step: int | None = None


class ArtifactFolder:
    """Writes artifacts, each aside and then renamed. For one thread at a time.

    `durable` says whether a file is on disk before its name is known; otherwise `sync` puts them there.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._path = path
        self._durable = durable
        self._unsynced: list[Path] = []
        self._folders: set[str] = set()

    def save(self, name: str, value: Any) -> ArtifactRow:
        """Write a value, or copy the file or folder that a path names. A `Format` is written as it says.

        Raises:
            TypeError: the value cannot be stored without pickle.
            ValueError: the name leaves the folder, or says another format.
            FileNotFoundError: there is nothing at the path.
            StoreError: the artifact could not be written.
        """
        # It needs numpy, which those who only read do without.
        from specplan.store.artifact_formats import Format, format_of

        check_name(name)
        if isinstance(value, Format):
            return self._save(name, value)
        if isinstance(value, os.PathLike):
            source = Path(value)
            if source.is_dir():
                return self._save(name, self._folder(name, source))
            if not source.exists():
                raise FileNotFoundError(f"there is no file or folder `{source}`")
            if not source.is_file():
                raise ValueError(f"`{source}` is neither a file nor a folder")
        return self._save(name, format_of(name, value))

    def remove(self, file: str) -> None:
        """Remove what was saved as `file`."""
        _remove(self._path / file)

    def sync(self) -> None:
        """Put everything that was saved on disk."""
        for path in self._unsynced:
            if path.exists():  # people may have thrown it away
                _sync_tree(path)
                _sync_names(path.parent, self._path)
        self._unsynced.clear()

    def _folder(self, name: str, source: Path) -> Format:
        from specplan.store.artifact_formats import Format

        if self._path.resolve().is_relative_to(source.resolve()):
            raise ValueError(f"`{source}` holds the artifacts themselves")
        found = sorted(_files_of(source))
        return Format(
            name=name,
            kind=FOLDER,
            media_type=FOLDER_MEDIA_TYPE,
            write=lambda path: _copy_files(source, found, path),
        )

    def _save(self, name: str, form: Format) -> ArtifactRow:
        check_name(form.name)
        target = self._free(form.name)
        aside = in_the_making(target, ".tmp")
        try:
            with _errors_of(name):
                form.write(aside)
                digest, size = _digest_and_size(aside)
            self._put(aside, target, name)
        finally:
            _remove(aside)
        file = target.relative_to(self._path).as_posix()
        if form.kind == FOLDER:
            self._folders.add(file)
        return ArtifactRow(
            name=name,
            file=file,
            kind=form.kind,
            media_type=form.media_type,
            bytes=size,
            blake3=digest,
        )

    def _put(self, aside: Path, target: Path, name: str) -> None:
        with _errors_of(name):
            if self._durable:
                _sync_tree(aside)
            aside.rename(target)
            if self._durable:
                _sync_names(target.parent, self._path)
            else:
                self._unsynced.append(target)

    def _free(self, name: str) -> Path:
        """Where a new file of this name goes: the second of a name is `NAME.2.SUFFIX`, and so on."""
        wanted = PurePosixPath(name)
        folder = self._path
        with _errors_of(name):
            folder.mkdir(exist_ok=True)
            for part in ("", *wanted.parts[:-1]):
                folder /= part
                self._check_passable(folder)
                folder.mkdir(exist_ok=True)
        target = folder / wanted.name
        number = 1
        while target.exists() or target.is_symlink():
            number += 1
            target = folder / f"{wanted.stem}.{number}{wanted.suffix}"
        return target

    def _check_passable(self, folder: Path) -> None:
        if folder.is_symlink():
            raise ValueError(f"`{folder}` is a link to another place")
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"`{folder}` is a file")
        if folder.relative_to(self._path).as_posix() in self._folders:
            raise ValueError(f"`{folder}` is an artifact itself")


@contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """An error of the system becomes one that names the artifact."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"artifact `{name}` could not be written: {error}") from error


def check_name(name: str) -> None:
    """Raise ValueError for a name that is no relative path inside the folder, or not a portable one."""
    if fault := name_fault(name):
        raise ValueError(f"{name!r} cannot be the name of an artifact: {fault}")


def folder_digest(folder: Path) -> str:
    """BLAKE3 of the digest and the path of each file, as `b3sum` would list them, sorted by path."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in files_below(folder))
    lines = (f"{file_digest(path)}  {name}\n" for name, path in files)
    return blake3("".join(lines).encode(errors="surrogateescape")).hexdigest()


def files_below(path: Path) -> list[Path]:
    """All files of a folder, or the file itself."""
    return [below for below in path.rglob("*") if below.is_file()] if path.is_dir() else [path]


def leaves(path: Path, folder: Path) -> bool:
    """Whether a file, or one of a folder, lies behind a link to somewhere else than below `folder`."""
    inside = folder.resolve()
    return any(not each.resolve().is_relative_to(inside) for each in (path, *files_below(path)))


def file_digest(path: Path) -> str:
    """BLAKE3 of the bytes of a file, in hexadecimal."""
    # Not through a map: a file that is cut meanwhile would end the process.
    digest = blake3()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _files_of(source: Path) -> Iterator[Path]:
    for path in source.rglob("*"):
        if path.is_symlink() and not path.is_file():
            raise ValueError(f"`{path}` is a link to no file; a copy of it would not be the folder")
        if not path.is_file() and not path.is_dir():
            raise ValueError(f"`{path}` is neither a file nor a folder")
        yield path


def _copy_files(source: Path, found: Sequence[Path], folder: Path) -> None:
    folder.mkdir()
    for path in found:
        copy = folder / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
        else:
            shutil.copyfile(path, copy)


def _digest_and_size(path: Path) -> tuple[str, int]:
    digest = folder_digest if path.is_dir() else file_digest
    return digest(path), sum(each.stat().st_size for each in files_below(path))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_tree(path: Path) -> None:
    paths = [path, *path.rglob("*")] if path.is_dir() else [path]
    for each in paths:
        sync_folder(each)  # what is done to a folder is done to a file


def _sync_names(folder: Path, root: Path) -> None:
    while folder != root.parent:
        sync_folder(folder)
        folder = folder.parent
    sync_folder(root.parent)
