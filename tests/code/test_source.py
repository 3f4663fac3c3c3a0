from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from specplan.code.source import LARGEST_FILE, Source, find
from specplan.components.reference import parse
from specplan.errors import CodeError

if TYPE_CHECKING:
    from pathlib import Path

NET = """\
import numpy
import layers  # beside this file
from parts.blocks import Block


class Net:
    def __init__(self, width=3):
        def later():
            from parts import late
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A file, what it imports, and what it does not."""
    (tmp_path / "nets.py").write_text(NET)
    (tmp_path / "layers.py").write_text("SIZE = 4\n")
    (tmp_path / "other.py").write_text("import nowhere\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/__init__.py").write_text("")
    (tmp_path / "parts/blocks.py").write_text("from . import deep\nclass Block: ...\n")
    (tmp_path / "parts/deep.py").write_text("")
    (tmp_path / "parts/late.py").write_text("")
    return tmp_path


def source(folder: Path, use: str) -> Source:
    reference = parse(use)
    assert reference is not None, use
    return find(reference, folder=folder, pythonpath=[folder])


def test_all_that_an_import_of_it_may_run_is_part_of_it(project: Path) -> None:
    imported = ["layers", "parts", "parts.blocks", "parts.deep", "parts.late"]
    assert list(source(project, "nets:Net").modules) == sorted([*imported, "nets"])
    assert {file.name for file in source(project, "./nets.py:Net").files} == {
        "nets.py", "layers.py", "__init__.py", "blocks.py", "deep.py", "late.py",
    }  # fmt: skip


def test_the_digest_is_that_of_what_the_code_does(project: Path) -> None:
    before = source(project, "nets:Net").digest
    (project / "nets.py").write_text(
        NET.replace("\n\n\n", "\n\n# a class\n\n").replace("4\n", "4 \n")
    )
    (project / "other.py").write_text("changed = True\n")
    assert source(project, "nets:Net").digest == before
    (project / "parts/deep.py").write_text("changed = True\n")
    assert source(project, "nets:Net").digest != before


def test_text_in_quotes_is_no_layout(tmp_path: Path) -> None:
    digests = set()
    for text in ('"""a\n\nb"""\n', '"""a\nb"""\n', '"""a\n# b"""\n', '"""a \n# b"""\n', "'# a'\n"):
        (tmp_path / "texts.py").write_text(text)
        digests.add(source(tmp_path, "texts:Net").digest)
    assert len(digests) == 5


def test_reading_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    for name in ("package/__init__.py", "package/nets.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Net: ...\n")
    before, path = set(sys.modules), list(sys.path)
    source(tmp_path, "package.nets:Net")
    source(tmp_path, "./package/nets.py:Net")
    assert not (tmp_path / "ran").exists()
    assert (set(sys.modules), sys.path) == (before, path)


def test_an_installed_package_is_found_and_ends_with_itself(tmp_path: Path) -> None:
    found = source(tmp_path, "click.core:Command")
    assert found.roots == ()
    assert {name.partition(".")[0] for name in found.modules} == {"click"}


@pytest.mark.parametrize(
    ("use", "code"),
    [
        ("os:system", "SP406"),
        ("builtins:exec", "SP406"),
        ("subprocess:Popen", "SP406"),
        ("../../secret.py:Net", "SP402"),
        ("./nets.py/../nets.py:Net", "SP402"),
        ("nothing:Net", "SP402"),
        ("parts.nothing:Net", "SP402"),
        ("./parts.py:Net", "SP402"),
    ],
)
def test_what_cannot_be_a_component_is_refused(project: Path, use: str, code: str) -> None:
    with pytest.raises(CodeError) as refused:
        source(project, use)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "use",
    [
        "http://example.org/nets.py:Net",
        "file:///nets.py:Net",
        "/nets.py:Net",
        "./nets.txt:Net",
        "./nets.py",
        "nets",
        "nets:",
        "nets:Net()",
        "nets:__import__('os')",
        "./ne\nts.py:Net",
        "./ne\0ts.py:Net",
        "a" * 2000 + ":Net",
    ],
)
def test_what_is_no_reference_is_none(use: str) -> None:
    assert parse(use) is None


@pytest.mark.parametrize(
    "content",
    [b"class Net(:\n", b"\xff\xfe", b"a = '\0'\n", b"(" * 5000, b"#" * (LARGEST_FILE + 1)],
    ids=["syntax", "bytes", "null", "deep", "large"],
)
def test_files_that_are_no_python_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "nets.py").write_bytes(content)
    with pytest.raises(CodeError, match=r"nets\.py") as refused:
        source(tmp_path, "./nets.py:Net")
    assert refused.value.code == "SP408"


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "nets.py")
    with pytest.raises(CodeError) as refused:
        source(tmp_path, "./nets.py:Net")
    assert refused.value.code == "SP402"


def test_near_names_are_told(project: Path) -> None:
    for use, hint in (
        ("net:Net", "did you mean `nets`?"),
        ("parts.block:Net", "did you mean `parts.blocks`?"),
        ("./nest.py:Net", "did you mean `nets.py`?"),
        ("nets.py:Net", "a file is written `./nets.py:...`"),
    ):
        with pytest.raises(CodeError) as refused:
            source(project, use)
        assert refused.value.hint == hint
