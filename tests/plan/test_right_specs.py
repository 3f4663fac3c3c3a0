"""Ordinary specs of many kinds, of which the compiler has nothing to say, with their data or without."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from specplan.plan.analyse import analyse
from specplan.plan.compile import compile_path
from specplan.spec.load import load
from tests.plan.conftest import NETS

CORPUS = Path(__file__).parent / "corpus_right"
OTHERS = Path(__file__).parents[1] / "spec/corpus/right"
CODE = Path(__file__).parents[1] / "spec/corpus/code"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", sorted(file.name for file in CORPUS.iterdir()))
def test_with_data(name: str, folder: Path) -> None:
    shutil.copy(CORPUS / name, folder)
    assert compile_path(folder / name, strict=True).warnings == ()


@pytest.mark.parametrize(
    "file",
    [
        *sorted(CORPUS.iterdir()),
        *sorted(OTHERS.glob("*.*")),
        *(file for file in EXAMPLES.glob("*/spec.*") if ".plan" not in file.name),
    ],
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_without_data(file: Path, tmp_path: Path) -> None:
    shutil.copytree(CODE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "nets.py").write_text(NETS)
    for beside in (file, *file.parent.glob("*.py")):
        shutil.copy(beside, tmp_path)
    found = analyse(load(tmp_path / file.name), needs_data=False, strict=True)
    assert found.warnings == ()
    assert len(found.unread) == len(found.context.spec.data)
