"""Artifacts of a run, from the recorder to the reader."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars
import pyarrow as pa
import pytest
import torch
from blake3 import blake3

from specplan.errors import StoreError
from specplan.plan.model import Results
from specplan.results.artifacts import Artifact
from specplan.results.open import Run
from specplan.results.picture import Picture
from specplan.results.table import Table
from specplan.results.verify import verify_run
from specplan.store.fields import ARTIFACT
from specplan.store.layout import RunFolder
from specplan.store.recorder import WHOLE, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def fresh(root: Path, write_run_file: Callable[..., None]) -> RunFolder:
    folder = RunFolder(root / "toy" / "20261121-110000")
    write_run_file(folder)
    return folder


@pytest.fixture
def recorder(fresh: RunFolder) -> Iterator[Recorder]:
    recorder = Recorder(fresh, "20261121-110000", results=Results())
    yield recorder
    recorder.close()


STATE = {
    "weight": torch.arange(6.0).reshape(2, 3).T,
    "half": torch.ones(3, dtype=torch.bfloat16),
    "count": torch.tensor(3),
    "none": torch.empty(0, 4),
}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.arange(4, dtype=np.float16), "array"),
        ({"a": np.eye(2), "b/c": np.array(True)}, "arrays"),
        (STATE, "tensors"),
        ({"lr": 0.1, "names": ["a"]}, "json"),
        ("a\r\né", "text"),
        (b"\0\xff", "bytes"),
    ],
)
def test_what_is_recorded_is_read(
    recorder: Recorder, fresh: RunFolder, value: Any, kind: str
) -> None:
    recorder.artifact("value", value)
    recorder.sync()
    artifact = Run(fresh).artifacts["value"]
    read = artifact.read()
    assert artifact.kind == kind
    if kind == "tensors":
        assert set(read) == set(value)
        for name, tensor in value.items():
            assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
            assert torch.equal(read[name], tensor)
    elif kind == "arrays":
        assert {name: array.tolist() for name, array in read.items()} == {
            name: array.tolist() for name, array in value.items()
        }
    elif kind == "array":
        np.testing.assert_array_equal(read, value)
    else:
        assert read == value


def test_arrays_as_safetensors(recorder: Recorder, fresh: RunFolder) -> None:
    recorder.artifact("arrays.safetensors", {"a": np.arange(3, dtype=np.int16)})
    recorder.sync()
    read = Run(fresh).artifacts["arrays.safetensors"].read()
    assert (read["a"].dtype, read["a"].tolist()) == (np.int16, [0, 1, 2])


def test_a_changed_tensor_changes_no_file(recorder: Recorder, fresh: RunFolder) -> None:
    recorder.artifact("model", {"a": torch.zeros(3)})
    recorder.sync()
    artifact = Run(fresh).artifacts["model"]
    artifact.read()["a"][0] = 5
    assert artifact.read()["a"].tolist() == [0, 0, 0]


def test_a_file_that_is_not_of_its_kind(recorder: Recorder, fresh: RunFolder) -> None:
    row = recorder.artifact("a", STATE)
    assert row is not None
    recorder.close()
    (fresh.artifacts / row.file).write_bytes(b"12")
    digest = blake3(b"12").hexdigest()
    told = msgspec.structs.replace(row, bytes=2, blake3=digest)
    artifact = Artifact(fresh.artifacts, told, 1)
    with pytest.raises(StoreError, match=r"a\.safetensors is damaged: Error while deserializing"):
        artifact.read()


def test_a_frame(recorder: Recorder, fresh: RunFolder) -> None:
    frame = polars.DataFrame({"a": [1, 2], "b": ["x", None]})
    recorder.artifact("frame", frame)
    recorder.artifact("again", Table(pa.table({"a": [1]})))
    recorder.sync()
    artifacts = Run(fresh).artifacts
    table = artifacts["frame"].read()
    assert isinstance(table, Table)
    assert table.to_polars().equals(frame)
    assert artifacts["again"].read().arrow.to_pylist() == [{"a": 1}]


def test_files_and_folders(recorder: Recorder, fresh: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made/a.txt").write_text("a")
    recorder.artifact("made", tmp_path / "made")
    recorder.artifact("one", tmp_path / "made/a.txt")
    recorder.sync()
    shutil.rmtree(tmp_path / "made")
    artifacts = Run(fresh).artifacts
    assert artifacts["made"].read() == artifacts["made"].path == fresh.artifacts / "made"
    assert (fresh.artifacts / "made/a.txt").read_text() == "a"
    assert artifacts["one"].read() == b"a"


def test_versions_and_where_they_were_made(recorder: Recorder, fresh: RunFolder) -> None:
    for epoch in range(3):
        recorder.artifact("plots/loss", f"of epoch {epoch}", epoch=epoch, batch=1, step=10 * epoch)
    recorder.artifact("config", {})
    recorder.sync()
    artifacts = Run(fresh).artifacts
    assert list(artifacts) == ["plots/loss", "config"]
    newest = artifacts["plots/loss"]
    assert (newest.version, newest.epoch, newest.batch, newest.step) == (3, 2, 1, 20)
    assert newest.path == fresh.artifacts / "plots/loss.3.txt"
    assert [each.read() for each in artifacts.versions("plots/loss")] == [
        f"of epoch {epoch}" for epoch in range(3)
    ]
    assert (artifacts["config"].version, artifacts["config"].epoch) == (1, None)
    assert repr(newest) == "Artifact('plots/loss', text, 10 bytes, version 3)"
    with pytest.raises(KeyError, match="no artifact `confg`; there are .*did you mean `config`"):
        artifacts["confg"]


def test_a_reader_sees_an_artifact_when_it_refreshes(recorder: Recorder, fresh: RunFolder) -> None:
    run = Run(fresh)
    assert dict(run.artifacts) == {}
    recorder.artifact("late", "now")
    recorder.sync()
    assert run.refresh().artifacts["late"].read() == "now"


def test_artifacts_of_several_threads(recorder: Recorder, fresh: RunFolder) -> None:
    def work(number: int) -> None:
        for _ in range(20):
            recorder.artifact("same", str(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.sync()
    versions = Run(fresh).artifacts.versions("same")
    assert len({version.path for version in versions}) == 80
    assert sorted(version.read() for version in versions) == sorted("0123" * 20)


def test_damage_is_named(recorder: Recorder, fresh: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "made/deep").mkdir(parents=True)
    (tmp_path / "made/deep/a").write_text("a")
    recorder.artifact("made", tmp_path / "made")
    recorder.artifact("text", "text")
    recorder.sync()
    made, text = Run(fresh).artifacts.values()
    text.path.write_text("tExt")
    with pytest.raises(StoreError, match=r"text\.txt is damaged: it does not match its digest"):
        text.read()
    text.path.unlink()
    with pytest.raises(StoreError, match=r"text\.txt cannot be read: No such file"):
        text.read()
    (fresh.artifacts / "made/deep/a").rename(fresh.artifacts / "made/a")
    with pytest.raises(StoreError, match=r"made is damaged: it does not match its digest"):
        made.read()
    found = {damage.path: damage.what for damage in verify_run(fresh).damages}
    assert found["artifacts/made"] == "it does not match its digest"
    assert found["artifacts/text.txt"].startswith("cannot be read: ")


@pytest.mark.parametrize(
    "row",
    [
        '{"name": "a"}',
        '{"name": "a", "file": "../a", "kind": "text", "media_type": "", "bytes": 0, "blake3": ""}',
        '{"name": "a", "file": "/a", "kind": "text", "media_type": "", "bytes": 0, "blake3": ""}',
    ],
)
def test_a_damaged_row(recorder: Recorder, fresh: RunFolder, row: str) -> None:
    recorder.texts("", node="", field=ARTIFACT)([row], WHOLE, WHOLE)
    recorder.sync()
    with pytest.raises(StoreError, match="a document of .*artifact.* is damaged: "):
        _ = Run(fresh).artifacts


def test_a_run_without_artifacts(run: Run) -> None:
    assert len(run.artifacts) == 0
    assert repr(run.artifacts) == "Artifacts()"


@pytest.mark.parametrize(
    ("content", "said", "shown"),
    [
        (b"\x89PNG 1", "Picture(png, 6 bytes)", {"image/png": b"\x89PNG 1"}),
        (b"<svg/>", "Picture(svg, 6 bytes)", {"image/svg+xml": "<svg/>"}),
        (b"%PDF-1", "Picture(pdf, 6 bytes)", {}),
    ],
)
def test_a_figure_shows_itself(content: bytes, said: str, shown: dict[str, bytes | str]) -> None:
    picture = Picture(content)
    assert picture == content
    assert repr(picture) == said
    assert picture._repr_mimebundle_() == {"text/plain": said, **shown}
