"""Fake modules in place of heavy ones, so that the code of an experiment is imported quickly."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_DECORATED = (types.FunctionType, types.MethodType, type, classmethod, staticmethod, property)
_BINARY = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor")
_OTHERS = ("neg", "pos", "abs", "invert", "lt", "le", "gt", "ge", "getitem")


def mock_modules(names: Iterable[str], decorators: object = None) -> None:
    """From now on, importing these modules or anything inside them gives fakes that accept everything.

    What a fake is asked for is another fake: its attributes, items, and results of calls. A fake that
    is called with nothing but a function or class gives that back, and so decorates; a class may
    inherit from fakes. Modules that import the real ones before keep them. The fakes are gone when
    the phases that call code of the user's are over.

        mock_modules(["torch", "transformers"])

    Args:
        names: modules; what is inside of them is included.
        decorators: does nothing. Every fake decorates.
    """
    if isinstance(names, str):
        raise TypeError(f"mock_modules takes a list of names, such as [{names!r}]")
    if decorators is not None:
        message = "`decorators` of mock_modules does nothing any more: every mock decorates"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    _FINDER.take_over(list(names))


def unmock_modules() -> None:
    """Put the real modules back where `mock_modules` has put fakes."""
    _FINDER.give_back()


def mocked_modules() -> tuple[str, ...]:
    """The names given to `mock_modules` that are still in force."""
    return tuple(_FINDER.names)


class MockBase:
    """What a class has as its parent that inherits from a mock."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    def __class_getitem__(cls, _item: Any) -> type[MockBase]:
        return cls

    @classmethod
    def apply(cls, *_args: Any, **_kwargs: Any) -> Any:
        """What `torch.autograd.Function` is called through."""
        return Mock(f"{cls.__name__}.apply()")

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        return Mock(f"{type(self).__name__}()()")

    def __getattr__(self, name: str) -> Any:
        return _attribute(f"{type(self).__name__}()", name)


class Mock:
    """An object that accepts everything."""

    __mocked__ = "mock"

    def __init__(self, name: str) -> None:
        self.__mocked__ = name

    def __getattr__(self, name: str) -> Any:
        found = _attribute(self.__mocked__, name)
        setattr(self, name, found)  # the same attribute is the same object each time
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and isinstance(args[0], _DECORATED):
            return args[0]
        return Mock(f"{self.__mocked__}()")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        # One parent for all mocks of a class, and none where a real parent brings it already:
        # the order of resolution has it once and at the end.
        inherits = any(isinstance(base, type) and issubclass(base, MockBase) for base in bases)
        first = next(base for base in bases if isinstance(base, Mock))
        return (MockBase,) if first is self and not inherits else ()

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Mock | MockBase)

    def __subclasscheck__(self, subclass: type) -> bool:
        return MockBase in subclass.__mro__

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __index__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __contains__(self, item: Any) -> bool:
        return False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def __repr__(self) -> str:
        return f"<mock {self.__mocked__}>"


def _accepting(name: str) -> Any:
    def accept(self: Mock, *_others: Any) -> Mock:
        return Mock(f"{self.__mocked__}.__{name}__()")

    return accept


for _name in (*_BINARY, *(f"r{name}" for name in _BINARY), *_OTHERS):
    setattr(Mock, f"__{_name}__", _accepting(_name))


class MockModule(types.ModuleType):
    """A module whose attributes are mocks."""

    def __getattr__(self, name: str) -> Any:
        found = _attribute(self.__name__, name)
        setattr(self, name, found)
        return found


def _attribute(owner: str, name: str) -> Mock:
    # Python and its libraries ask every object for methods such as `__wrapped__` or `__array__`.
    if name.startswith("__") and name.endswith("__") and name != "__version__":
        raise AttributeError(f"a mock has no `{name}`")
    return Mock(f"{owner}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds mocks for the modules that it has taken over, and everything inside them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._real: dict[str, types.ModuleType] = {}

    def take_over(self, names: list[str]) -> None:
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        self.names += [name for name in names if name not in self.names]
        for name in [name for name in sys.modules if self._covers(name)]:
            if not isinstance(sys.modules[name], MockModule):
                self._real[name] = sys.modules.pop(name)

    def give_back(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in [
            name for name, module in sys.modules.items() if isinstance(module, MockModule)
        ]:
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            if parent in sys.modules and isinstance(
                vars(sys.modules[parent]).get(child), MockModule
            ):
                delattr(sys.modules[parent], child)
        for name, module in self._real.items():
            sys.modules[name] = module
            parent, _, child = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], child, module)
        self.names.clear()
        self._real.clear()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 -- as declared
        target: types.ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if not self._covers(fullname):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return MockModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """A mock has nothing to run."""

    def _covers(self, name: str) -> bool:
        return any(name == mocked or name.startswith(f"{mocked}.") for mocked in self.names)


_FINDER = _Finder()
