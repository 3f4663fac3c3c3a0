"""Code of the user becomes Python objects: the one place that imports what a spec names.

The modules are those of the `Source`, made from the text that was read, hashed and trusted. So neither a
compiled file beside it nor a text that changed since can come in its place, and `sys.path` stays as it is.
What lies in installed packages is imported as Python does it.
"""

from __future__ import annotations

import enum
import importlib
import importlib.abc
import importlib.machinery
import linecache
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import CodeError
from specplan.spec.source import displayed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from types import ModuleType

    from specplan.code.signature import Parameter, Signature
    from specplan.code.source import Module, Source

_LOADED: dict[tuple[str, str, str], Mapping[str, ModuleType]] = {}
# A class that two plans name is one class: torch and isinstance tell copies apart.


def load(source: Source) -> Any:
    """The object that a source's reference names. Runs the code of its modules, once in a process.

    Raises:
        CodeError: the code does not define it.
    """
    return _named(source, _modules(source)[source.module])


def _named(source: Source, module: Any) -> Any:
    found = module
    for name in source.reference.name.split(".") if source.reference.name else ():
        found = getattr(found, name, None)
    if found is None:
        message = f"`{source.reference}`: the module ran and has no `{source.reference.name}`"
        raise CodeError("SP401", message)
    return found


def load_anew(sources: Sequence[Source]) -> Generator[Any, None, None]:
    """What each of several sources names, its module where it names nothing in it, one after the other.

    Their modules are those of one program: what one of them has set, the next finds. What was loaded of
    them before is run again.

    Raises:
        CodeError: the code does not define it.
    """
    own = {
        name: module
        for source in sources
        if source.roots
        for name, module in source.modules.items()
    }
    with _served(own):
        for source in sources:
            yield _named(source, importlib.import_module(source.module))


def place_of(error: BaseException, source: Source) -> str:
    """The innermost line of the user's code that an exception came through, as `file:line`."""
    names = {str(module.file): displayed(module.file) for module in source.modules.values()}
    place = displayed(source.modules[source.module].file)
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file in names:
            place = f"{names[file]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def keywords(source: Source, signature: Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a plan as the code wants them: tuples and members of enumerations by annotation.

    What equals the default is left to the code, which has it in its own type.
    """
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        parameter = signature.parameters.get(name)
        if name in signature.beside:
            continue
        if parameter is None:
            given[name] = value
        elif not _is_default(parameter, value):
            given[name] = _member(source, msgspec.convert(value, parameter.type))
    return given


def _is_default(parameter: Parameter, value: Any) -> bool:
    known = parameter.default is not msgspec.UNSET
    return known and _lists(parameter.default) == value


def _lists(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def _member(source: Source, value: Any) -> Any:
    """The member of the real enumeration, where `value` is one of its image."""
    if not isinstance(value, enum.Enum):
        return value
    image = type(value)
    module = _modules(source).get(image.__module__)
    return value.value if module is None else getattr(module, image.__qualname__)(value.value)


def _modules(source: Source) -> Mapping[str, ModuleType]:
    key = (source.module, source.digest, str(source.modules[source.module].file))
    if key not in _LOADED:
        _LOADED[key] = _imported(source)
    return _LOADED[key]


def _imported(source: Source) -> Mapping[str, ModuleType]:
    if not source.roots:
        importlib.import_module(source.module)
        return sys.modules
    with _served(source.modules):
        importlib.import_module(source.module)
        return {name: sys.modules[name] for name in source.modules if name in sys.modules}


@contextmanager
def _served(modules: Mapping[str, Module]) -> Iterator[None]:
    """Let these modules be imported, whatever else has their names."""
    finder = _Finder(modules)
    names = {*modules, *finder.packages}
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in before.items():
            if not isinstance(getattr(module, "__loader__", None), _Loader):
                sys.modules[name] = module
    # A function may import one of them only when it is called.
    sys.meta_path.append(finder)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of one source."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        parts = [name.split(".") for name in modules]
        around = {".".join(names[:length]) for names in parts for length in range(1, len(names))}
        self.packages = around - modules.keys()

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in self.packages:
            return importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        module = self._modules.get(fullname)
        if module is None:
            return None
        return importlib.machinery.ModuleSpec(
            fullname, _Loader(module), origin=str(module.file), is_package=module.is_package
        )


class _Loader(importlib.abc.InspectLoader):
    """Runs the text of one module."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def get_source(self, fullname: str) -> str:  # noqa: ARG002 -- one loader, one module
        return self._module.text

    def is_package(self, fullname: str) -> bool:  # noqa: ARG002
        return self._module.is_package

    def exec_module(self, module: ModuleType) -> None:
        file = str(self._module.file)
        module.__file__ = file
        lines = self._module.text.splitlines(keepends=True)
        linecache.cache[file] = (len(self._module.text), None, lines, file)
        exec(compile(self._module.text, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 -- the user trusts it
