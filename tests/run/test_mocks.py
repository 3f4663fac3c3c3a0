"""Fake modules in place of heavy ones."""

from __future__ import annotations

import copy
import importlib
import inspect
import sys
from abc import ABC, ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar

import pytest

from specplan.run.mocks import mock_modules, mocked_modules, unmock_modules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = TypeVar("T")


@pytest.fixture
def heavy() -> Iterator[Any]:
    """A package that there is not, mocked."""
    mock_modules(["heavy"])
    yield importlib.import_module("heavy")
    unmock_modules()


def test_modules_inside_are_mocks_as_well(heavy: Any) -> None:
    functional = importlib.import_module("heavy.nn.functional")
    assert functional is heavy.nn.functional
    assert functional.relu is functional.relu
    assert repr(functional.relu(3)) == "<mock heavy.nn.functional.relu()>"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("heavy_too")


def test_everything_is_accepted(heavy: Any) -> None:
    layer = heavy.nn.Linear(3, 4, bias=False)
    layer.weight[0] = 3 * layer(heavy.zeros(3)) @ layer.weight.T - 1
    layer.name = "first"
    assert layer.name == "first"
    with heavy.no_grad() as nothing:
        assert nothing
    assert [*heavy.cuda.devices()] == []
    assert [*range(heavy.cuda.device_count())] == []
    assert float(heavy.pi) == 0
    assert 3 not in heavy.set(3)
    assert heavy.__version__.startswith("2") > 3
    copy.deepcopy(layer)
    assert Optional[heavy.Tensor] is not None  # noqa: UP045 -- as people write it
    assert heavy.Tensor | None is not None
    assert repr(heavy.Tensor[int]) == "<mock heavy.Tensor.__getitem__()>"


def test_python_is_not_misled(heavy: Any) -> None:
    for name in ("__wrapped__", "__array__", "__fspath__"):
        assert not hasattr(heavy.Tensor, name)
    assert not isinstance(3, heavy.Tensor)
    assert isinstance(heavy.zeros(3), heavy.Tensor)


def test_decorators_with_and_without_arguments(heavy: Any) -> None:
    @heavy.jit.script  # type: ignore[untyped-decorator]
    def one() -> int:
        return 1

    @heavy.no_grad()  # type: ignore[untyped-decorator]
    def two() -> int:
        return 2

    @heavy.compile(mode="fast")  # type: ignore[untyped-decorator]
    def three() -> int:
        return 3

    @heavy.compile
    class Four:
        pass

    assert (one(), two(), three()) == (1, 2, 3)
    assert inspect.isclass(Four)


def test_classes_inherit_from_mocks(heavy: Any) -> None:
    class Meta(type):
        pass

    class Net(heavy.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = heavy.nn.Linear(1, 2)
            self.register_buffer("mask", heavy.zeros(3))

        def forward(self) -> int:
            return 5

    class Abstract(heavy.nn.Module, ABC):  # type: ignore[misc]
        @abstractmethod
        def forward(self) -> int: ...

    class Both(Abstract, heavy.data.Dataset, Net):  # type: ignore[misc]
        def forward(self) -> int:
            return 6

    class Made(heavy.nn.Module, metaclass=Meta):  # type: ignore[misc]
        pass

    class Listed(heavy.data.Dataset[int], heavy.nn.Module, Generic[T]):  # type: ignore[misc]
        pass

    class Real(dict, heavy.nn.Module):  # type: ignore[misc, type-arg]
        pass

    assert Net().forward() == 5
    assert Net().train(mode=False)
    assert Net()(3)
    assert (Both().forward(), type(Both)) == (6, ABCMeta)
    assert type(Made) is Meta
    assert isinstance(Listed[int](), Listed)
    assert Real(a=1)["a"] == 1
    assert issubclass(Both, heavy.nn.Module)
    with pytest.raises(TypeError, match="abstract"):
        Abstract()


def test_a_function_with_its_own_gradient(heavy: Any) -> None:
    class Double(heavy.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(_context: Any, x: Any) -> Any:
            return 2 * x

    assert Double.apply(3)
    assert Double.forward(None, 3) == 6


def test_real_modules_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "around_mocks").mkdir()
    (tmp_path / "around_mocks/__init__.py").touch()
    (tmp_path / "around_mocks/inner.py").write_text("VALUE = 3\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    real: Any = importlib.import_module("around_mocks.inner")
    mock_modules(["around_mocks.inner", "never_imported"])
    fake: Any = importlib.import_module("around_mocks.inner")
    importlib.import_module("never_imported.inside")
    assert mocked_modules() == ("around_mocks.inner", "never_imported")
    assert fake.VALUE != 3
    assert importlib.import_module("around_mocks").inner is fake
    unmock_modules()
    assert mocked_modules() == ()
    assert importlib.import_module("around_mocks.inner") is real
    assert importlib.import_module("around_mocks").inner is real
    assert not [name for name in sys.modules if name.startswith("never_imported")]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("never_imported")


def test_a_deprecated_parameter_and_a_wrong_one() -> None:
    with pytest.warns(DeprecationWarning, match="`decorators` of mock_modules does nothing"):
        mock_modules([], decorators=["heavy.compile"])
    with pytest.raises(TypeError, match=r"takes a list of names, such as \['torch'\]"):
        mock_modules("torch")
    unmock_modules()
