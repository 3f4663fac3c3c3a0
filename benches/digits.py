"""Steps per second of the digits example: by hand in torch, and through a plan.

Run: `.venv/bin/python benches/digits.py [--quick]` after `make demo`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rounds import Column, Contender, folder, interleave, options, table

from specplan.components.split import RandomSplit
from specplan.data.split import cut
from specplan.plan.compile import compile_mapping
from specplan.run.display import Silent
from specplan.run.run import run_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.plan.model import Compiled, Phase

EXAMPLE = Path(__file__).parent.parent / "examples" / "digits"
EPOCHS = 20
BATCH = 64


class PhaseSeconds(Silent):
    """Keeps how long the last phase took."""

    seconds = 0.0

    def phase_ended(self, phase: Phase, seconds: float, values: Any) -> None:
        """Keep the seconds."""
        self.seconds = seconds


def compiled(record: str) -> Compiled:
    """The train phase of the example alone, without evaluation and early stopping."""
    spec = json.loads((EXAMPLE / "spec.json").read_text())
    train = spec["plan"][0] | {"epochs": EPOCHS, "record": record, "callbacks": []}
    return compile_mapping(spec | {"plan": [train]}, folder=EXAMPLE)


def by_plan(record: str) -> Callable[[], dict[str, float]]:
    """Microseconds a step through the interpreter."""
    plan = compiled(record)
    phase = plan.plan.phases[0]

    def once() -> dict[str, float]:
        watch = PhaseSeconds()
        with folder() as root:
            run_plan(plan, root=root, display=watch)
        return {"step": watch.seconds / (phase.steps * EPOCHS) * 1e6}

    return once


def by_hand(*, stream: bool) -> Callable[[], dict[str, float]]:
    """Microseconds a step of the loop that a careful user would write."""
    rows = pq.read_table(EXAMPLE / "data" / "digits.parquet")
    images = torch.from_numpy(
        rows["image"].combine_chunks().flatten().to_numpy().reshape(-1, 1, 8, 8).copy()
    )
    digits = torch.from_numpy(rows["digit"].to_numpy().astype(np.int64))
    ratios = {"train": 0.7, "val": 0.15, "test": 0.15}
    train = cut(RandomSplit(ratios=ratios, seed=13), len(digits), None).rows()["train"]
    images, digits = images[train], digits[train]

    def once() -> dict[str, float]:
        torch.set_num_threads(1)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Flatten(), torch.nn.Linear(128, 10),
        )  # fmt: skip
        optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
        loss_of = torch.nn.functional.cross_entropy
        with folder() as path:
            write, close = _streams(path) if stream else (None, lambda: None)
            steps = 0
            losses = []
            started = time.perf_counter()
            for epoch in range(EPOCHS):
                order = torch.from_numpy(
                    np.random.default_rng([42, epoch]).permutation(len(digits))
                )
                for batch, chosen in enumerate(order.split(BATCH)):
                    outputs = model(images[chosen])
                    targets = digits[chosen]
                    loss = loss_of(outputs, targets)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.item())
                    steps += 1
                    if write:
                        write(epoch, batch, outputs.detach(), targets, chosen)
            close()
            return {"step": (time.perf_counter() - started) / steps * 1e6}

    return once


def _streams(path: Path) -> tuple[Callable[..., None], Callable[[], None]]:
    """What a user would write to keep outputs, targets and row numbers of every step."""
    schema = pa.schema(
        [
            ("outputs", pa.list_(pa.float32(), 10)),
            ("targets", pa.int64()),
            ("sample_id", pa.int64()),
            ("epoch", pa.int32()),
            ("batch", pa.int32()),
        ]
    )
    sink = pa.OSFile(str(path / "stream.arrow"), "wb")
    writer = pa.ipc.new_stream(sink, schema)

    def write(
        epoch: int, batch: int, outputs: torch.Tensor, targets: torch.Tensor, chosen: torch.Tensor
    ) -> None:
        rows = len(targets)
        columns = [
            pa.FixedSizeListArray.from_arrays(outputs.numpy().reshape(-1), 10),
            pa.array(targets.numpy()),
            pa.array(chosen.numpy()),
            pa.array(np.full(rows, epoch, np.int32)),
            pa.array(np.full(rows, batch, np.int32)),
        ]
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))

    def close() -> None:
        writer.close()
        sink.close()

    return write, close


BASELINE = "by hand in torch"


def main() -> None:
    """Print the table."""
    chosen = options("The digits example", rounds=5, quick=3)
    contenders = {
        BASELINE: by_hand(stream=False),
        "plan, record none": by_plan("none"),
        "plan, record all": by_plan("all"),
        "by hand, outputs through pyarrow's stream writer": by_hand(stream=True),
    }
    measured = interleave(
        [Contender(name=name, run=run) for name, run in contenders.items()], rounds=chosen.rounds
    )
    print(table("digits example", measured, [Column("step", "a step, us", BASELINE)]))


if __name__ == "__main__":
    main()
