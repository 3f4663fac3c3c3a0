"""What is there where a data file is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.spec.wording import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

_TABLES = (".parquet", ".arrow", ".feather")


def beside(file: Path) -> str | None:
    """The hint for a file that is not there; None where nothing is near."""
    if file.is_dir():
        return _in_folder(file)
    if not file.parent.is_dir():
        return "the folder does not exist"
    return did_you_mean(file.name, sorted(entry.name for entry in file.parent.iterdir()))


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
