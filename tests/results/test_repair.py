"""What is whole of a damaged run is saved, and the run is not touched."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

import specplan
from specplan.errors import RunError
from specplan.results.repair import repair_run
from specplan.results.verify import verify_run
from specplan.store.layout import RunFolder
from tests.results.damaging import damage, digests, flip, keep_artifacts
from tests.store.forged import forge_watermark

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.results.open import Run


def test_repair_of_a_whole_run_is_a_copy(damaged: RunFolder, tmp_path: Path) -> None:
    before = digests(damaged.path)
    subprocess.run(["chmod", "-R", "a-w", str(damaged.path)], check=True)
    repair = repair_run(damaged, tmp_path / "copy")
    subprocess.run(["chmod", "-R", "u+w", str(damaged.path)], check=True)
    assert digests(damaged.path) == before
    assert repair.left_out == ()
    assert (repair.batches, repair.metric_rows) == (15, 33)
    copy = RunFolder(tmp_path / "copy")
    assert verify_run(copy).damages == ()
    for table in damaged.tables.iterdir():
        assert pl.read_parquet(table).equals(pl.read_parquet(copy.tables / table.name))
    others = {name for name in before if not name.startswith(("records/", "tables/"))}
    assert {
        name for name in digests(copy.path) if not name.startswith(("records/", "tables/"))
    } == others


def test_repair_counts_no_numbers_that_a_forged_watermark_promises(
    damaged: RunFolder, tmp_path: Path
) -> None:
    forge_watermark(damaged.records / "watermark", sequence=1 << 60, durable=0)
    channel = damaged.records / "train.MLP.default.outputs"
    (index,) = channel.glob("index-*.arrow")
    index.unlink()
    repair = repair_run(damaged, tmp_path / "copy")
    assert repair.metric_rows == 33
    assert f"records 33 to {1 << 60}: no file has them" in repair.left_out


def test_repair_leaves_out_what_is_damaged_and_nothing_else(
    damaged: RunFolder, tmp_path: Path
) -> None:
    original = specplan.open(damaged.path)
    values = {
        key: np.array(array) for key, array in _batches(original, "MLP", "outputs", "train").items()
    }
    lost = (2, 1)
    chunk = damaged.records / "train.MLP.default.outputs" / "chunk-000000.arrow"
    damage(chunk, lambda content: flip(content.index(values[lost].tobytes()))(content))
    damage(damaged.environment_file, lambda content: content.__delitem__(slice(-4, None)))
    damage(damaged.metrics_table, flip(100))
    before = digests(damaged.path)
    repair = repair_run(damaged, tmp_path / "copy")
    assert digests(damaged.path) == before
    assert len(repair.left_out) == 2
    assert repair.left_out[0] == "environment.json: the file is damaged"
    assert repair.left_out[1].startswith("batch 1 of epoch 2 of `train.MLP.default.outputs`: ")
    copy = specplan.open(tmp_path / "copy")
    saved = _batches(copy, "MLP", "outputs", "train")
    assert saved.keys() == values.keys() - {lost}
    assert all(np.array(array).tobytes() == values[key].tobytes() for key, array in saved.items())
    assert verify_run(RunFolder(tmp_path / "copy")).damages == ()
    assert pl.read_parquet(tmp_path / "copy" / "tables" / "metrics.parquet").height == 33


def test_artifacts_are_copied_by_their_digests(damaged: RunFolder, tmp_path: Path) -> None:
    keep_artifacts(damaged)
    damage(damaged.artifacts / "array.npy", flip(140))
    (damaged.artifacts / "unknown.txt").write_text("no record tells of it")
    (damaged.artifacts / ".half.txt.77.tmp").write_text("half")
    repair = repair_run(damaged, tmp_path / "copy")
    assert repair.left_out == (
        "artifacts/array.npy: it does not match its digest; so is what the records say of it",
        "artifacts/.half.txt.77.tmp: it was still being written",
    )
    assert repair.unproven == (
        "artifacts/unknown.txt: no record tells of it, so that nothing says what it should be",
    )
    copy = RunFolder(tmp_path / "copy")
    assert verify_run(copy).damages == ()
    assert (repair.batches, repair.metric_rows) == (17, 33)
    assert list(specplan.open(copy.path).artifacts) == ["made", "text.txt"]
    assert (copy.artifacts / "made/inner/two.txt").read_text() == "two"
    assert not (copy.path / ".records").exists()


def test_an_artifact_whose_record_is_lost_is_listed(damaged: RunFolder, tmp_path: Path) -> None:
    keep_artifacts(damaged)
    (channel,) = damaged.records.glob("*artifact")
    damage(
        channel / "chunk-000000.arrow",
        lambda content: flip(content.index(b"text.txt"))(content),
    )
    repair = repair_run(damaged, tmp_path / "copy")
    assert len(repair.left_out) == 1
    assert repair.unproven == (
        "artifacts/text.txt: no record tells of it, so that nothing says what it should be",
    )
    assert (tmp_path / "copy/artifacts/text.txt").read_text() == "some text"
    assert verify_run(RunFolder(tmp_path / "copy")).damages == ()


def test_a_copy_without_its_spec_says_so(damaged: RunFolder, tmp_path: Path) -> None:
    damage(damaged.spec_file, flip(40))
    repair = repair_run(damaged, tmp_path / "copy")
    assert repair.left_out == ("spec.json: the file is damaged",)
    assert verify_run(RunFolder(tmp_path / "copy")).damages == ()


def test_repair_refuses_a_copy_that_exists_and_a_run_of_which_nothing_is_left(
    damaged: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(RunError, match="copy` exists already; a repaired copy needs a new folder"):
        repair_run(damaged, tmp_path / "copy")
    empty = RunFolder(tmp_path / "empty")
    empty.records.mkdir(parents=True)
    with pytest.raises(RunError, match=r"nothing of `.*empty` could be saved"):
        repair_run(empty, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["copy", "empty", damaged.path.name]
    )


def test_repair_writes_nothing_into_the_run(damaged: RunFolder) -> None:
    before = digests(damaged.path)
    with pytest.raises(RunError, match="copy` lies in the run that is only read"):
        repair_run(damaged, damaged.path / "records" / "copy")
    assert digests(damaged.path) == before


def _batches(opened: Run, node: str, field: str, phase: str) -> dict[tuple[int, int], np.ndarray]:
    tensors = opened.tensors(node, field, phase=phase)
    return {key: tensors[key] for key in tensors}
