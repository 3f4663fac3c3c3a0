"""Every kind of file of a run, damaged, is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import specplan
from specplan.errors import StoreError
from specplan.results.repair import repair_run
from specplan.results.verify import verify_run
from tests.results.damaging import damage, flip, keep_artifacts

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder


def test_a_whole_run_has_no_damage(damaged: RunFolder) -> None:
    found = verify_run(damaged)
    assert found.damages == ()
    assert (found.batches, found.metric_rows) == (15, 33)
    assert found.files > 20


def test_every_kind_of_file_is_compared(damaged: RunFolder) -> None:
    outputs = damaged.records / "train.MLP.default.outputs"
    value = next(iter(specplan.open(damaged.path).tensors("MLP", "outputs", phase="train")))
    needle = np.asarray(value).tobytes()
    damage(outputs / "chunk-000000.arrow", lambda content: flip(content.index(needle))(content))
    damage(
        outputs / "index-000000.arrow",
        lambda content: flip(content.index(b"SPECPLAN") + 34)(content),
    )
    damage(damaged.records / "test.MLP.default.outputs" / "channel.json", flip(30))
    (damaged.records / "test.MLP.default.targets" / "index-000000.arrow").unlink()
    damage(damaged.records / "store.json", flip(40))
    damage(damaged.records / "watermark", flip(24))
    damage(damaged.metrics_table, flip(100))
    damage(damaged.plan_file, lambda content: content.__delitem__(slice(50, None)))
    damage(damaged.environment_file, lambda content: content.__delitem__(slice(-4, None)))
    damage(damaged.run_file, lambda content: content.__delitem__(slice(-4, None)))
    found = verify_run(damaged)
    names = sorted({item.path for item in found.damages})
    assert names == [
        "environment.json",
        "plan.json",
        "records/store.json",
        "records/test.MLP.default.outputs/channel.json",
        "records/train.MLP.default.outputs/chunk-000000.arrow",
        "records/train.MLP.default.outputs/index-000000.arrow",
        "records/watermark",
        "run.json",
        "tables/metrics.parquet",
    ]


@pytest.mark.parametrize("name", ["spec.json", "plan.map.json"])
@pytest.mark.parametrize("text", [b'{"a": "\xff"}', b"[" * 100_000])
def test_what_is_no_json_is_a_damage(damaged: RunFolder, name: str, text: bytes) -> None:
    (damaged.path / name).write_bytes(text)
    (found,) = verify_run(damaged).damages
    assert found.path == name
    assert found.what.startswith("is not JSON: ")


def test_a_pipe_in_the_place_of_a_file_is_a_damage(damaged: RunFolder) -> None:
    for path in (damaged.run_file, damaged.metrics_table):
        path.unlink()
        os.mkfifo(path)
    assert [str(item) for item in verify_run(damaged).damages] == [
        "run.json: it is not a file",
        "tables/metrics.parquet: it is not a file",
    ]


@pytest.mark.parametrize("place", [12, 16, 41])
def test_a_damaged_table_is_an_error_of_ours(damaged: RunFolder, place: int) -> None:
    table = damaged.tables / "execution-test.parquet"
    content = bytearray(table.read_bytes())
    # In the Arrow schema, which the footer has in base 64.
    start = content.rindex(b"ARROW:schema") + place
    content[start : start + 4] = b"AAAA"
    table.write_bytes(content)
    with pytest.raises(StoreError, match=r"execution-test\.parquet` is damaged"):
        specplan.open(damaged.path).execution("test")


def test_a_flipped_bit_of_a_table_is_found_when_it_is_read(damaged: RunFolder) -> None:
    table = damaged.tables / "execution-test.parquet"
    whole = table.read_bytes()
    for place in range(4, len(whole), len(whole) // 50):
        table.write_bytes(whole)
        damage(table, flip(place))
        with pytest.raises(StoreError, match=r"execution-test\.parquet` is damaged"):
            specplan.open(damaged.path).execution("test")


def test_a_run_of_a_later_version_is_refused(damaged: RunFolder) -> None:
    text = (damaged.records / "store.json").read_text()
    (damaged.records / "store.json").write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(
        StoreError, match=r"store.json` has format 2; this version reads formats up to 1"
    ):
        verify_run(damaged)
    with pytest.raises(StoreError, match="has format 2"):
        repair_run(damaged, damaged.path.parent / "copy")
    assert not (damaged.path.parent / "copy").exists()


def test_a_killed_run_has_no_damage(damaged: RunFolder) -> None:
    # As a kill leaves it: no tables, not closed, a file in the making.
    shutil.rmtree(damaged.tables)
    (damaged.records / "metrics" / "chunk-000001.arrow.tmp").write_bytes(b"ARROW1")
    assert verify_run(damaged).damages == ()


def test_a_flip_anywhere_in_a_file_of_the_run_is_named(damaged: RunFolder) -> None:
    random = np.random.default_rng(7)
    # There are `changes.diff` and others only where there is something to keep.
    written = [path for path in damaged.constant_files if path.is_file()]
    for path in (damaged.run_file, *written):
        content = path.read_bytes()
        for position in {*random.integers(len(content), size=25).tolist(), len(content) - 1}:
            changed = bytearray(content)
            changed[position] ^= 1 << int(random.integers(8))
            path.write_bytes(changed)
            names = {item.path for item in verify_run(damaged).damages}
            assert path.name in names, (
                path.name,
                position,
                bytes(changed[position : position + 1]),
            )
        path.write_bytes(content)
    assert verify_run(damaged).damages == ()


def test_files_that_are_missing_are_named(damaged: RunFolder) -> None:
    written = [path for path in damaged.constant_files if path.is_file()]
    for path in written:
        path.unlink()
    damages = verify_run(damaged).damages
    assert {(item.path, item.what) for item in damages} == {
        (path.name, "the file is missing") for path in written
    }


def test_artifacts_are_compared_with_their_records(damaged: RunFolder) -> None:
    keep_artifacts(damaged)
    found = verify_run(damaged)
    assert found.damages == ()
    damage(damaged.artifacts / "text.txt", flip(2))
    damage(damaged.artifacts / "made/inner/two.txt", lambda content: content.append(7))
    (damaged.artifacts / "array.npy").unlink()
    (damaged.artifacts / "unknown.txt").write_text("no record tells of it")
    damages = {item.path: item.what for item in verify_run(damaged).damages}
    assert damages == {
        "artifacts/text.txt": "it does not match its digest",
        "artifacts/made": "it has 7 bytes instead of 6",
        "artifacts/array.npy": "cannot be read: No such file or directory",
    }


@pytest.mark.parametrize("kept_superblock", [True, False])
@pytest.mark.parametrize("name", ["chunk", "index"])
def test_a_huge_damaged_file_takes_no_memory(
    damaged: RunFolder, name: str, *, kept_superblock: bool
) -> None:
    chunk = damaged.records / "train.MLP.default.outputs" / f"{name}-000000.arrow"
    with chunk.open("r+b") as file:
        if not kept_superblock:
            file.write(bytes(4096))
        file.truncate(1 << 40)
    program = (
        "import resource, sys\n"
        "from specplan._native import verify_store\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "damages = verify_store(sys.argv[1]).damages\n"
        "assert damages and all(sys.argv[2] in damage.path for damage in damages[:1]), damages\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert after - before < 64 << 10, (before, after)\n"
    )
    command = [sys.executable, "-c", program, str(damaged.records), str(chunk)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert result.returncode == 0, result.stderr
