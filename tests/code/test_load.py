from __future__ import annotations

import py_compile
import sys
from typing import TYPE_CHECKING, Any

import pytest

from specplan.code.load import keywords, load, place_of
from specplan.code.signature import signature
from specplan.code.source import Source, find
from specplan.components.reference import parse

if TYPE_CHECKING:
    from pathlib import Path

NET = """\
import enum
import layers_of_mine


class Mode(enum.Enum):
    FAST = 1
    EXACT = 2


class Net:
    def __init__(self, size: tuple[int, ...] = (1, 2), mode: Mode = Mode.FAST, rates=(0.5, 1.0)):
        self.size, self.mode, self.rates = size, mode, rates

    def later(self):
        import late_of_mine
        return late_of_mine.VALUE

    def fail(self):
        raise ValueError("no")
"""


def source(folder: Path, use: str = "./nets.py:Net") -> Source:
    reference = parse(use)
    assert reference is not None
    return find(reference, folder=folder, pythonpath=[folder])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NET)
    (tmp_path / "layers_of_mine.py").write_text("import random\nVALUE = random.__name__\n")
    (tmp_path / "late_of_mine.py").write_text("VALUE = 7\n")
    return tmp_path


def test_code_runs_once_and_leaves_the_path_alone(project: Path) -> None:
    path = list(sys.path)
    first = load(source(project))
    assert load(source(project)) is first
    assert sys.path == path
    assert not list(project.rglob("*.pyc"))


def test_what_a_method_imports_when_it_is_called_is_there(project: Path) -> None:
    assert load(source(project))().later() == 7


def test_changed_code_is_another_class(project: Path) -> None:
    first = load(source(project))
    (project / "nets.py").write_text(NET.replace("(1, 2)", "(3, 4)"))
    second = load(source(project))
    assert (first().size, second().size) == ((1, 2), (3, 4))


def test_only_the_text_that_was_read_runs(project: Path) -> None:
    (project / "layers_of_mine.py").write_text("VALUE = 'compiled'\n")
    py_compile.compile(str(project / "layers_of_mine.py"))
    found = source(project)
    (project / "nets.py").write_text("raise SystemExit\n")
    (project / "layers_of_mine.py").write_text("raise SystemExit\n")
    load(found)
    assert sys.modules["layers_of_mine"].VALUE == "compiled"


def test_a_module_of_the_same_name_stays_what_it_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = type(sys)("layers_of_mine")
    monkeypatch.setitem(sys.modules, "layers_of_mine", foreign)
    load(source(project))
    assert sys.modules["layers_of_mine"] is foreign


def test_a_file_may_be_called_like_a_module_of_python(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text(
        "import random\nclass Net:\n    number = random.randint(1, 1)\n"
    )
    assert load(source(tmp_path, "./random.py:Net")).number == 1


def test_a_package_without_init_and_relative_imports(tmp_path: Path) -> None:
    (tmp_path / "mine/deep").mkdir(parents=True)
    (tmp_path / "mine/deep/__init__.py").write_text("from .nets import Net\n")
    (tmp_path / "mine/deep/nets.py").write_text("class Net: ...\n")
    assert load(source(tmp_path, "mine.deep:Net")).__module__ == "mine.deep.nets"


def test_arguments_have_the_types_of_the_annotations(project: Path) -> None:
    found = source(project)
    declared = signature(found, "model")

    def made(**args: Any) -> Any:
        return load(found)(**keywords(found, declared, args))

    assert made(size=[5]).size == (5,)
    assert made(mode=2).mode is load(found)(mode=made(mode=2).mode).mode
    assert made(mode=2).mode.name == "EXACT"
    # What equals the default is the default itself.
    assert made(rates=[0.5, 1]).rates == (0.5, 1.0)
    assert made(rates=[0.5]).rates == [0.5]


def test_an_exception_is_placed_in_the_code_of_the_user(project: Path) -> None:
    found = source(project)
    with pytest.raises(ValueError, match="no") as raised:
        load(found)().fail()
    assert place_of(raised.value, found).endswith("nets.py:19")
