"""Strings and JSON documents: what is recorded is what is read, by us and by others, at every instant."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specplan._native import export_execution
from specplan.errors import StoreError
from tests.store.records import channel, create, only_text, ragged_channel, text_channel

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(TEXTS, max_size=6), max_size=8))
def test_round_trip(batches: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        store = create(path)
        values = text_channel(store)
        for number, texts in enumerate(batches):
            assert values.record(texts, 0, number) == number + 1
        assert store.sync() == len(batches)
        live = only_text(path)
        store.close()
        for reader in (live, only_text(path)):
            assert (reader.dtype, reader.field) == ("string", "names")
            assert reader.rows == sum(map(len, batches))
            assert reader.index()["rows"].tolist() == [len(texts) for texts in batches]
            assert [reader.get(0, number) for number in range(len(batches))] == batches
            assert [reader.at(number) for number in range(len(batches))] == batches


def test_other_tools_read_every_state_of_the_file(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = text_channel(store)
    values.record([], 0, 0)
    expected: list[str] = []
    for batch, texts in enumerate([[], [""], ["a", "ü" * 500], ["", "\0", "𝄞", "x" * 70_000]], 1):
        values.record(texts, 0, batch)
        expected += texts
        store.sync()
        check_with_others(tmp_path, expected)
    store.close()
    check_with_others(tmp_path, expected)


def check_with_others(path: Path, expected: list[str]) -> None:
    (file,) = map(str, path.rglob("chunk-*.arrow"))
    visible = [(file, 0, len(expected))] if expected else []
    assert only_text(path).files() == visible
    table = pa.ipc.open_file(file).read_all()
    table.validate(full=True)
    assert table.schema.field("names").type == pa.string()
    assert table.schema.field("names").metadata == {b"specplan.dtype": b"string"}
    assert table.column("names").to_pylist() == expected
    assert pl.read_ipc(file)["names"].to_list() == expected
    assert pd.read_feather(file)["names"].tolist() == expected
    # A stream reader that starts behind the magic finds the same rows.
    with Path(file).open("rb") as source:
        source.seek(8)
        assert pa.ipc.open_stream(source).read_all().equals(table)


def test_chunks_roll_by_rows_and_by_bytes(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = text_channel(store)
    lengths = [1, 400_000, 3, 0, 5_000_000, 5, 10, 2_000_000] * 2
    for batch, length in enumerate(lengths):
        values.record(["ü" * length, "end"], 0, batch)
    many = [str(row) for row in range(300_000)]
    values.record(many, 1, 0)
    values.record(many, 1, 1)
    store.close()
    reader = only_text(tmp_path)
    assert len(reader.files()) > 3
    for batch, length in enumerate(lengths):
        assert reader.get(0, batch) == ["ü" * length, "end"]
    assert reader.get(1, 1) == many
    tables = [pa.ipc.open_file(file).read_all() for file, _, _ in reader.files()]
    assert sum(table.num_rows for table in tables) == reader.rows
    for table in tables:
        table.validate(full=True)


def test_what_may_be_a_sequence_of_texts(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = text_channel(store)
    expected = ["a", "bü", ""]
    for batch, texts in enumerate(
        [
            expected,
            tuple(expected),
            np.array(expected),
            np.array(expected, object),
            np.array(expected, np.dtypes.StringDType()),
            pd.Series(expected),
            iter(expected),
        ]
    ):
        values.record(texts, 0, batch)
    store.close()
    reader = only_text(tmp_path)
    assert [reader.at(number) for number in range(reader.batches)] == [expected] * 7
    assert {type(text) for text in reader.at(2)} == {str}


def test_documents(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = text_channel(store, json=True)
    documents = [json.dumps({"name": "ü", "numbers": [1, 2.5, None]}), "3", "[]", '"x"', "1e999"]
    values.record(documents, 0, 0)
    for text, reason in {
        "{": "EOF while parsing an object at line 1 column 1",
        "NaN": "expected value at line 1 column 1",
        "": "EOF while parsing a value at line 1 column 0",
        "{} {}": "trailing characters at line 1 column 4",
    }.items():
        with pytest.raises(ValueError, match=f"^text 1: it is not JSON: {reason}$"):
            values.record(["{}", text], 0, 1)
    store.close()
    reader = only_text(tmp_path)
    assert (reader.dtype, reader.batches) == ("json", 1)
    assert reader.get(0, 0) == documents
    ((file, _, _),) = reader.files()
    metadata = pa.ipc.open_file(file).schema.field("names").metadata
    assert metadata == {b"specplan.dtype": b"json"}


def test_refusals_name_the_position(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = text_channel(store)
    with pytest.raises(TypeError, match="^text 1: expected a string, got `int`$"):
        values.record(["a", 3], 0, 0)  # type: ignore[list-item]
    with pytest.raises(TypeError, match="^text 0: expected a string, got `NoneType`$"):
        values.record([None], 0, 0)  # type: ignore[list-item]
    with pytest.raises(TypeError, match="^text 0: expected a string, got `bytes`$"):
        values.record(np.array([b"a"], object), 0, 0)
    with pytest.raises(TypeError, match="^text 0: expected a string, got `ndarray`$"):
        values.record(np.array([["a"]]), 0, 0)
    with pytest.raises(TypeError, match="^expected a sequence of strings, got `str`$"):
        values.record("abc", 0, 0)
    with pytest.raises(ValueError, match="^text 1: .* can't encode character .*surrogates"):
        values.record(["a", "b\ud800"], 0, 0)
    with pytest.raises(TypeError, match="not iterable"):
        values.record(3, 0, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="names` is text of type string, not text of type json$"):
        text_channel(store, json=True)
    with pytest.raises(ValueError, match="names` is text of type string, not ragged float32"):
        ragged_channel(store, "names")
    with pytest.raises(ValueError, match="cannot be named `epoch`"):
        text_channel(store, "epoch")
    assert store.sync() == 0


def test_execution_table(tmp_path: Path) -> None:
    store = create(tmp_path / "records")
    ids = channel(store, "sample_id", "int64", ())
    names, documents = text_channel(store), text_channel(store, "documents", json=True)
    expected = [f"name {sample} {'ü' * sample}" for sample in range(120)]
    for batch in range(30):
        rows = slice(4 * batch, 4 * batch + 4)
        ids.record(np.arange(120)[rows], 0, batch)
        names.record(expected[rows], 0, batch)
        documents.record([json.dumps({"name": name}) for name in expected[rows]], 0, batch)
    store.close()
    path = tmp_path / "execution.parquet"
    assert export_execution(str(tmp_path / "records"), "train", str(path), run_id="r") == 120
    assert pl.read_parquet(path)["MLP.names"].to_list() == expected
    assert pd.read_parquet(path)["MLP.names"].tolist() == expected
    query = f"""select "MLP.names", json_extract_string("MLP.documents", '$.name') from '{path}'"""
    assert duckdb.execute(query).fetchall() == [(name, name) for name in expected]
    field = pq.read_schema(path).field("MLP.documents")
    assert (field.type, field.metadata) == (pa.string(), {b"specplan.dtype": b"json"})


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    store = create(tmp_path)
    text_channel(store).record(["before", "a text to be found", "after"], 0, 0)
    store.close()
    ((file, _, _),) = only_text(tmp_path).files()
    whole = Path(file).read_bytes()
    position = whole.index(b"a text to be found")
    offsets = whole.index(np.array([0, 6, 24, 29], np.int32).tobytes())
    for place in (position + 3, offsets + 4, offsets + 8, offsets + 12):
        data = bytearray(whole)
        data[place] ^= 4
        Path(file).write_bytes(data)
        with pytest.raises(StoreError, match=r"is damaged at byte [0-9]+: "):
            export_execution(str(tmp_path), "train", str(tmp_path / "x.parquet"), run_id="r")
