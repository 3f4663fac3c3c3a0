"""Write the data of the examples, from scikit-learn's bundled data sets, as Parquet.

    python examples/make_data.py [FOLDER]       FOLDER: where the examples are; by default beside this file

The same bytes every time (with the same pyarrow), so a second call changes nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_diabetes, load_digits


def main(folder: Path) -> None:
    """Write one file for each example."""
    _write(_diabetes(scaled=True), folder / "diabetes/data/diabetes.parquet")
    _write(_digits(), folder / "digits/data/digits.parquet")
    _write(_diabetes(scaled=False), folder / "stacking/data/diabetes.parquet")


def _diabetes(*, scaled: bool) -> pa.Table:
    """442 patients: ten measurements, and the progression of the disease a year later.

    Scaled, each measurement has mean 0 and squares that sum to 1; otherwise it is in its own unit.
    """
    data = load_diabetes(scaled=scaled)
    columns = dict(zip(data.feature_names, data.data.T, strict=True))
    return pa.table({**columns, "progression": data.target})


def _digits() -> pa.Table:
    """1797 handwritten digits: images of 8 x 8 pixels with ink from 0 to 1, and the digit."""
    data = load_digits()
    shape = (1, 8, 8)
    pixels = (data.images / 16).astype(np.float32).ravel()
    images = pa.FixedSizeListArray.from_arrays(pixels, int(np.prod(shape)))
    field = pa.field("image", images.type, metadata={"specplan.shape": json.dumps(shape)})
    digits = pa.array(data.target.astype(np.uint8))
    return pa.table([images, digits], schema=pa.schema([field, pa.field("digit", digits.type)]))


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    pq.write_table(table, aside)
    aside.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
