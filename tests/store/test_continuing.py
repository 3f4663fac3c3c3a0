"""Stores that several sessions write, one after the other."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from specplan._native import Store, StoreReader, export_execution, export_metrics
from specplan.errors import StoreError
from specplan.results.metrics import as_arrow
from tests.store.live_writer import ENDS_WITH_ITS_PARENT
from tests.store.records import channel, create, only_tensor

if TYPE_CHECKING:
    from specplan._native import TensorReader

# Sessions 2 and later continue where the last visible batch ends; values tell which session wrote them.
SESSION = f"""
{ENDS_WITH_ITS_PARENT}
import sys, time, numpy as np
from specplan._native import Store
path, session, first, rewind_to = sys.argv[1], *map(int, sys.argv[2:])
if session == 1:
    store = Store.create(path, run_id="r", flush_milliseconds=1)
else:
    store = Store.open(path, session=session, rewind_to=rewind_to, flush_milliseconds=1)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="int64", shape=[9])
loss = store.metrics([("train", None, None, "loss"), ("train", None, None, "a long name of a metric")])
print("ready", flush=True)
for batch in range(first, 10**9):
    values.record(np.full((batch % 7, 9), 1000 * session + batch), 0, batch)
    loss.log(np.array([1000.0 * session + batch, 0]), 0, batch, batch)
    if batch % 7 == 0:
        time.sleep(0.001)
"""


def killed_session(path: Path, session: int, first: int, rewind_to: int, seconds: float) -> None:
    command = [sys.executable, "-c", SESSION, str(path), *map(str, (session, first, rewind_to))]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout as answers:
        assert answers.readline() == "ready\n"
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL


def check(reader: StoreReader, writers: list[int]) -> None:
    """Batch and metrics number n were written by session `writers[n]`, for all that are visible."""
    (tensor,) = reader.tensors()
    index = tensor.index()
    assert index["batch"].tolist() == list(range(tensor.batches))
    assert tensor.batches in (len(writers), len(writers) - 1)
    starts = np.cumsum(index["rows"]) - index["rows"]
    assert (index["row_start"] == starts).all()
    for batch, session in enumerate(writers[: tensor.batches]):
        rows = tensor.get(0, batch)
        assert rows.shape == (batch % 7, 9)
        assert (rows == 1000 * session + batch).all()
    metrics = as_arrow(reader.metrics(run_id="r"))
    losses = pl.DataFrame(metrics).filter(pl.col("name") == "loss")
    logged = losses.height
    assert logged in (tensor.batches, tensor.batches - 1)
    assert losses["session"].to_list() == writers[:logged]
    assert losses["value"].to_list() == [1000.0 * s + n for n, s in enumerate(writers[:logged])]
    whole = np.concatenate([*tensor.chunks(), np.empty((0, 9), np.int64)])
    assert len(whole) == tensor.rows == index["rows"].sum()
    stored = [pl.read_ipc(file)["batch"].slice(first, rows) for file, first, rows in tensor.files()]
    assert pl.concat(stored).to_list() == np.repeat(index["batch"], index["rows"]).tolist()


def sequence_of(tensor: TensorReader, batch: int) -> int:
    return int(tensor.index()["sequence"][batch])


@pytest.mark.parametrize("seed", range(3))
def test_killed_and_rewound_again_and_again(tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    path = tmp_path / "records"
    writers: list[int] = []
    rewind_to = 0
    live = None
    for session in range(1, 7):
        killed_session(path, session, len(writers), rewind_to, generator.uniform(0, 0.12))
        live = live or StoreReader.open(str(path))
        live.refresh()
        reader = StoreReader.open(str(path))
        (tensor,) = reader.tensors()
        assert tensor.batches >= len(writers)
        writers += [session] * (tensor.batches - len(writers))
        check(reader, writers)
        check(live, writers)
        # The metrics of the last batch that is kept stand behind it.
        kept = generator.randint(0, max(0, len(writers) - 1))
        del writers[kept:]
        rewind_to = sequence_of(tensor, kept) - 1 if kept < tensor.batches else reader.watermark
    assert live is not None
    Store.open(str(path), session=7, rewind_to=rewind_to).close()
    live.refresh()
    assert live.closed
    check(live, writers)
    assert [session["session"] for session in live.sessions] == list(range(1, 8))
    table = tmp_path / "metrics.parquet"
    export_metrics(str(path), str(table), run_id="r")
    metrics = as_arrow(live.metrics(run_id="r"))
    assert pl.read_parquet(table).equals(pl.DataFrame(metrics))
    for first in range(0, metrics.num_rows + 2, 1 + metrics.num_rows // 50):
        assert as_arrow(live.metrics(run_id="r", first=first)).equals(metrics.slice(first))
    export_execution(str(path), "train", str(table), run_id="r")
    exported = pl.read_parquet(table)["M.outputs"].arr.first().to_list()
    assert exported == [1000 * s + n for n, s in enumerate(writers) for _ in range(n % 7)]


def test_sessions_tell_who_wrote_what(tmp_path: Path) -> None:
    create(tmp_path, session=4).close()
    store = Store.open(str(tmp_path), session=9)
    assert store.metrics([("train", None, None, "loss")]).log(np.zeros(1), 0, 0, 0) == 2
    store.close()
    reader = StoreReader.open(str(tmp_path))
    first, second = reader.sessions
    assert set(first) == {
        "session",
        "first_sequence",
        "rewound_to",
        "created",
        "process",
        "host",
        "boot_id",
    }
    assert (first["session"], first["first_sequence"], first["rewound_to"]) == (4, 1, None)
    assert (second["session"], second["first_sequence"], second["rewound_to"]) == (9, 2, None)
    assert first["created"] < second["created"]
    assert reader.dropped == 0
    with pytest.raises(StoreError, match=r"^session 9 cannot begin: session 9 wrote `"):
        Store.open(str(tmp_path), session=9)
    with pytest.raises(StoreError, match=r"cannot be rewound to record 3: its records end at 2$"):
        Store.open(str(tmp_path), session=10, rewind_to=3)
    assert StoreReader.open(str(tmp_path)).sessions == reader.sessions


def test_arrays_of_hidden_rows_stay_as_they_were(tmp_path: Path) -> None:
    store = create(tmp_path)
    channel(store).record(np.full((5, 4), 7, np.float32), 0, 0)
    store.close()
    hidden = only_tensor(tmp_path).get(0, 0)
    store = Store.open(str(tmp_path), session=2, rewind_to=0)
    channel(store).record(np.full((5, 4), 8, np.float32), 0, 0)
    store.close()
    assert (hidden == 7).all()
    assert (only_tensor(tmp_path).get(0, 0) == 8).all()


def test_a_flipped_bit_is_found_by_the_first_read_of_its_batch(tmp_path: Path) -> None:
    store = create(tmp_path)
    values = channel(store, dtype="float64", shape=())
    for batch in range(20):
        values.record(np.full(3, 100.25 + batch), 0, batch)
    store.close()
    ((file, _, _),) = only_tensor(tmp_path).files()
    data = bytearray((tmp_path / file).read_bytes())
    data[data.index(np.float64(107.25).tobytes())] ^= 1
    (tmp_path / file).write_bytes(data)
    reader = only_tensor(tmp_path)
    for batch in (6, 8, 6):
        assert (reader.get(0, batch) == 100.25 + batch).all()
    for read in (lambda: reader.get(0, 7), lambda: reader.at(7), reader.chunks):
        with pytest.raises(StoreError, match=r"at byte [0-9]+: a batch does not match its check"):
            read()
    (unchecked,) = StoreReader.open(str(tmp_path), check=False).tensors()
    assert unchecked.get(0, 7)[0] != 107.25
    assert len(unchecked.chunks()[0]) == 60


def test_another_start_of_the_machine_is_noticed(tmp_path: Path) -> None:
    """A reader believes nothing unproven once the boot id is another one, and a session goes on from there."""
    code = """
import os, signal, sys, numpy as np
from specplan._native import Store
store = Store.create(sys.argv[1], run_id="r", flush_milliseconds=60_000)
values = store.tensor(phase="train", node="M", role="default", field="outputs", dtype="float64", shape=[])
for batch in range(100):
    values.record(np.full(3, 100.25 + batch), 0, batch)
store.sync()
os.kill(os.getpid(), signal.SIGKILL)
"""
    records = tmp_path / "records"
    subprocess.run([sys.executable, "-c", code, str(records)], check=False)
    tensor = only_tensor(records)
    assert tensor.batches == 100
    file = Path(tensor.files()[0][0])
    data = bytearray(file.read_bytes())
    data[data.index(np.float64(140.25).tobytes())] ^= 1
    file.write_bytes(data)
    assert StoreReader.open(str(records)).watermark == 100

    (tmp_path / "boot_id").write_text("00000000-0000-0000-0000-000000000000\n")
    again = """
import sys
from specplan._native import Store, StoreReader
reader = StoreReader.open(sys.argv[1])
print(reader.watermark, reader.tensors()[0].batches)
Store.open(sys.argv[1], session=2).close()
print(StoreReader.open(sys.argv[1]).sessions[1]["boot_id"])
"""
    shell = 'mount --bind "$1" /proc/sys/kernel/random/boot_id && exec "$2" -c "$3" "$4"'
    words = [
        "sh",
        "-c",
        shell,
        "sh",
        str(tmp_path / "boot_id"),
        sys.executable,
        again,
        str(records),
    ]
    answer = subprocess.run(
        ["unshare", "--mount", "--map-root-user", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == ["40", "40", "00000000-0000-0000-0000-000000000000"]
    assert only_tensor(records).batches == 40
