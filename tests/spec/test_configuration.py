"""Classes of configurations, and values that do not fit them."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import msgspec
import pytest

from specplan.spec.composition import Composition
from specplan.spec.configuration import ConfigurationBase, configuration, documentation
from specplan.spec.decode import Decoder, UnusableTypeError, described
from specplan.spec.load import load_configuration
from specplan.spec.model import DirtyGitAction
from specplan.spec.render import render

GOLDEN = Path(__file__).parent.parent / "golden/configuration_errors"


class Rule(enum.Enum):
    ADAM = "adam"
    SGD = "sgd"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


@configuration
class Model:
    #: Width of
    #: the hidden layers
    hidden_size: int
    num_layers: int = 2

    def __post_init__(self) -> None:
        if self.num_layers < 0:
            raise ValueError("there are no fewer layers than none")


@configuration
class Configuration(ConfigurationBase):
    #: Default learning rate
    learning_rate: float = 1e-3
    model: Model = Model(hidden_size=4)
    other: Model | None = None
    rule: Rule = Rule.ADAM
    size: Size = Size.SMALL
    mode: Literal["fast", "exact"] = "fast"
    out: Path = Path("out")
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 32
    names: list[str] = []
    pair: tuple[int, float] = (1, 2.0)
    many: tuple[int, ...] = ()
    by_name: dict[str, Model] = {}
    either: Union[int, list[int]] = 0  # noqa: UP007 -- as people write it
    anything: Any = None
    deterministic: bool = True


@configuration
class Strict(ConfigurationBase):
    #: Words that the data are read by
    tokenizer: str
    steps: int


@configuration
class Part(ConfigurationBase):
    size: int = 4


@configuration
class Whole(ConfigurationBase):
    part: Part = Part()
    parts: list[Part] = []


def test_the_defaults_are_those_of_the_document() -> None:
    base = ConfigurationBase(id="x")
    assert vars(base) == {
        "id": "x",
        "file": "experiment",
        "module": None,
        "pythonpath": None,
        "imports": [],
        "parent": None,
        "pre_experiment": None,
        "title": "",
        "subtitle": "",
        "description": "",
        "paper": "",
        "add_timestamp": False,
        "dirty_git": "warn",
        "grid_search": None,
    }
    assert base.dirty_git is DirtyGitAction.WARN


def test_a_part_may_inherit_from_the_same_parent(tmp_path: Path) -> None:
    assert (Whole().id, Whole().part.size) == ("", 4)
    whole = decoded("part: {size: 5}\nparts: [{size: 6}]\n", tmp_path, Whole)
    assert (whole.part.size, [part.size for part in whole.parts]) == (5, [6])


def test_they_are_made_with_keywords_and_share_nothing() -> None:
    one, two = Configuration(id="x"), Configuration(id="x")
    one.names.append("a")
    one.model.num_layers = 9
    assert (two.names, two.model) == ([], Model(hidden_size=4))
    assert one != two
    with pytest.raises(TypeError):
        Model(3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="hidden_size"):
        Model()  # type: ignore[call-arg]


def test_the_decorator_with_parentheses_is_the_same() -> None:
    @configuration()
    class Small(ConfigurationBase):
        sizes: list[int] = [1]

    assert Small(id="a").sizes == [1]
    assert Small(id="a").sizes is not Small(id="b").sizes
    with pytest.raises(TypeError, match="positional"):
        Small("a")  # type: ignore[call-arg]


def test_comments_document() -> None:
    assert documentation(Configuration) == {"learning_rate": "Default learning rate"}
    assert documentation(Model) == {"hidden_size": "Width of the hidden layers"}


def decoded(text: str, folder: Path, cls: type[Any] = Configuration, *overrides: str) -> Any:
    """What a YAML file says, as an instance; or its faults as people read them."""
    file = folder / "experiment.yaml"
    file.write_text(text, encoding="utf-8")
    document = load_configuration(file, Composition(overrides=overrides))
    decoder = Decoder(document)
    found = decoder.instance(cls, document.value, (), known={"id": "x"})
    if decoder.problems:
        return "\n\n".join(render(problem, document) for problem in decoder.problems) + "\n"
    return found


def test_values(tmp_path: Path) -> None:
    text = """
learning_rate: 1
model: {hidden_size: 8}
other: {hidden_size: 1, num_layers: 0}
rule: sgd
size: LARGE
mode: exact
out: data/out
batch_size: 64
names: [a, b]
pair: [3, 4]
many: [1, 2, 3]
by_name: {a: {hidden_size: 2}}
either: [1]
anything: {a: [1, null]}
dirty_git: error
"""
    assert decoded(text, tmp_path) == Configuration(
        id="x",
        learning_rate=1.0,
        model=Model(hidden_size=8),
        other=Model(hidden_size=1, num_layers=0),
        rule=Rule.SGD,
        size=Size.LARGE,
        mode="exact",
        out=Path("data/out"),
        batch_size=64,
        names=["a", "b"],
        pair=(3, 4.0),
        many=(1, 2, 3),
        by_name={"a": Model(hidden_size=2)},
        either=[1],
        anything={"a": [1, None]},
        dirty_git=DirtyGitAction.ERROR,
    )
    assert decoded("size: 2\nother: null\n", tmp_path).size is Size.LARGE


def test_words_of_the_command_need_no_quotes(tmp_path: Path) -> None:
    found = decoded("title: x\n", tmp_path, Configuration, "title=1e-3", "names=[true, x]")
    assert (found.title, found.names) == ("1e-3", ["true", "x"])


WRONG: dict[str, tuple[str, type[Any], tuple[str, ...]]] = {
    "unknown_keys": ("learnin_rate: 1e-4\ntitel: x\nmodel: {hiden_size: 3}\n", Configuration, ()),
    "wrong_types": (
        'learning_rate: "1e-4"\nmodel: 3\nother: {hidden_size: 2.0}\nnames: a\nout: 3\n'
        "deterministic: maybe\neither: 1.5\nbatch_size: 0\npair: [1]\nmany: [1, x]\ntitle: 7\n",
        Configuration,
        (),
    ),
    "choices": ("rule: ADAM\nsize: LARG\nmode: exat\ndirty_git: ERROR\n", Configuration, ()),
    "missing": ("title: x\n", Strict, ()),
    "missing_inside": ("by_name:\n  a: {num_layers: 3}\n", Configuration, ()),
    "refused_by_the_class": ("other: {hidden_size: 1, num_layers: -1}\n", Configuration, ()),
    "overrides": ("learning_rate: 1\n", Configuration, ("learning_rat=3", "model.hidden_size=x")),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, cls, overrides = WRONG[name]
    rendered = decoded(text, Path(), cls, *overrides)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


def test_no_text_without_its_case() -> None:
    assert sorted(file.stem for file in GOLDEN.iterdir()) == sorted(WRONG)


def test_types_that_no_file_can_hold(tmp_path: Path) -> None:
    @configuration
    class ByNumber:
        of: dict[int, str] = {}

    @configuration
    class Unknown:
        of: "Nowhere" = 1  # type: ignore[name-defined]  # noqa: F821, UP037

    for cls in (ByNumber, Unknown):
        with pytest.raises(UnusableTypeError):
            decoded("of: {a: b}\n", tmp_path, cls)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (int, "integer"),
        (Optional[float], "number or null"),  # noqa: UP045
        (list[int], "list"),
        (dict[str, Any], "mapping"),
        (Rule, "one of adam, sgd"),
        (Literal["a", 1], "one of a, 1"),
        (Annotated[str, msgspec.Meta(min_length=1)], "string"),
        (Model, "mapping of `Model`"),
        (Path, "path"),
    ],
)
def test_types_in_words(declared: Any, words: str) -> None:
    assert described(declared) == words
