"""What the records of a run say of its artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.errors import StoreError
from specplan.store.artifacts import ArtifactRow, check_name
from specplan.store.recorder import ARTIFACT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan._native import StoreReader, TextReader


def tells_of_artifacts(reader: TextReader) -> bool:
    """Whether the rows of a channel are those of artifacts."""
    return reader.field == ARTIFACT and reader.phase == ""


def artifact_batches(records: StoreReader) -> Iterator[tuple[TextReader, int, int]]:
    """Channel, position and number of each record that tells of artifacts."""
    for channel in records.texts():
        if tells_of_artifacts(channel):
            for position, sequence in enumerate(channel.index()["sequence"]):
                yield channel, position, int(sequence)


def read_row(text: str) -> ArtifactRow:
    """One row of such a record.

    Raises:
        StoreError: it is damaged.
    """
    try:
        row = msgspec.json.decode(text, type=ArtifactRow)
        check_name(row.file)
    except ValueError as error:
        raise StoreError(f"a row of the artifacts is damaged: {error}") from error
    return row
