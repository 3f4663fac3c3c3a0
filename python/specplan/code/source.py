"""The text of a class or function of one's own, and of all that a run of it executes. Imports nothing."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import sys
import tokenize
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from specplan.errors import CodeError
from specplan.spec.source import displayed, is_file, is_folder
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.components.reference import Reference

LARGEST_FILE = 2**20
MOST_FILES = 500

# A file that a spec names may be called like a module that others import, as `random.py`.
FILES = "_specplan_files"
_LAYOUT = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


class Module(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One file of Python."""

    name: str
    file: Path
    text: str
    tree: ast.Module
    is_package: bool


class Source(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where a reference leads.

    Attributes:
        module: name of the module that the reference names.
        modules: that module and every other below the same folders that importing it may import.
        roots: the folders in which those are looked for; none for an installed package, of which only
            what lies in the package itself counts.
        digest: of the texts of all modules, without comments and layout.
    """

    reference: Reference
    module: str
    modules: dict[str, Module]
    roots: tuple[Path, ...]
    digest: str

    @property
    def files(self) -> list[Path]:
        """The files of all modules, without links in their paths."""
        return [module.file.resolve() for module in self.modules.values()]


def find(reference: Reference, *, folder: Path, pythonpath: Sequence[Path]) -> Source:
    """Read what `reference` names and what that imports.

    Args:
        folder: where the path of a file starts.
        pythonpath: where modules are looked for before the installed packages.

    Raises:
        CodeError: there is no such module or file, or one of the files is no Python.
    """
    if reference.is_file:
        file = folder / reference.place
        if not is_file(file):
            raise _missing_file(reference, file)
        roots = tuple(dict.fromkeys([file.parent, *pythonpath]))
        closure = _Closure(roots)
        module = f"{FILES}.{re.sub(r'[^A-Za-z0-9_]', '_', file.stem)}"
        closure.add_file(module, file, is_package=False)
    else:
        module = reference.place
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            message = f"`{reference}`: `{top}` belongs to Python, which has no components of a spec"
            hint = f"a module of yours is called so? Name its file, `./{module.replace('.', '/')}.py:{reference.name}`"
            raise CodeError("SP406", message, hint)
        roots = tuple(pythonpath)
        closure = _Closure(roots)
        if not closure.add(module):
            closure = _Closure(tuple(Path(entry or ".") for entry in sys.path), only=top)
            if not closure.add(module):
                raise _missing_module(module, roots)
            roots = ()
    modules = closure.closed()
    return Source(
        reference=reference, module=module, modules=modules, roots=roots, digest=_digest(modules)
    )


class _Closure:
    """Gathers modules below `roots`, of the package `only` where one is given."""

    def __init__(self, roots: tuple[Path, ...], *, only: str | None = None) -> None:
        self._roots = roots
        self._only = only
        self._modules: dict[str, Module] = {}
        self._waiting: list[Module] = []

    def add(self, name: str) -> bool:
        """Take in a module and the packages around it; whether it is there."""
        parts = name.split(".")
        if parts[0] in sys.stdlib_module_names or self._only not in (None, parts[0]):
            return False
        for length in range(1, len(parts) + 1):
            around = ".".join(parts[:length])
            if around not in self._modules:
                self._look_for(around, parts[:length])
        return name in self._modules

    def add_file(self, name: str, file: Path, *, is_package: bool) -> None:
        """Take in the module in a file."""
        if len(self._modules) == MOST_FILES:
            message = f"`{next(iter(self._modules))}` imports more than {MOST_FILES} files"
            hint = (
                "name a class of your own that makes it, such as `./nets.py:Net`, or keep what a "
                "spec names in a small package"
            )
            raise CodeError("SP408", message, hint)
        text = _text(file)
        module = Module(
            name=name, file=file, text=text, tree=_tree(file, text), is_package=is_package
        )
        self._modules[name] = module
        self._waiting.append(module)

    def closed(self) -> dict[str, Module]:
        """All modules, once what they import has been taken in."""
        while self._waiting:
            for name in imported(self._waiting.pop()):
                self.add(name)
        return dict(sorted(self._modules.items()))

    def _look_for(self, name: str, parts: list[str]) -> None:
        for root in self._roots:
            base = root.joinpath(*parts)
            if is_file(base / "__init__.py"):
                self.add_file(name, base / "__init__.py", is_package=True)
                return
            if is_file(base.with_name(f"{parts[-1]}.py")):
                self.add_file(name, base.with_name(f"{parts[-1]}.py"), is_package=False)
                return


def imported(module: Module) -> Iterator[str]:
    """Names of modules that `module` imports somewhere; of `from a import b`, both `a` and `a.b`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = origin_of(module, node)
            if base:
                yield base
                for alias in node.names:
                    yield f"{base}.{alias.name}"


def origin_of(module: Module, node: ast.ImportFrom) -> str:
    """The absolute name of the module that a `from ... import` names; empty above the top."""
    if node.level == 0:
        return node.module or ""
    parts = module.name.split(".")
    around = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*around, *([node.module] if node.module else [])]) if around else ""


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise CodeError("SP408", f"`{displayed(file)}` is larger than {LARGEST_FILE} bytes")
        return importlib.util.decode_source(file.read_bytes())
    except OSError as error:
        message = f"`{displayed(file)}` cannot be read: {error.strerror}"
        raise CodeError("SP408", message) from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise CodeError("SP408", f"`{displayed(file)}` is not text: {error}") from error


def _tree(file: Path, text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns when it runs the code
            return ast.parse(text)
    except SyntaxError as error:
        message = f"`{displayed(file)}` is not Python: {error.msg}, line {error.lineno}"
    except (ValueError, RecursionError, MemoryError):
        message = f"`{displayed(file)}` is not Python that can be read"
    raise CodeError("SP408", message)


def _digest(modules: dict[str, Module]) -> str:
    hasher = blake3()
    for name, module in modules.items():
        text = _without_layout(module.text).encode()
        hasher.update(f"{name}\n{len(text)}\n".encode())
        hasher.update(text)
    return f"b3:{hasher.hexdigest()}"


def _without_layout(text: str) -> str:
    """Without comments, blank lines and spaces at the end of lines.

    By tokens and not by `ast.dump`, which another version of Python writes in another way.
    """
    lines = text.split("\n")
    verbatim: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        (row, column), (last, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column]
        elif last > row and token.type not in _LAYOUT:
            verbatim.update(range(row - 1, last - 1))
    kept = [
        line if index in verbatim else line.rstrip()
        for index, line in enumerate(lines)
        if index in verbatim or line.strip()
    ]
    return "\n".join(kept)


def _missing_file(reference: Reference, file: Path) -> CodeError:
    names = _names_in(file.parent, "*.py")
    near = did_you_mean(file.name, [f"{name}.py" for name in names])
    what = "is a folder" if is_folder(file) else "not found"
    where = f"in `{displayed(file.parent)}`"
    return CodeError("SP402", f"file `{reference.place}` {what}, {where}", near)


def _missing_module(name: str, roots: Sequence[Path]) -> CodeError:
    first, _, rest = name.partition(".")
    known = {known for root in roots for known in [*_names_in(root, "*.py"), *_packages(root)]}
    hint = did_you_mean(first, sorted(known - {first}))
    package = next((root / first for root in roots if is_folder(root / first)), None)
    if rest and package is not None:
        hint = did_you_mean(name, [f"{first}.{inner}" for inner in _names_in(package, "*.py")])
    if name.endswith(".py"):
        hint = f"a file is written `./{name}:...`"
    searched = [*([quoted(map(displayed, roots))] if roots else []), "the installed packages"]
    return CodeError("SP402", f"module `{name}` not found; searched {' and '.join(searched)}", hint)


def _names_in(folder: Path, pattern: str) -> list[str]:
    return sorted(file.stem for file in folder.glob(pattern)) if is_folder(folder) else []


def _packages(folder: Path) -> list[str]:
    if not is_folder(folder):
        return []
    named = (path.parent.name for path in folder.glob("*/*.py"))
    return sorted({name for name in named if re.fullmatch(r"[A-Za-z_]\w*", name)})
