"""What is said of specs that are wrong as people write them wrong: the place, the code and the hint of each fault.

`UPDATE_GOLDEN=1 pytest tests/plan/test_as_people_write.py` writes the golden text anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specplan._native import parse_text
from specplan.errors import SpecError
from specplan.plan.analyse import analyse
from specplan.spec.composition import Composition
from specplan.spec.load import load
from specplan.spec.render import render

HERE = Path(__file__).parent / "as_people_write"
GOLDEN = Path(__file__).parents[1] / "golden/as_people_write.txt"
LAYERS = ("top.yaml", "mid.yaml", "base.yaml")
FILES = {
    "layers": LAYERS,
    "diabetes": ("diabetes.yaml",),
    "digits": ("digits.json",),
    "stacking": ("stacking.yaml",),
    "graph": ("graph.yaml",),
    "course": ("course.yaml",),
    "roles": ("roles.yaml",),
    "swept": ("swept.yaml",),
    "own": ("own.yaml", "mine.py"),
    "laid_over": ("laid_over.yaml", "under.yaml"),
    "two_sets": ("two_sets.yaml",),
    "cells/trial": ("trial.yaml", "study.yaml", "lab.yaml"),
    "cells/scans": ("scans.json",),
    "cells/pairs": ("pairs.yaml",),
    "cells/course": ("course.yaml",),
    "cells/own": ("own.yaml", "nets.py"),
    "cells/sweep": ("sweep.yaml", "trial.yaml", "study.yaml", "lab.yaml"),
}
"""The files of a spec, the spec first; those of one that is named with a folder lie there."""
WRONG: list[dict[str, Any]] = [
    entry
    for name in ("wrong.yaml", "wrong_parts.yaml", "wrong_cells.yaml")
    for entry in parse_text((HERE / name).read_text("utf-8"), "yaml").value
]
RIGHT: list[dict[str, Any]] = [
    entry
    for name in ("right.yaml", "right_cells.yaml")
    for entry in parse_text((HERE / name).read_text("utf-8"), "yaml").value
]
OPTIONS = {"-c": "overrides", "--pre-yaml": "pre", "--post-yaml": "post"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> Path:
    """A folder with data of the shape of the examples'."""
    folder = tmp_path_factory.mktemp("as_people_write")
    (folder / "data").mkdir()
    generator = np.random.default_rng(0)
    names = ["age", "sex", "bmi", "bp", *(f"s{number}" for number in range(1, 7)), "progression"]
    columns: dict[str, Any] = {name: generator.normal(size=442) for name in names}
    columns["kind"] = np.arange(442) % 3
    columns["site"] = [f"site {number % 20}" for number in range(442)]
    pq.write_table(pa.table(columns), folder / "data/diabetes.parquet")
    images = generator.random((360, 64)).astype("float32")
    rows = pa.FixedSizeListArray.from_arrays(pa.array(images.ravel()), 64)
    digits = pa.table({"image": rows, "digit": np.arange(360) % 10})
    pq.write_table(digits, folder / "data/digits.parquet")
    pq.write_table(table, folder / "data/cells.parquet")
    write_lab(folder / "lab")
    return folder


def write_lab(folder: Path) -> None:
    """The data of the specs of `cells`: 12 cells with 20 cycles each, scans of five kinds, and weather."""
    folder.mkdir()
    generator = np.random.default_rng(0)

    def lists(*shape: int) -> Any:
        values = generator.normal(size=shape).astype("float32")
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), shape[1])

    cell, cycle = np.repeat(np.arange(12), 20), np.tile(np.arange(20), 12)
    soh = 100 - cycle * 0.7 + generator.normal(size=240)
    cells = {
        "voltage": lists(240, 16),
        "current": lists(240, 16),
        "pulse": lists(240, 12),
        "temp": generator.normal(25, 3, 240),
        "soh": soh,
        "cell_id": cell,
        "cycle": cycle,
        "chemistry": [("NMC", "LFP", "NCA")[number % 3] for number in cell],
        "site": [("north", "south")[number % 2] for number in cell],
        "grade": cycle // 5,
        "capacity": [None if row % 20 == 3 else float(value) for row, value in enumerate(soh)],
        "stamp": pa.array(np.arange(240) * 3_600_000_000, pa.timestamp("us")),
    }
    pq.write_table(pa.table(cells), folder / "cells.parquet")
    kinds = np.arange(120) % 5
    names = [f"kind {kind}" for kind in kinds]
    scans = {"image": lists(120, 64), "kind": kinds, "sick": kinds > 2, "kind_name": names}
    pq.write_table(pa.table(scans), folder / "scans.parquet")
    weather = {"wind": lists(100, 4), "load": generator.normal(size=100)}
    pq.write_table(pa.table(weather), folder / "weather.parquet")


def written(entry: dict[str, Any], folder: Path) -> str:
    """Write the files of an entry; the name of the spec."""
    folder.mkdir()
    names = FILES[entry["of"]]
    home = (HERE / entry["of"]).parent
    texts = {name: (home / name).read_text("utf-8") for name in names}
    for old, new, *where in entry.get("edits", ()):
        name = where[0] if where else names[0]
        assert old in texts[name], (entry["name"], old)
        texts[name] = texts[name].replace(old, new, 1)
    for name, text in {**texts, **entry.get("files", {})}.items():
        line_break = "\r\n" if entry.get("line_breaks") == "crlf" else "\n"
        mark = "\ufeff" if entry.get("bom") else ""
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(mark + text, encoding="utf-8", newline=line_break)
    return names[0]


def said(entry: dict[str, Any], root: Path, *, strict: bool = False) -> tuple[Any, ...]:
    """What is found, as `mlx validate` finds it."""
    folder = root / entry["name"]
    name = written(entry, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        given: dict[str, list[Any]] = {"overrides": [], "pre": [], "post": []}
        arguments = list(entry.get("arguments", ()))
        checked = "--check-data" in arguments
        arguments = [word for word in arguments if word != "--check-data"]
        for option, value in zip(arguments[::2], arguments[1::2], strict=True):
            known = OPTIONS[option]
            given[known].append(value if known == "overrides" else Path(value))
        composition = Composition(**{key: tuple(value) for key, value in given.items()})
        try:
            document = load(name, composition)
            analysis = analyse(document, needs_data=checked, check_data=checked, strict=strict)
        except SpecError as error:
            found = error.diagnostics
        else:
            found = analysis.warnings
        assert all(render(one) for one in found)
        return tuple(found)


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, tuple[Any, ...]]:
    """What is found in each wrong spec."""
    return {entry["name"]: said(entry, root) for entry in WRONG}


def test_what_is_said_of_each(found: dict[str, tuple[Any, ...]]) -> None:
    parts = []
    for name, faults in found.items():
        assert faults, f"{name}: nothing was found"
        lines = [name]
        for one in faults:
            origin = one.origin
            place = f"{origin.file}:{origin.line}:{origin.column}"
            hint = (one.hint or "-").splitlines()[0]
            lines.append(f"  {place} {one.severity} {one.code}: {hint}")
        parts.append("\n".join(lines))
    text = "\n".join(parts) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_one_cause_is_one_fault(found: dict[str, tuple[Any, ...]]) -> None:
    """Most of the specs have one slip; where that is told of more than once, it is written beside."""
    told = {name: len(faults) for name, faults in found.items()}
    assert told == {entry["name"]: entry.get("faults", 1) for entry in WRONG}


@pytest.mark.parametrize("entry", RIGHT, ids=[entry["name"] for entry in RIGHT])
def test_a_right_spec_gives_no_alarm(root: Path, entry: dict[str, Any]) -> None:
    entry = entry | {"arguments": [*entry.get("arguments", ()), "--check-data"]}
    assert said(entry, root, strict=True) == ()
