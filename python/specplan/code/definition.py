"""Where in a source a name is defined, followed through imports and found without running anything."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import msgspec

from specplan.code.source import origin_of
from specplan.errors import CodeError
from specplan.spec.source import displayed
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.code.source import Module, Source

Statement = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_DEEPEST = 20


class Definition(msgspec.Struct, frozen=True, eq=False):
    """A class or function, and the module whose text it is in."""

    module: Module
    node: Statement

    @property
    def name(self) -> str:
        """Its own name, without those of the classes around it."""
        return self.node.name


def defined(source: Source) -> Definition:
    """The class or function that the source's reference names.

    Raises:
        CodeError: the module has no such class or function.
    """
    module = source.modules[source.module]
    first, *rest = source.reference.name.split(".")
    found = look_up(source, module, first)
    for name in rest:
        inner = _in_body(found.node.body, name) if isinstance(found, Definition) else None
        found = Definition(found.module, inner) if found and inner else None
    if found is not None:
        return found
    known = [node.name for node in _statements(module.tree.body) if isinstance(node, Statement)]
    public = [name for name in known if not name.startswith("_")]
    has = f"it has {quoted(public)}" if public else "it has none"
    message = (
        f"`{displayed(module.file)}` has no class or function `{source.reference.name}`; {has}"
    )
    raise CodeError("SP401", message, did_you_mean(source.reference.name, public))


def look_up(source: Source, module: Module, name: str, depth: int = 0) -> Definition | None:
    """What `name` means in `module`, as far as the source itself defines it."""
    if depth > _DEEPEST:
        return None
    found: Definition | None = None
    for node in _statements(module.tree.body):
        if isinstance(node, Statement) and node.name == name:
            found = Definition(module, node)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*" or (alias.asname or alias.name) == name:
                    wanted = name if alias.name == "*" else alias.name
                    other = source.modules.get(origin_of(module, node))
                    imported = other and look_up(source, other, wanted, depth + 1)
                    found = imported or found
    return found


def assigned(module: Module, name: str) -> ast.expr | None:
    """The value that a module gives to `name`, such as a type alias."""
    for node in _statements(module.tree.body):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                return value
            case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name:
                return value
    return None


def _in_body(body: Sequence[ast.stmt], name: str) -> Statement | None:
    found = [node for node in _statements(body) if isinstance(node, Statement)]
    return next((node for node in reversed(found) if node.name == name), None)


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, with those under `if`, `try` and `with`."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _statements(node.body)
            yield from _statements(getattr(node, "orelse", []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)
