"""Write the golden plans of the present version: `python -m tests.golden.plans.make`.

A later version must read, explain and run what this one has written. So they are made once for each
version of the plan, before a release, and never again after it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from specplan.plan.canonical import write_plan
from specplan.plan.compile import compile_document
from specplan.plan.model import PLAN_VERSION
from specplan.spec.load import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
NAMES = ("cells", "line", "smallest")

Columns = dict[str, "NDArray[np.generic]"]


def line() -> Columns:
    """The columns of the memory table `line`: exact in binary, so that their digest is the same for ever."""
    x = np.arange(300, dtype=np.float32).reshape(100, 3) / 64
    return {"x": x, "y": x.sum(axis=1), "up": (x[:, 0] > 2).astype(np.float32)}


def _write_data() -> None:
    rows = np.arange(40)
    curve, image = (np.arange(40 * width, dtype=np.float32) % 7 for width in (10, 64))
    cells = {
        "curve": pa.FixedSizeListArray.from_arrays(pa.array(curve), 10),
        "image": pa.FixedSizeListArray.from_arrays(pa.array(image), 64),
        "temperature": rows / 8,
        "soh": rows / 4 - 2,
        "kind": rows % 3,
        "name": [f"cell{row}" for row in rows],
    }
    pq.write_table(pa.table(cells), HERE / "data/cells.parquet")
    smallest = pa.table({"x": np.arange(6, dtype=np.int8)})
    feather.write_feather(smallest, str(HERE / "data/smallest.arrow"), compression="uncompressed")


def make() -> None:
    """The plans, and the data that they name where these are not there yet."""
    if not (HERE / "data").exists():
        (HERE / "data").mkdir()
        _write_data()
    folder = HERE / f"v{PLAN_VERSION}"
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        document = load(HERE / f"specs/{name}.yaml")
        write_plan(compile_document(document, tables={"line": line()}), folder / f"{name}.json")


if __name__ == "__main__":
    make()
