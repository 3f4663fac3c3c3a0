"""What can be an artifact, in which format it is stored, and under which names."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import matplotlib.image
import msgspec
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from blake3 import blake3
from matplotlib.figure import Figure
from safetensors import safe_open
from safetensors.torch import load_file

from specplan.errors import StoreError
from specplan.store.artifacts import ArtifactFolder, ArtifactRow

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"


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
        ("loss.svg", "loss.svg", "image/svg+xml", b"<?xml"),
        ("loss.SVG", "loss.SVG", "image/svg+xml", b"<?xml"),
        ("epoch.10", "epoch.10.png", "image/png", PNG),
        ("plots/of/loss.pdf", "plots/of/loss.pdf", "application/pdf", b"%PDF"),
    ],
)
def test_figures(
    artifacts: ArtifactFolder, path: Path, name: str, file: str, media_type: str, start: bytes
) -> None:
    figure = Figure(figsize=(1, 0.5), dpi=100)
    figure.add_subplot().plot([3, 1, 2], gid="losses")
    row = artifacts.save(name, figure)
    assert (row.name, row.file, row.kind, row.media_type) == (name, file, "figure", media_type)
    drawn = content(path, row)
    assert drawn.startswith(start)
    if media_type == "image/png":
        pixels = matplotlib.image.imread(io.BytesIO(drawn))
        assert pixels.shape == (50, 100, 4)
        assert pixels.min() < pixels.max()
    elif media_type == "image/svg+xml":
        ids = {element.get("id") for element in ElementTree.fromstring(drawn).iter()}
        assert "losses" in ids


def test_a_program_without_a_display_draws_with_pyplot(path: Path) -> None:
    program = (
        "import sys, matplotlib.pyplot as plt\n"
        "from pathlib import Path\n"
        "from specplan.store.artifacts import ArtifactFolder\n"
        "figure, axes = plt.subplots()\n"
        "axes.plot([1, 2])\n"
        "print(ArtifactFolder(Path(sys.argv[1]), durable=False).save('loss', figure).file)\n"
        "print(plt.get_backend().lower())\n"
    )
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    path.parent.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name not in hidden},
    )
    assert done.stdout.split() == ["loss.png", "agg"]
    assert (path / "loss.png").read_bytes().startswith(PNG)


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


def test_arrays_as_safetensors(artifacts: ArtifactFolder, path: Path) -> None:
    arrays = {
        "across": np.arange(6).reshape(2, 3).T,
        "every second": np.arange(6)[::2],
        "big endian": np.arange(3, dtype=">i2"),
        "none": np.zeros((0, 2), bool),
        "one": np.array(1 - 2j, np.complex64),
    }
    row = artifacts.save("arrays.safetensors", arrays)
    assert (row.file, row.kind) == ("arrays.safetensors", "arrays")
    content(path, row)
    with safe_open(path / row.file, "np") as file:
        assert file.metadata() == {"format": "np"}
        assert set(file.keys()) == set(arrays)
        for name, array in arrays.items():
            read = file.get_tensor(name)
            assert (read.dtype, read.shape) == (array.dtype.newbyteorder("="), array.shape)
            np.testing.assert_array_equal(read, array)


def test_a_state_dict(artifacts: ArtifactFolder, path: Path) -> None:
    state = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict()
    base = torch.arange(6.0)
    frozen = np.arange(3, dtype=">i2")
    frozen.flags.writeable = False
    state |= {
        "half": torch.ones(3, dtype=torch.bfloat16),
        "e4m3": torch.tensor([1.5, -2]).to(torch.float8_e4m3fn),
        "e5m2": torch.tensor([1.5, -2]).to(torch.float8_e5m2),
        "flags": torch.tensor([True, False]),
        "large": torch.tensor([2**63], dtype=torch.uint64),
        "none": torch.empty(0, 5),
        "one": torch.tensor(3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "across": base.reshape(2, 3).T,
        "tied": base,
        "slice": base[2:4],
        "every second": base[::2],
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "negative": torch.tensor([1 + 2j]).conj().imag,
        "from numpy": frozen,
    }
    row = artifacts.save("model", state)
    assert (row.file, row.kind, row.media_type) == (
        "model.safetensors",
        "tensors",
        "application/x-safetensors",
    )
    content(path, row)
    read = load_file(path / row.file)
    assert set(read) == set(state)
    assert read.pop("from numpy").tolist() == [0, 1, 2]
    for name, tensor in read.items():
        assert (tensor.dtype, tensor.shape) == (state[name].dtype, state[name].shape)
        assert tensor.tolist() == state[name].tolist()
    with safe_open(path / row.file, "pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert (path / row.file).stat().st_mode == (path / artifacts.save("a", b"").file).stat().st_mode


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
        ({"a": torch.eye(2).to_sparse()}, r"(?s)`a` is no plain tensor: .*hint: .*to_dense\(\)"),
        ({"a": torch.empty(2, device="meta")}, "`a` is no plain tensor: .*no data"),
        ({"a": torch.ones(1), "b": np.array(["b"])}, "`b` is no plain tensor"),
        (
            {"a": torch.eye(2, dtype=torch.complex128)},
            "(?s)`a`: a `.safetensors` file has no item type torch.complex128\nhint: .*view_as_real",
        ),
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
        (
            "a.jpg",
            Figure(),
            "`a.jpg`: an artifact of kind `figure` is stored as `.png` or `.svg` or `.pdf`$",
        ),
        ("a.csv", pa.table({"a": [1]}), "kind `table` is stored as `.parquet`$"),
        ("a.pt", {"a": torch.ones(1)}, "kind `tensors` is stored as `.safetensors`$"),
        ("a.yaml", {"a": 1}, "kind `json` is stored as `.json`$"),
        ("a", {"a": float("nan")}, "this dict cannot be stored as JSON: .*not JSON compliant"),
        ("a", {"a": np.float32("inf")}, "this dict cannot be stored as JSON"),
        ("a", {"__metadata__": torch.ones(1)}, "`__metadata__` is a name of the format's own"),
        ("a.safetensors", {"__metadata__": np.ones(1)}, "`__metadata__` is a name of the form"),
        ("a", {1: np.ones(1)}, "arrays are stored by names; 1 is none"),
    ],
)
def test_values_that_do_not_fit_their_name_or_format(
    artifacts: ArtifactFolder, path: Path, name: str, value: object, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        artifacts.save(name, value)
    assert not path.exists() or list(path.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [
        b"x" * (1 << 20),
        np.zeros(1 << 20),
        {"a": np.zeros(1 << 20)},
        {"a": torch.zeros(1 << 20)},
        pa.table({"a": np.random.default_rng(0).random(1 << 17)}),
    ],
    ids=["bytes", "array", "arrays", "tensors", "table"],
)
def test_a_file_that_cannot_be_written(
    artifacts: ArtifactFolder, path: Path, value: object
) -> None:
    artifacts.save("small", "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(StoreError, match="artifact `large` could not be written") as caught:
            artifacts.save("large", value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(caught.value.__cause__, OSError)
    assert [file.name for file in path.iterdir()] == ["small.txt"]
    assert artifacts.save("large", b"x").file == "large.bin"
