"""What is there where a data file is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.spec.wording import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

_START = 1024
_MAGIC = ((b"PAR1", "parquet", "a Parquet"), (b"ARROW1", "arrow", "an Arrow"))
_TABLES = (".parquet", ".arrow", ".feather")


def beside(file: Path) -> str | None:
    """The hint for a file that is not there; None where nothing is near."""
    if file.is_dir():
        return _in_folder(file)
    if "~" in file.parts:
        return "`~` is not read as your home: write the path from the file that names it"
    if not file.parent.is_dir():
        return "the folder does not exist"
    names = sorted(entry.name for entry in file.parent.iterdir())
    tables = [f"{file.stem}{ending}" for ending in _TABLES if f"{file.stem}{ending}" in names]
    return did_you_mean(file.name, names) or (f"did you mean `{tables[0]}`?" if tables else None)


def looks_like(file: Path, format: str) -> str | None:
    """The hint for a file that is no table of `format`, which it is said to have."""
    with file.open("rb") as opened:
        start = opened.read(_START)
    if not start:
        return "the file is empty"
    for magic, use, called in _MAGIC:
        if start.startswith(magic) and use != format:
            return f"it begins as {called} file does: `use: {use}`"
    line = start.partition(b"\n")[0]
    if line.isascii() and any(mark in line for mark in (b",", b";", b"\t")):
        return (
            "it looks like CSV, which says neither types nor shapes: "
            "write it as Parquet, as `pandas.read_csv(path).to_parquet(path)` does"
        )
    return None


def _in_folder(folder: Path) -> str:
    parts = sorted(entry.name for entry in folder.iterdir() if entry.suffix in _TABLES)
    match parts:
        case []:
            return "this is a folder, not a file"
        case [part]:
            return f"this is a folder; did you mean `{folder.name}/{part}`?"
    return (
        f"this is a folder of {len(parts)} tables, such as `{parts[0]}`; "
        "a source is one file: join them, or name one of them"
    )
