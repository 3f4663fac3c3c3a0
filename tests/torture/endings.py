"""What a run leaves behind, as a digest of each part of it: what must not depend on whether it was killed."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any

import numpy as np

VOLATILE = ("time", "session", "run_id", "sequence", "crc32")


def ending_of(folder: Any, state: Any) -> dict[str, str]:
    """Of a run and the state that it left: all but times and numbers of sessions."""
    return digests({**state_of(state), **run_of(folder), "steps": repr(state.steps)})


def digests(parts: dict[str, Any]) -> dict[str, str]:
    """A digest of each part."""
    return {
        name: hashlib.blake2b(part if isinstance(part, bytes) else part.encode()).hexdigest()
        for name, part in parts.items()
    }


def state_of(state: Any) -> dict[str, Any]:
    """Weights, optimizer and estimators."""
    from specplan.models.sklearn.stored import store_estimator
    from specplan.run.state_values import encode, pack

    found: dict[str, Any] = {}
    live = state.modules()
    modules = {label: dict(module.state_dict()) for label, module in live.items()}
    optimizer = None if state.optimizer is None else state.optimizer.state_dict()
    for name, value in (("weights", modules), ("optimizer", optimizer)):
        tensors: dict[str, Any] = {}
        found[name] = encode(pack(value, tensors, name))
        found[name] += b"".join(each.numpy().tobytes() for each in tensors.values())
    found["estimators"] = repr(
        {
            label: _arrays_of(store_estimator(node, label))
            for label, node in state.nodes.items()
            if label not in live
        }
    )
    return found


def run_of(folder: Any) -> dict[str, str]:
    """Its records, its tables, and what run.json says of phases."""
    from specplan.results.status import read_run_file

    run_file = read_run_file(folder)
    timings = [(each.path, each.status, each.ending, each.reason) for each in run_file.phases]
    told = (timings, run_file.kept_epochs, run_file.status)
    return {**_records(folder), "run.json": repr(told)}


def _arrays_of(estimator: bytes) -> list[str]:
    """The numbers in the file of an estimator, as texts: there are bytes between the fields of a tree's nodes."""
    with zipfile.ZipFile(io.BytesIO(estimator)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        return sorted(repr(np.load(io.BytesIO(archive.read(name))).tolist()) for name in names)


def _records(folder: Any) -> dict[str, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from specplan._native import StoreReader

    reader = StoreReader.open(str(folder.records))
    damages = reader.verify()
    metrics = [
        pa.ipc.open_file(path).read_all().slice(first, count).to_pylist()
        for path, first, count in reader.metric_files()
    ]
    tensors = {
        (each.phase, each.node, each.field): [
            (int(epoch), int(batch), hashlib.blake2b(each.at(at).tobytes()).hexdigest())
            for at, (epoch, batch) in enumerate(
                zip(each.index()["epoch"], each.index()["batch"], strict=True)
            )
        ]
        for each in reader.tensors()
    }
    tables = {}
    for path in sorted(folder.tables.glob("*.parquet")):
        table = pq.read_table(path)
        kept = [column for column in table.column_names if column not in VOLATILE]
        tables[path.name] = table.select(kept).to_pylist()
    return {
        "damages": repr(damages),
        "metrics": repr(
            [
                {key: row[key] for key in row if key not in VOLATILE}
                for rows in metrics
                for row in rows
            ]
        ),
        "tensors": repr(sorted(tensors.items())),
        "tables": repr(tables),
    }
