from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.code.signature import Signature, signature
from specplan.code.source import find
from specplan.components.reference import parse
from specplan.errors import CodeError
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.components import Kind

HEAD = """\
from __future__ import annotations
import enum, typing as t
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Optional, Union
from elsewhere import Unknown
from torch import nn

Shape = tuple[int, ...]

class Mode(enum.StrEnum):
    FAST = "fast"
    EXACT = "exact"

"""


def signature_of(folder: Path, text: str, name: str = "Net", kind: Kind = "loss") -> Signature:
    (folder / "nets.py").write_text(HEAD + text)
    reference = parse(f"nets:{name}")
    assert reference is not None
    source = find(reference, folder=folder, pythonpath=[folder])
    return signature(source, kind)


def accepts(kind: Any, value: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        ("int", [3], [3.5, "3", None, True, [3]]),
        ("float", [3, 0.5], ["3", None]),
        ("bool", [True], [1, "true"]),
        ("str", ["a"], [1, None]),
        ("'int'", [3], ["3"]),
        ("int | None", [3, None], ["3"]),
        ("Optional[int]", [3, None], ["3"]),
        ("Union[int, str]", [3, "a"], [None]),
        ("list[int]", [[], [1, 2]], [["a"], 1]),
        ("tuple[int, ...]", [[1, 2, 3]], [["a"], 1]),
        ("tuple[int, float]", [[1, 2.5]], [[1], [1, 2, 3]]),
        ("dict[str, float]", [{"a": 1}], [{"a": "b"}, []]),
        ("t.Sequence[int]", [[1]], [["a"]]),
        ("Literal['a', 'b']", ["a"], ["c", 1]),
        ("Annotated[int, 'size']", [3], ["3"]),
        ("Shape", [[1, 2]], [["a"]]),
        ("Mode", ["fast"], ["fest"]),
        ("Mode | None", ["fast", None], ["fest"]),
        ("Unknown", [3, "a", None, [1]], []),
        ("list[Unknown]", [3, "a"], []),
        ("nn.Module", [3], []),
        ("Any", [3, None], []),
        ("list[int] | tuple[str, ...]", [3], []),
        ("Unknown()[0]", [3], []),
    ],
)
def test_values_are_checked_by_annotation(
    tmp_path: Path, annotation: str, right: list[Any], wrong: list[Any]
) -> None:
    text = f"def Net(outputs, targets, value: {annotation}): ...\n"
    kind = signature_of(tmp_path, text).parameters["value"].type
    assert [value for value in right if not accepts(kind, value)] == []
    assert [value for value in wrong if accepts(kind, value)] == []


@pytest.mark.parametrize(
    ("text", "expected", "is_open"),
    [
        ("class Net:\n    def __init__(self, a, b=2, *, c=(1, 2)): ...", {"a": None, "b": 2, "c": (1, 2)}, False),
        ("class Net:\n    def __init__(self, a=1, **rest): ...", {"a": 1}, True),
        ("class Net(nn.Module): ...", {}, False),
        ("class Net(Unknown): ...", {}, True),
        ("class Base(nn.Module):\n    def __init__(self, a=1): ...\nclass Net(Base): ...", {"a": 1}, False),
        ("@dataclass\nclass Base:\n    a: int\n@dataclass(kw_only=True)\nclass Net(Base):\n    b: int = 2\n    c: ClassVar[int] = 3\n    d: list = field(default_factory=list)\n    e: int = field(init=False)", {"a": None, "b": 2, "d": None}, False),
        ("class Outer:\n    class Net:\n        def __init__(self, a=1): ...\nNet = None", {"a": 1}, False),
        ("class Net:\n    if True:\n        def __init__(self, a=1): ...", {}, False),
    ],
)  # fmt: skip
def test_parameters_are_those_of_python(
    tmp_path: Path, text: str, expected: dict[str, Any], is_open: bool
) -> None:
    found = signature_of(tmp_path, text, "Outer.Net" if "Outer" in text else "Net")
    defaults = {
        name: None if parameter.default is msgspec.UNSET else parameter.default
        for name, parameter in found.parameters.items()
    }
    assert (defaults, found.is_open) == (expected, is_open)


OF_MANY_KINDS = """\
from torch import optim
from specplan import Callback

class _Hidden(nn.Module): ...
class Base(nn.Module): ...
class Deep(Base): ...
class Slow(optim.Optimizer): ...
class Watch(Callback): ...
@dataclass
class Options:
    rate: float = 0.5
class Fits:
    def fit(self, rows): ...
class Scales(Fits):
    def transform(self, rows): ...
def one(value): ...
def two(left, right): ...
async def makeSlowly(): ...
def makeNet(): ...
"""


@pytest.mark.parametrize(
    ("kind", "name", "known"),
    [
        ("model", "makeNet", ["Base", "Deep"]),
        ("optimizer", "makeNet", ["Slow"]),
        ("callback", "makeNet", ["Watch"]),
        ("scaler", "makeNet", ["Scales"]),
        ("metric", "Options", ["two"]),
    ],
)
def test_code_of_another_form_is_told_what_there_is_of_the_kind(
    tmp_path: Path, kind: Kind, name: str, known: list[str]
) -> None:
    assert hint_of(tmp_path, OF_MANY_KINDS, name, kind) == f"`nets.py` has {quoted(known)}"


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        ("model", "def makeNet(): ...", "write `class MakeNet(torch.nn.Module):`"),
        ("scaler", "def makescaler(): ...", "write `class Makescaler:`"),
        ("metric", "class Net(nn.Module): ...", "write `def Net(outputs, targets):`"),
    ],
)
def test_code_of_another_form_is_told_how_the_kind_is_written(
    tmp_path: Path, kind: Kind, text: str, hint: str
) -> None:
    name = text.split()[1].partition("(")[0]
    assert hint_of(tmp_path, text + "\n", name, kind) == hint


def hint_of(folder: Path, text: str, name: str, kind: Kind) -> str | None:
    with pytest.raises(CodeError) as error:
        signature_of(folder, text, name, kind)
    assert error.value.code == "SP406"
    return error.value.hint


def test_a_class_is_followed_through_imports(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("class Real:\n    def __init__(self, width: int): ...\n")
    (tmp_path / "between.py").write_text("from inner import *\n")
    found = signature_of(tmp_path, "from between import Real as Net\n")
    assert (found.name, list(found.parameters)) == ("Real", ["width"])
    assert str(found.origin).endswith("inner.py:1:7")


def test_a_class_that_imports_itself_in_a_circle_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("from nets import Net\n")
    with pytest.raises(CodeError, match="has no class or function `Net`"):
        signature_of(tmp_path, "from other import Net\n")


def test_an_alias_of_itself_accepts_anything(tmp_path: Path) -> None:
    text = "A = B\nB = A\ndef Net(outputs, targets, a: A): ...\n"
    assert signature_of(tmp_path, text).parameters["a"].type is Any


def test_places_count_characters(tmp_path: Path) -> None:
    text = "def Net(outputs, targets, ä=1, b: int = 2): ...\n"
    origin = signature_of(tmp_path, text).parameters["b"].origin
    assert (origin.column, origin.end_column) == (32, 38)


def test_an_enumeration_is_an_image_of_the_real_one(tmp_path: Path) -> None:
    text = "class Net:\n    def __init__(self, mode: Mode): ...\n"
    image = signature_of(tmp_path, text).parameters["mode"].type
    assert issubclass(image, enum.Enum)
    assert image.__module__ == "nets"
