"""What can be an artifact, in which format it is stored, and under which names."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import zipfile
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from blake3 import blake3

from specplan.errors import StoreError
from specplan.store.artifacts import ArtifactFolder, ArtifactRow
from specplan.store.safetensors_file import read_header

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"


class Figure:
    """Draws itself as those of matplotlib do."""

    def savefig(self, file: IO[bytes], *, format: str) -> None:
        file.write(PNG if format == "png" else format.encode())


class Point(msgspec.Struct):
    x: int


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "artifacts"


@pytest.fixture
def artifacts(path: Path) -> ArtifactFolder:
    path.parent.mkdir()
    return ArtifactFolder(path, durable=False)


def content(path: Path, row: ArtifactRow) -> bytes:
    """The bytes of a file, which are those that its row tells."""
    found = (path / row.file).read_bytes()
    assert (row.bytes, row.blake3) == (len(found), blake3(found).hexdigest())
    return found


@pytest.mark.parametrize(
    ("name", "file", "media_type", "start"),
    [
        ("loss", "loss.png", "image/png", PNG),
        ("loss.png", "loss.png", "image/png", PNG),
        ("loss.svg", "loss.svg", "image/svg+xml", b"svg"),
        ("loss.SVG", "loss.SVG", "image/svg+xml", b"svg"),
        ("epoch.10", "epoch.10.png", "image/png", PNG),
        ("plots/of/loss.pdf", "plots/of/loss.pdf", "application/pdf", b"pdf"),
    ],
)
def test_figures(
    artifacts: ArtifactFolder, path: Path, name: str, file: str, media_type: str, start: bytes
) -> None:
    row = artifacts.save(name, Figure())
    assert (row.name, row.file, row.kind, row.media_type) == (name, file, "figure", media_type)
    assert content(path, row) == start


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.asfortranarray(np.eye(3, dtype=np.complex64)),
        np.array(7, np.int8),
        np.empty((0, 4), bool),
        np.arange(10)[::2],
        np.array(["a", "bc"]),
        np.array([("a", 1)], [("name", "U3"), ("count", "i4")]),
        np.array(["2026-11-21"], "datetime64[ns]"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays(artifacts: ArtifactFolder, path: Path, array: np.ndarray) -> None:
    row = artifacts.save("weights", array)
    assert (row.file, row.kind) == ("weights.npy", "array")
    read = np.load(io.BytesIO(content(path, row)), allow_pickle=False)
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(read, array)


def test_a_tensor_is_an_array(artifacts: ArtifactFolder, path: Path) -> None:
    tensor = torch.arange(6.0, requires_grad=True).reshape(2, 3).T
    row = artifacts.save("weights", tensor)
    assert (row.file, row.kind) == ("weights.npy", "array")
    np.testing.assert_array_equal(np.load(path / row.file), tensor.detach().numpy())
    assert artifacts.save("conj", torch.ones(1, dtype=torch.complex64).conj()).bytes > 0


def test_several_arrays(artifacts: ArtifactFolder, path: Path) -> None:
    arrays = {"a/b": np.arange(3), "file": np.eye(2), "x.npy": np.array(1.5), "é": np.zeros(0)}
    row = artifacts.save("arrays", arrays)
    assert (row.file, row.kind) == ("arrays.npz", "arrays")
    read = np.load(path / row.file, allow_pickle=False)
    assert sorted(read.files) == sorted(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    with zipfile.ZipFile(path / row.file) as archive:
        assert archive.testzip() is None
    assert artifacts.save("arrays.safetensors", arrays).file == "arrays.safetensors"


def test_a_state_dict(artifacts: ArtifactFolder, path: Path) -> None:
    state = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict()
    state |= {
        "half": torch.ones(3, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
        "none": torch.empty(0, 5),
        "across": torch.arange(6).reshape(2, 3).T,
        "from numpy": np.arange(3, dtype=">i2"),
    }
    row = artifacts.save("model", state)
    assert (row.file, row.kind, row.media_type) == (
        "model.safetensors",
        "tensors",
        "application/x-safetensors",
    )
    stored = bytearray(content(path, row))
    header = read_header(stored)
    assert set(header) == set(state)
    assert header["half"][:2] == ("bfloat16", (3,))
    assert header["across"][:2] == ("int64", (3, 2))
    spans = sorted((first, end) for _, _, first, end in header.values())
    assert spans[0][0] % 8 == 0
    assert [first for first, _ in spans[1:]] == [end for _, end in spans[:-1]]
    assert spans[-1][1] == len(stored)
    for name in ("0.weight", "across", "flags"):
        dtype, shape, first, end = header[name]
        values = np.frombuffer(stored[first:end], dtype).reshape(shape)
        np.testing.assert_array_equal(values, state[name].numpy())
    first, end = header["from numpy"][2:]
    assert np.frombuffer(stored[first:end], "<i2").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "frame",
    [
        pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 6]),
        polars.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pa.table({"a": [1, 2], "b": ["x", None]}),
        pa.record_batch({"a": [1, 2], "b": ["x", None]}),
    ],
    ids=lambda frame: f"{type(frame).__module__.partition('.')[0]}.{type(frame).__name__}",
)
def test_tables(artifacts: ArtifactFolder, path: Path, frame: Any) -> None:
    row = artifacts.save("frame", frame)
    assert (row.file, row.kind) == ("frame.parquet", "table")
    table = pq.read_table(path / row.file)
    assert table.select(["a", "b"]).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    if isinstance(frame, pandas.DataFrame):
        pandas.testing.assert_frame_equal(table.to_pandas(), frame)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"lr": 1e-3, "of": [1, None, True]}, {"lr": 1e-3, "of": [1, None, True]}),
        ({}, {}),
        (None, None),
        (0.5, 0.5),
        ((1, 2), [1, 2]),
        (np.float32(0.5), 0.5),
        ({"n": np.int64(3), "ok": np.bool_(True)}, {"n": 3, "ok": True}),
        (Point(3), {"x": 3}),
        (datetime(2026, 11, 21, tzinfo=UTC), "2026-11-21T00:00:00Z"),
        ({"\ud800": "é"}, {"\ud800": "é"}),
    ],
)
def test_json(artifacts: ArtifactFolder, path: Path, value: object, read: object) -> None:
    row = artifacts.save("config", value)
    assert (row.file, row.kind, row.media_type) == ("config.json", "json", "application/json")
    assert json.loads(content(path, row)) == read


@pytest.mark.parametrize(
    ("name", "value", "file", "kind", "media_type"),
    [
        ("notes", "é", "notes.txt", "text", "text/plain"),
        ("notes.md", "# é", "notes.md", "text", "text/markdown"),
        ("page.html", "<p>", "page.html", "text", "text/html"),
        ("raw", b"\0\1", "raw.bin", "bytes", "application/octet-stream"),
        ("plot.jpg", bytearray(b"\xff\xd8"), "plot.jpg", "bytes", "image/jpeg"),
    ],
)
def test_text_and_bytes(
    artifacts: ArtifactFolder,
    path: Path,
    name: str,
    value: str | bytes,
    file: str,
    kind: str,
    media_type: str,
) -> None:
    row = artifacts.save(name, value)
    assert (row.file, row.kind, row.media_type) == (file, kind, media_type)
    assert content(path, row) == (value.encode() if isinstance(value, str) else value)


def test_a_file_is_copied(artifacts: ArtifactFolder, path: Path, tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    source.write_bytes(os.urandom(3 << 20))
    row = artifacts.save("best", source)
    assert (row.file, row.kind) == ("best.onnx", "file")
    source_bytes = source.read_bytes()
    source.write_bytes(b"")
    assert content(path, row) == source_bytes
    (tmp_path / "link").symlink_to(source)
    assert content(path, artifacts.save("linked", tmp_path / "link")) == b""
    with pytest.raises(FileNotFoundError, match="there is no file or folder `.*nothing`"):
        artifacts.save("nothing", tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="`.*pipe` is neither a file nor a folder"):
        artifacts.save("pipe", tmp_path / "pipe")


def test_a_folder_is_copied(artifacts: ArtifactFolder, path: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep/empty").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "deep/b.txt").write_text("bb")
    row = artifacts.save("data", source)
    assert (row.file, row.kind, row.bytes) == ("data", "folder", 3)
    copy = path / "data"
    assert sorted(str(file.relative_to(copy)) for file in copy.rglob("*")) == [
        "a.txt",
        "deep",
        "deep/b.txt",
        "deep/empty",
    ]
    listed = "".join(
        f"{blake3((source / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("a.txt", "deep/b.txt")
    )
    assert row.blake3 == blake3(listed.encode()).hexdigest()
    assert artifacts.save("data", source).file == "data.2"
    with pytest.raises(ValueError, match="`.*data` is an artifact itself"):
        artifacts.save("data/c", "c")
    (source / "loop").symlink_to(source)
    with pytest.raises(ValueError, match="`.*loop` is a link to no file"):
        artifacts.save("data", source)
    with pytest.raises(ValueError, match="holds the artifacts themselves"):
        artifacts.save("data", path.parent)
    assert not list(path.rglob("*.tmp"))


def test_a_name_that_is_used_again_is_another_file(artifacts: ArtifactFolder, path: Path) -> None:
    rows = [artifacts.save("plots/loss", Figure()) for _ in range(3)]
    assert [row.file for row in rows] == [
        "plots/loss.png",
        "plots/loss.2.png",
        "plots/loss.3.png",
    ]
    assert {row.name for row in rows} == {"plots/loss"}
    assert artifacts.save("plots/loss.2", Figure()).file == "plots/loss.2.2.png"
    assert ArtifactFolder(path, durable=True).save("plots/loss", b"").file == "plots/loss.bin"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("..", "relative path"),
        ("../a", "relative path"),
        ("a/../b", "relative path"),
        ("a/./b", "relative path"),
        ("/a", "relative path"),
        ("a/", "relative path"),
        ("a//b", "relative path"),
        ("a\\b", "backslashes"),
        ("C:a", "drives"),
        ("a\0b", "cannot be printed"),
        ("a\nb", "cannot be printed"),
        ("\udc80", "cannot be printed"),
        ("é" * 101, "longer than 200 bytes"),
        ("é" * 99, "longer than 200 bytes"),
    ],
)
def test_names_that_are_refused(
    artifacts: ArtifactFolder, path: Path, name: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=rf"cannot be the name of an artifact: .*{reason}"):
        artifacts.save(name, {})
    assert not path.exists()


def test_a_link_in_the_way_is_refused(
    artifacts: ArtifactFolder, path: Path, tmp_path: Path
) -> None:
    artifacts.save("a/b", "b")
    (tmp_path / "elsewhere").mkdir()
    (path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="`.*out` is a link to another place"):
        artifacts.save("out/c", "c")
    with pytest.raises(ValueError, match=r"`.*b.txt` is a file"):
        artifacts.save("a/b.txt/c", "c")
    (path / "dead.txt").symlink_to(tmp_path / "elsewhere/nothing")
    assert artifacts.save("dead", "d").file == "dead.2.txt"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(ValueError, match="`.*artifacts` is a link to another place"):
        artifacts.save("c", "c")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "`object` has no open format: it could only be pickled, and reading a pickle"),
        ([1, {2, 3}, object()], "`object` has no open format"),
        (torch.nn.Linear(1, 1), r"(?s)`torch.nn.*Linear` has no open format.*state_dict\(\)"),
        ({"a": np.zeros(1), "b": 1}, "(?s)`numpy.ndarray` has no open format.*nothing but arrays"),
        (np.array([object()]), "an array of object could only be pickled"),
        (np.array([(1, None)], [("a", "i4"), ("b", "O")]), "could only be pickled"),
        (np.ma.masked_array([1.0], [True]), "a masked array has no open format"),
        ({"a": np.array([None])}, "an array of object could only be pickled"),
        (torch.ones(2, dtype=torch.bfloat16), r"(?s)numpy has no torch.bfloat16.*`.safetensors`"),
        (torch.eye(2).to_sparse(), "numpy has no torch.float32 tensor like this"),
        ({"a": torch.eye(2).to_sparse()}, "`a` is no plain tensor"),
        ({"a": torch.eye(2, dtype=torch.complex128)}, "has no item type complex128"),
        (polars.Series([1]), "is no table that Arrow can hold"),
        (pandas.DataFrame({"a": [1, "x"]}), "is no table that Arrow can hold"),
        ({(1, 2): 3}, "keys must be str"),
    ],
)
def test_what_has_no_open_format(
    artifacts: ArtifactFolder, path: Path, value: object, said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        artifacts.save("thing", value)
    assert not path.exists() or list(path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("a.jpg", Figure(), "`a.jpg` would hold a figure, which is stored as `.png`, `.svg` or"),
        ("a.csv", pa.table({"a": [1]}), "would hold a table, which is stored as `.parquet`$"),
        ("a.pt", {"a": torch.ones(1)}, "would hold several tensors, which is stored as `.safet"),
        ("a.yaml", {"a": 1}, "would hold a JSON value, which is stored as `.json`$"),
        ("a", {"a": float("nan")}, "this dict cannot be stored as JSON: .*not JSON compliant"),
        ("a", {"a": np.float32("inf")}, "this dict cannot be stored as JSON"),
        ("a", {"__metadata__": torch.ones(1)}, "`__metadata__` is a name of the format's own"),
        ("a", {1: np.ones(1)}, "arrays are stored by names; 1 is none"),
    ],
)
def test_values_that_do_not_fit_their_name_or_format(
    artifacts: ArtifactFolder, path: Path, name: str, value: object, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        artifacts.save(name, value)
    assert not path.exists() or list(path.iterdir()) == []


def test_a_file_that_cannot_be_written(artifacts: ArtifactFolder, path: Path) -> None:
    artifacts.save("small", "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(StoreError, match="artifact `large` could not be written") as caught:
            artifacts.save("large", b"x" * (1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert [file.name for file in path.iterdir()] == ["small.txt"]
    assert artifacts.save("large", b"x").file == "large.bin"
