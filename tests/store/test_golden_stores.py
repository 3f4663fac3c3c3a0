"""Stores of earlier versions are read by this one, and by the reader that was written from the page alone."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from specplan._native import StoreReader, export_metrics
from tests.golden.stores.make import HERE, STORES, make, ragged_payload, text_payload
from tests.store.reference_reader import Records, read_records

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 200_000


@pytest.fixture(params=STORES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    return unpacked(HERE, name, tmp_path / name)


def unpacked(parent: Path, name: str, folder: Path) -> Path:
    with zipfile.ZipFile(parent / f"{name}.zip") as archive:
        archive.extractall(folder)
    return folder


def expected(parent: Path, name: str) -> Any:
    return json.loads((parent / f"{name}.json").read_text())


def by_reference(records: Records) -> dict[str, Any]:
    keys = ("phase", "node", "role", "field", "kind", "dtype", "shape")
    return {
        "closed": records.watermark.closed,
        "dropped": records.watermark.dropped,
        "channels": [
            {
                **{key: channel.description[key] for key in keys},
                "batches": [
                    [b.sequence, b.epoch, b.batch, b.rows, zlib.crc32(b.payload)]
                    for b in channel.batches
                ],
            }
            for channel in records.channels
        ],
        "metrics": [
            [m.sequence, m.step, m.epoch, m.batch, [*m.labels], struct.pack("<d", m.value).hex()]
            for m in records.metrics
        ],
        "watermark": records.watermark.sequence,
    }


def payload(kind: str, values: Any) -> bytes:
    if kind == "tensor":
        data: bytes = values.tobytes()
        return data
    return ragged_payload(values) if kind == "ragged" else text_payload(values)


def by_us(reader: StoreReader) -> list[dict[str, Any]]:
    """What our reader gives of each channel: labels, and every batch with its time and its bytes."""
    found = []
    kinds: dict[str, Any] = {
        "tensor": reader.tensors(),
        "ragged": reader.ragged(),
        "text": reader.texts(),
    }
    for kind, channels in kinds.items():
        for channel in channels:
            index = channel.index()
            columns = [
                index[name].tolist() for name in ("sequence", "epoch", "batch", "rows", "time")
            ]
            payloads = [payload(kind, channel.at(at)) for at in range(channel.batches)]
            labels = (channel.phase, channel.node, channel.role, channel.field)
            batches = [(*entry, data) for *entry, data in zip(*columns, payloads, strict=True)]
            found.append({"labels": labels, "dtype": channel.dtype, "batches": batches})
    return sorted(found, key=lambda channel: channel["labels"])


def test_the_reference_reader_finds_what_was_recorded(name: str, folder: Path) -> None:
    assert by_reference(read_records(folder)) == expected(HERE, name)


def test_our_reader_finds_what_the_reference_reader_finds(folder: Path) -> None:
    records, reader = read_records(folder), StoreReader.open(str(folder))
    assert reader.verify() == []
    watermark = records.watermark
    assert (reader.watermark, reader.closed) == (watermark.sequence, watermark.closed)
    assert (reader.durable, reader.dropped) == (watermark.durable, watermark.dropped)
    assert reader.sessions == records.description["sessions"]
    wanted = [
        {
            "labels": tuple(channel.description[key] for key in ("phase", "node", "role", "field")),
            "dtype": channel.description["dtype"],
            "batches": [
                (b.sequence, b.epoch, b.batch, b.rows, b.time, b.payload) for b in channel.batches
            ],
        }
        for channel in records.channels
    ]
    assert by_us(reader) == sorted(wanted, key=lambda channel: channel["labels"])


def test_our_export_has_the_metrics_of_the_reference_reader(folder: Path, tmp_path: Path) -> None:
    metrics = read_records(folder).metrics
    path = tmp_path / "metrics.parquet"
    assert export_metrics(str(folder), str(path), run_id="golden") == len(metrics)
    table = pq.read_table(path)
    assert table["step"].to_pylist() == [metric.step for metric in metrics]
    assert table["time"].cast("int64").to_pylist() == [metric.time for metric in metrics]
    for column, number in (("epoch", "epoch"), ("batch", "batch")):
        wanted = [getattr(metric, number) for metric in metrics]
        assert [-1 if n is None else n for n in table[column].to_pylist()] == wanted
    for position, label in enumerate(("phase", "split", "node", "name")):
        found = [text or "" for text in table[label].to_pylist()]
        assert found == [metric.labels[position] for metric in metrics]
    values = np.array([metric.value for metric in metrics])
    assert table["value"].to_numpy().tobytes() == values.tobytes()


def test_the_stores_can_be_made_anew(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    assert expected(tmp_path, name) == expected(HERE, name)
    folder = unpacked(tmp_path, name, tmp_path / f"{name}.unpacked")
    assert by_reference(read_records(folder)) == expected(HERE, name)


def test_the_stores_are_small() -> None:
    kept = (path for path in HERE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert sum(path.stat().st_size for path in kept) < MOST_BYTES
