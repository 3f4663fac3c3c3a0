"""The artifacts of a run: files and rich objects, by the names under which they were recorded."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from specplan.errors import StoreError
from specplan.results.picture import Picture
from specplan.spec.wording import choices
from specplan.store.artifacts import (
    FOLDER,
    ArtifactRow,
    check_name,
    file_digest,
    files_below,
    folder_digest,
)
from specplan.store.documents import channel_of, decoded, documents
from specplan.store.fields import ARTIFACT, DELETED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan._native import StoreReader, TextReader
    from specplan.results.table import Table
    from specplan.store.layout import RunFolder


class Artifact:
    """One version of an artifact.

    Attributes:
        name: as it was recorded.
        version: 1 for the first of its name, and so on.
        path: the file, or the folder.
        kind: array, arrays, bytes, figure, file, folder, json, table, tensors or text.
        media_type: of the file.
        bytes: of the file, or of all files of the folder.
        digest: BLAKE3, in hexadecimal.
        phase: path of the phase in which it was made, None where that was not said; so are `epoch`,
            `batch` and `step`.
    """

    def __init__(self, folder: Path, row: ArtifactRow, version: int) -> None:
        self.name = row.name
        self.version = version
        self.path = folder / row.file
        self.kind = row.kind
        self.media_type = row.media_type
        self.bytes = row.bytes
        self.digest = row.blake3
        self.phase = row.phase
        self.epoch = row.epoch
        self.batch = row.batch
        self.step = row.step

    def read(self) -> Any:
        """The value: arrays and tensors by name where there are several, a `Table` of a frame.

        The bytes of a figure, which a notebook shows, or of a file are given as they are; of a folder, its path. Tensors lie on a private
        map of their file: a change of one changes no file.

        Raises:
            StoreError: the file is gone, or is not what was written.
        """
        from safetensors import SafetensorError

        self.check()
        try:
            return READERS[self.kind](self.path)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, SafetensorError) as error:
            raise StoreError(f"{self.path} is damaged: {error}") from error

    def check(self) -> None:
        """Compare the file, or every file of the folder, with its size and digest.

        Raises:
            StoreError: it is gone, or is not what was written.
        """
        digest = folder_digest if self.kind == FOLDER else file_digest
        try:
            size = sum(path.stat().st_size for path in files_below(self.path))
            found = digest(self.path)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error
        if size != self.bytes:
            raise StoreError(f"{self.path} is damaged: it has {size} bytes instead of {self.bytes}")
        if found != self.digest:
            raise StoreError(f"{self.path} is damaged: it does not match its digest")

    def __repr__(self) -> str:
        version = f", version {self.version}" if self.version > 1 else ""
        return f"Artifact({self.name!r}, {self.kind}, {self.bytes} bytes{version})"


class Artifacts(Mapping[str, Artifact]):
    """The newest artifact of each name, in the order in which the names were first recorded."""

    def __init__(self, versions: Mapping[str, Sequence[Artifact]]) -> None:
        self._versions = versions

    def __getitem__(self, name: str) -> Artifact:
        return self.versions(name)[-1]

    def versions(self, name: str) -> list[Artifact]:
        """Everything that was recorded under a name, oldest first.

        Raises:
            KeyError: nothing was.
        """
        if name not in self._versions:
            raise KeyError(f"no artifact `{name}`; there are {choices(name, self._versions)}")
        return list(self._versions[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._versions)

    def __len__(self) -> int:
        return len(self._versions)

    def __repr__(self) -> str:
        return f"Artifacts({', '.join(self._versions)})"


def artifacts_of(folder: RunFolder, records: StoreReader) -> Artifacts:
    """The artifacts of a run. Where a version was deleted, only later ones of its name are left.

    Raises:
        StoreError: the records of them are damaged.
    """
    deleted = dict(documents(channel_of(records, DELETED), tuple[str, int]))
    versions: dict[str, list[Artifact]] = {}
    for row in artifact_rows(records):
        found = versions.setdefault(row.name, [])
        found.append(Artifact(folder.artifacts, row, len(found) + 1))
    left = {name: found[deleted.get(name, 0) :] for name, found in versions.items()}
    return Artifacts({name: found for name, found in left.items() if found})


def artifact_rows(records: StoreReader) -> list[ArtifactRow]:
    """What the records tell of each artifact, oldest first.

    Raises:
        StoreError: one is damaged.
    """
    rows: list[ArtifactRow] = documents(channel_of(records, ARTIFACT), ArtifactRow)
    for row in rows:
        _check_file(row)
    return rows


def artifact_batches(records: StoreReader) -> Iterator[tuple[TextReader, int, int]]:
    """Channel, position and number of each record that tells of artifacts."""
    channel = channel_of(records, ARTIFACT)
    if channel is not None:
        for position, sequence in enumerate(channel.index()["sequence"]):
            yield channel, position, int(sequence)


def read_row(text: str) -> ArtifactRow:
    """One row of such a record.

    Raises:
        StoreError: it is damaged.
    """
    row: ArtifactRow = decoded(text, ArtifactRow, ARTIFACT)
    _check_file(row)
    return row


def _check_file(row: ArtifactRow) -> None:
    try:
        check_name(row.file)
    except ValueError as error:
        raise StoreError(f"a document of `{ARTIFACT}` is damaged: {error}") from error


def _read_array(path: Path) -> NDArray[Any]:
    import numpy as np

    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if path.suffix.lower() == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import numpy as np

    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
            arrays[name.removesuffix(".npy")] = array
    return arrays


def _read_tensors(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(path)


def _read_table(path: Path) -> Table:
    from specplan.results.arrow_files import read_parquet
    from specplan.results.table import Table

    return Table(read_parquet(path))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _read_text(path: Path) -> str:
    return path.read_bytes().decode()


def _read_bytes(path: Path) -> bytes:
    return path.read_bytes()


def _read_picture(path: Path) -> Picture:
    return Picture(path.read_bytes())


def _path(path: Path) -> Path:
    return path


READERS: Mapping[str, Callable[[Path], Any]] = {
    "array": _read_array,
    "arrays": _read_arrays,
    "bytes": _read_bytes,
    "figure": _read_picture,
    "file": _read_bytes,
    FOLDER: _path,
    "json": _read_json,
    "table": _read_table,
    "tensors": _read_tensors,
    "text": _read_text,
}
