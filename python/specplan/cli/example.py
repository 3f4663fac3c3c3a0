"""The example that `mlx init` writes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from specplan._native import parse_text, read_table_header
from specplan.data.beside import looks_like
from specplan.errors import DataError
from specplan.spec.wording import choices

if TYPE_CHECKING:
    from specplan._native import ColumnHeader

MOST_CLASSES = 100
"""Whole numbers with more values than this are taken for quantities."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"bool|u?int\d+|float\d+")
_CLASS = re.compile(r"bool|u?int\d+")

_SPEC = """\
# yaml-language-server: $schema={schema}
# A spec says what an experiment is. `mlx validate` checks it, `mlx plan` says what it would cost,
# `mlx run` runs it; `mlx schema` and docs/spec.md say what else can stand here.
specplan: 1                     # version of the language
experiment:
  id: {id}  # names the folder of its runs: one for each experiment
  title: A first experiment     # for people
run:
  seed: 42                      # every seed that is not written out is derived from this one

data:
  {label}:
    source: {{use: {source}, path: {path}}}
    features: {features}
    targets: [{target}]
    # Shares of the rows. Other keys of a splitter are in the schema.
    splits: {{use: random, ratios: {{train: 0.7, val: 0.15, test: 0.15}}, seed: 13}}

graph:
  nodes:
    Net:                        # a node reads columns or other nodes; `mlx explain` shows its shapes
      model: {{use: mlp, n_layers: 2, hidden_dim: 32{output}}}
      input: {label}.features
      target: {reference}
  optimizer: {{use: adam, lr: 1e-3}}

losses:
  {loss}: {{use: {loss}, node: Net}}

metrics:
  {metric}: {{use: {metric}, node: Net}}

plan:                           # phases, in the order in which they run
  - phase: train
    label: train
    split: train
    epochs: 30
    sampler: {{use: simple, batch_size: 32, shuffle: true}}
    losses: [{loss}]
    callbacks:
      - {{use: evaluation, split: val, metrics: [{metric}]}}
      - {{use: early_stopping, monitor: val_loss, patience: 5, restore_best: true}}
    record: last                # outputs and targets of the last epoch; `all` keeps every step
  - {{phase: eval, label: test, split: test, losses: [{loss}], metrics: [{metric}]}}

results:
  dir: runs                     # relative to this file
"""


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The table of an example.

    Attributes:
        path: relative to the folder of the spec.
        classes: of the target; None where it is a quantity.
        left_out: columns of which no numbers can be read.
    """

    path: str
    source: Literal["parquet", "arrow"]
    features: tuple[str, ...]
    target: str
    classes: int | None = None
    left_out: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """A label made of the name of the file."""
        words = re.findall(r"[A-Za-z0-9]+", Path(self.path).stem)
        name = "".join(word[0].upper() + word[1:] for word in words)
        return name if _PLAIN.fullmatch(name) else f"Data{name}"

    @classmethod
    def example(cls) -> Data:
        """What `example_data` writes."""
        return cls(
            path="data/example.parquet",
            source="parquet",
            features=("x0", "x1", "x2"),
            target="y",
        )

    @classmethod
    def of(cls, file: Path, *, spec: Path, target: str | None) -> Data:
        """The columns of a file of which numbers can be read.

        Raises:
            DataError: it is no table, or has no columns to predict one from others.
            click.UsageError: it has no column `target`.
        """
        source: Literal["parquet", "arrow"] = "parquet" if _is_parquet(file) else "arrow"
        try:
            header = read_table_header(str(file), source)
        except DataError as error:
            if hint := looks_like(file, source):
                raise DataError(f"{file} is no table of Parquet or Arrow\nhint: {hint}") from error
            raise
        numbers = [column for column in header.columns if _is_readable(column)]
        names = [column.name for column in numbers]
        if target is not None and target not in names:
            raise click.UsageError(
                f"no column of numbers `{target}`; known: {choices(target, names)}"
            )
        if len(names) < 2:
            raise DataError(
                f"{file}: an example needs two columns of numbers; found: {', '.join(names) or 'none'}"
            )
        chosen = next(column for column in numbers if column.name == (target or names[-1]))
        return cls(
            path=Path(os.path.relpath(file.resolve(), spec.parent.resolve())).as_posix(),
            source=source,
            features=tuple(name for name in names if name != chosen.name),
            target=chosen.name,
            classes=_classes(file, source, chosen),
            left_out=tuple(each.name for each in header.columns if each.name not in names),
        )


def id_for(spec: Path) -> str:
    """An id for the experiment of a file: its name, or that of its folder where many files have its name."""
    path = spec.resolve()
    name = path.parent.name if path.stem == "spec" else path.stem
    label = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")
    return label if re.match(r"[A-Za-z]", label) else f"experiment_{label}".rstrip("_")


def example_spec(data: Data, *, name: str, schema: str, as_json: bool) -> str:
    """The text of a spec for `data`, with `name` as its id: YAML with comments, or JSON."""
    classifies = data.classes is not None
    text = _SPEC.format(
        schema=schema,
        id=_scalar(name),
        label=data.label,
        source=data.source,
        path=_scalar(data.path),
        features=f"[{', '.join(map(_scalar, data.features))}]",
        target=_scalar(data.target),
        reference=_scalar(f"{data.label}.{data.target}"),
        output=f", output_shape: [{data.classes}]" if classifies else "",
        loss="cross_entropy" if classifies else "mse",
        metric="accuracy" if classifies else "rmse",
    )
    if not as_json:
        return text
    value = {"$schema": schema, **parse_text(text, "yaml").value}
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def example_data(path: Path) -> None:
    """Write 200 rows: a curve over three numbers, with some noise."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, (3, 200)).astype(np.float32)
    noise = generator.normal(0, 0.05, 200).astype(np.float32)
    columns = {f"x{index}": values for index, values in enumerate(x)}
    pq.write_table(pa.table({**columns, "y": np.sin(3 * x[0]) + x[1] * x[2] + noise}), path)


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(4) == b"PAR1"


def _is_readable(column: ColumnHeader) -> bool:
    return column.shape is not None and bool(_NUMBER.fullmatch(column.dtype)) and not column.nulls


def _classes(file: Path, source: str, column: ColumnHeader) -> int | None:
    """How many classes a column of whole numbers from 0 up names; None where it is a quantity."""
    if column.shape != () or not _CLASS.fullmatch(column.dtype):
        return None
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if source == "parquet":
        values = pq.read_table(file, columns=[column.name]).column(0)
    else:
        values = pa.ipc.open_file(file).read_all().column(column.name)
    extremes = pc.min_max(values.cast(pa.int64())).as_py()
    least, most = extremes["min"], extremes["max"]
    return most + 1 if least == 0 and 0 < most < MOST_CLASSES else None


def _scalar(text: str) -> str:
    """A string as YAML reads it back, inside brackets too."""
    words = {"true", "false", "null", "yes", "no", "on", "off"}
    plain = re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", text) and text.lower() not in words - {
        "y",
        "n",
    }
    return text if plain else json.dumps(text, ensure_ascii=False)
