"""A small table in a file, and a spec that uses most of the language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 40

SPEC = """\
specplan: 1
experiment: {id: cells, title: Cells}
run: {seed: 7, threads: 1}
data:
  Cells:
    source: {use: parquet, path: data/cells.parquet, shapes: {image: [1, 8, 8]}}
    features: [curve, temperature, image]
    targets: [soh, kind]
    tags: [name]
    splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}
graph:
  nodes:
    Enc:
      model: {use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}
      input: [Cells.curve, Cells.temperature]
    Scaled:
      model: {use: "sklearn.preprocessing:StandardScaler"}
      input: Cells.curve
    Fuse:
      merge: {use: concat}
      input: [Enc, Scaled]
    Head:
      model: {use: mlp}
      input: Fuse
      target: Cells.soh
    Classes:
      model: {use: cnn, output_shape: [3], pooling: 2}
      input: Cells.image
      target: Cells.kind
    Forest:
      model: {use: "sklearn.ensemble:RandomForestRegressor", n_estimators: 5, max_features: 1.0}
      input: Fuse
      target: Cells.soh
  optimizer: {use: adamw, lr: 0.01}
losses:
  mse: {use: mse, node: Head}
  ce: {use: cross_entropy, node: Classes, weight: 0.5}
metrics:
  rmse: {use: rmse, node: Head}
  accuracy: {use: accuracy, node: Classes}
  forest_r2: {use: r2, node: Forest}
plan:
  - {phase: fit, label: scale, split: train, active: [Scaled], record: none}
  - group: deep
    do:
      - phase: train
        label: net
        split: train
        epochs: 4
        sampler: {use: simple, batch_size: 8, shuffle: true}
        losses: [mse, ce]
        callbacks:
          - {use: evaluation, split: val, losses: [mse], metrics: [rmse], every_n_epochs: 2}
          - {use: early_stopping, monitor: val_mse, patience: 2, restore_best: true}
        record: last
  - {phase: fit, label: forest, split: train, active: [Forest], metrics: [forest_r2]}
  - {phase: eval, label: test, split: test, losses: [mse, ce], metrics: [rmse, accuracy, forest_r2]}
results: {dir: runs}
"""


NETS = """\
from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

Path(__file__).with_name("imported").touch()


class Mode(enum.Enum):
    FAST = "fast"
    EXACT = "exact"


class Net(nn.Module):
    \"\"\"One layer.\"\"\"

    def __init__(
        self,
        width: int,
        bias: bool = True,
        act: Literal["relu", "tanh"] = "relu",
        sizes: list[int] | None = None,
        mode: Mode = Mode.FAST,
    ) -> None:
        super().__init__()
        self.layer = nn.LazyLinear(width, bias=bias)


@dataclass
class Options:
    rate: float = 0.5


def huber(outputs, targets, delta: float = 1.0):
    return nn.functional.huber_loss(outputs, targets, delta=delta)
"""


PLAIN = """\
class Plain:
    def __init__(self, width: int = 3) -> None:
        self.width = width


def distance(outputs):
    return outputs.mean()
"""


@pytest.fixture(scope="session")
def table() -> pa.Table:
    """Columns of every kind that the passes tell apart."""
    random = np.random.default_rng(0)

    def lists(width: int) -> pa.FixedSizeListArray:
        values = pa.array(random.normal(size=ROWS * width).astype(np.float32))
        return pa.FixedSizeListArray.from_arrays(values, width)

    gaps = pa.array([None if row % 10 == 0 else float(row) for row in range(ROWS)])
    ragged = pa.array([[1.0] * (row % 3 + 1) for row in range(ROWS)])
    return pa.table(
        {
            "curve": lists(10),
            "image": lists(64),
            "pair": lists(2),
            "temperature": random.normal(size=ROWS),
            "soh": random.normal(size=ROWS),
            "kind": random.integers(0, 3, size=ROWS),
            "name": [f"cell{row}" for row in range(ROWS)],
            "batch": [f"b{row % 8}" for row in range(ROWS)],
            "fold": [row // 10 for row in range(ROWS)],
            "uneven": [max(row - 23, 0) for row in range(ROWS)],
            "rare": [row == 3 for row in range(ROWS)],
            "spotty": [None if row == 5 else "x" for row in range(ROWS)],
            "unclear": [float("nan") if row in (17, 30) else float(row) for row in range(ROWS)],
            "gaps": gaps,
            "ragged": ragged,
            "holes": pa.array([[1.0, None if row == 3 else 2.0] for row in range(ROWS)]),
        }
    )


@pytest.fixture
def folder(tmp_path: Path, table: pa.Table) -> Path:
    """A folder with `spec.yaml`, the data that it names, and code that it could name."""
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data/cells.parquet")
    (tmp_path / "data/text.parquet").write_text("no table", encoding="utf-8")
    pq.write_table(table.slice(0, 0), tmp_path / "data/empty.parquet")
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    (tmp_path / "plain.py").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "broken.py").write_text("class Net(:\n", encoding="utf-8")
    pq.write_table(pa.concat_tables([table, table.slice(0, 9)]), tmp_path / "data/twice.parquet")
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path


@pytest.fixture
def spec_text() -> str:
    """The text of `spec.yaml`."""
    return SPEC
