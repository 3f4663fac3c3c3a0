"""The declared parameters of a class or function of one's own, read from its source."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.code.annotation import annotated_type
from specplan.code.definition import Definition, defined, look_up
from specplan.components.reference import COLUMNS
from specplan.errors import CodeError
from specplan.spec.diagnostics import Origin
from specplan.spec.source import displayed
from specplan.spec.wording import quoted, with_article

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.code.source import Module, Source
    from specplan.components import Kind

Form = Literal["class", "function"]
FORMS: Mapping[Kind, tuple[Form, ...]] = {
    "model": ("class",),
    "loss": ("class", "function"),
    "metric": ("function",),
    "optimizer": ("class",),
    "callback": ("class",),
    "sampler": ("class", "function"),
    "scaler": ("class",),
    "split": ("class", "function"),
    "merge": ("class", "function"),
}
"""What code of each kind can be."""

INPUTS: Mapping[Kind, int] = {
    "model": 0,
    "loss": 2,
    "metric": 2,
    "optimizer": 1,
    "callback": 0,
    "sampler": 3,
    "scaler": 0,
    "split": 2,
    "merge": 1,
}
"""Values that the run gives by place, to a function or an optimizer."""

_GIVEN: Mapping[Kind, tuple[str, ...]] = {
    "loss": ("outputs", "targets"),
    "metric": ("outputs", "targets"),
    "sampler": ("rows", "epoch", "generator"),
    "split": ("rows", "generator"),
    "merge": ("inputs",),
}
"""Names of the values that a function is given."""

FILLED: Mapping[Kind, tuple[str, ...]] = {
    "model": ("input_shape", "output_shape"),
    "merge": ("input_shapes", "output_shape"),
}
"""Parameters that the compiler fills in where a spec leaves them open."""

LEAKS = "leaks"
"""What a spec says of any splitter, and the run reads."""

BASES: Mapping[Kind, str] = {
    "model": "torch.nn.Module",
    "loss": "torch.nn.Module",
    "optimizer": "torch.optim.Optimizer",
    "merge": "torch.nn.Module",
}
"""What a class of each kind is a subclass of, as people write it."""

_METHODS: Mapping[Kind, tuple[str, ...]] = {
    "sampler": ("__call__",),
    "scaler": ("fit", "transform"),
    "split": ("__call__",),
}
"""What a class without any base has to define."""

CLOSEDBASES = ("object", "ABC", "Generic", "Module", "Protocol")
"""Names of bases whose `__init__` takes nothing that a spec could say."""

_DEEPEST = 20


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter.

    Attributes:
        annotation: as it is written; empty where there is none.
        type: what values are checked against; `Any` where the annotation says nothing about JSON.
        default: its default, UNSET where there is none or where it is no literal.
    """

    name: str
    annotation: str
    type: Any
    required: bool
    default: Any
    origin: Origin


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What a class or function can be given by name.

    Attributes:
        is_open: whether it takes more names than can be told from the source.
        inputs: how many values the run itself gives, before all parameters.
        beside: parameters that the run reads, and the code is not given.
    """

    name: str
    form: Form
    parameters: dict[str, Parameter]
    is_open: bool
    inputs: int
    documentation: str
    origin: Origin
    beside: frozenset[str] = frozenset()


def signature(source: Source, kind: Kind) -> Signature:
    """The signature of what a source's reference names, as a component of one kind.

    Raises:
        CodeError: there is no such class or function, or it cannot be a component of this kind.
    """
    definition = defined(source)
    form: Form = "class" if isinstance(definition.node, ast.ClassDef) else "function"
    if form not in FORMS[kind] or isinstance(definition.node, ast.AsyncFunctionDef):
        forms = " or ".join(with_article(each) for each in FORMS[kind])
        what = with_article(form)
        hint = _another_form(source, definition, kind)
        if form in FORMS[kind]:
            what, hint = "an asynchronous function", "write it without `async`"
        message = f"`{source.reference}` is {what}; {with_article(called(kind))} is {forms}"
        raise CodeError("SP406", message, hint)
    given = INPUTS[kind] if form == "function" or kind == "optimizer" else 0
    parameters, is_open = _parameters(source, definition, given, 0)
    if kind in ("sampler", "split"):
        parameters = [_names_for_values(each) for each in parameters]
    beside: frozenset[str] = frozenset()
    if kind == "split" and all(each.name != LEAKS for each in parameters):
        beside = frozenset({LEAKS})
        parameters = [*parameters, _leaks(_origin(definition.module, definition.node))]
    documentation = ast.get_docstring(definition.node) or ""
    return Signature(
        name=definition.name,
        form=form,
        parameters={parameter.name: parameter for parameter in parameters},
        is_open=is_open,
        inputs=given,
        documentation=inspect.cleandoc(documentation),
        origin=_origin(definition.module, definition.node),
        beside=beside,
    )


def _another_form(source: Source, definition: Definition, kind: Kind) -> str:
    """What of the same module is a component of a kind, as far as is seen, or how one is written."""
    module = definition.module
    known = [
        node.name
        for node in module.tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and not node.name.startswith("_")
        and _is_seen_to_be(source, Definition(module, node), kind)
    ]
    if known:
        return f"`{module.file.name}` has {quoted(known)}"
    name = definition.name
    if "class" in FORMS[kind]:
        base = f"({BASES[kind]})" if kind in BASES else ""
        return f"write `class {name[0].upper()}{name[1:]}{base}:`"
    return f"write `def {name}({', '.join(_GIVEN[kind])}):`"


def _is_seen_to_be(source: Source, definition: Definition, kind: Kind) -> bool:
    """Whether the text alone says that a class or function can be a component of a kind."""
    node = definition.node
    if not isinstance(node, ast.ClassDef):
        return "function" in FORMS[kind] and _takes_enough(node, kind)
    if "class" not in FORMS[kind]:
        return False
    bases, methods = _ancestry(source, definition)
    base = "Callback" if kind == "callback" else BASES.get(kind)
    if base is not None:
        return base.rpartition(".")[2] in bases
    return methods.issuperset(_METHODS[kind])


def _ancestry(
    source: Source, definition: Definition, depth: int = 0
) -> tuple[frozenset[str], frozenset[str]]:
    """The names of all bases of a class, and of the methods that it and they define, as far as the source has them."""
    node = definition.node
    bases = frozenset(_last_name(base) for base in getattr(node, "bases", ()))
    methods = frozenset(each.name for each in node.body if isinstance(each, ast.FunctionDef))
    for base in bases:
        inherited = look_up(source, definition.module, base)
        if inherited is not None and depth < _DEEPEST:
            above = _ancestry(source, inherited, depth + 1)
            bases, methods = bases | above[0], methods | above[1]
    return bases, methods


def check_use(source: Source, kind: Kind) -> None:
    """Refuse what can be seen, without importing it, to be no component of this kind.

    Raises:
        CodeError: a class without any base is to be one of torch, or lacks what is called; or a function
            takes fewer values than the run gives.
    """
    node = defined(source).node
    if isinstance(node, ast.ClassDef):
        _check_class(source, node, kind)
        return
    if not _takes_enough(node, kind):
        taken = len(node.args.posonlyargs) + len(node.args.args)
        message = (
            f"`{source.reference}` takes {taken} value{'' if taken == 1 else 's'} by place; "
            f"{with_article(called(kind))} is called with {' and '.join(_GIVEN[kind])}"
        )
        named = ", ".join(_GIVEN[kind])
        raise CodeError("SP406", message, hint=f"write `def {node.name}({named}):`")


def _takes_enough(node: ast.FunctionDef | ast.AsyncFunctionDef, kind: Kind) -> bool:
    taken = len(node.args.posonlyargs) + len(node.args.args)
    return taken >= INPUTS[kind] or node.args.vararg is not None


def _check_class(source: Source, node: ast.ClassDef, kind: Kind) -> None:
    if node.bases or node.keywords:
        return
    base = BASES.get(kind)
    if base is not None and not node.decorator_list:
        message = f"`{source.reference}` is not {with_article(called(kind))}: it has no base class"
        raise CodeError("SP406", message, hint=f"write `class {node.name}({base}):`")
    defined_here = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    for method in _METHODS.get(kind, ()):
        if method not in defined_here:
            what = f"`{source.reference}` is not {with_article(called(kind))}"
            given = ", ".join(("self", *(_GIVEN.get(kind) or ("rows",))))
            hint = f"write `def {method}({given}):` in it"
            raise CodeError("SP406", f"{what}: it has no method `{method}`", hint=hint)


def called(kind: Kind) -> str:
    """What people call a kind."""
    return "splitter" if kind == "split" else kind


def _leaks(origin: Origin) -> Parameter:
    return Parameter(
        name=LEAKS,
        annotation="Literal['warn', 'allow']",
        type=Literal["warn", "allow"],
        required=False,
        default="warn",
        origin=origin,
    )


def _names_for_values(parameter: Parameter) -> Parameter:
    """A parameter as a spec gives it: of values that are given, the names of the columns."""
    if parameter.name != COLUMNS:
        return parameter
    return msgspec.structs.replace(
        parameter, type=str | tuple[str, ...], annotation="names of columns"
    )


def _parameters(
    source: Source, definition: Definition, given: int, depth: int
) -> tuple[list[Parameter], bool]:
    node = definition.node
    if not isinstance(node, ast.ClassDef):
        return _of_function(source, definition.module, node, given)
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _of_function(source, definition.module, statement, given + 1)
    if _is_dataclass(node):
        return _of_dataclass(source, definition, depth)
    for base in node.bases:
        name = _last_name(base)
        if name in CLOSEDBASES:
            continue
        inherited = look_up(source, definition.module, name)
        if inherited is None or depth > _DEEPEST:
            return [], True
        return _parameters(source, inherited, given, depth + 1)
    return [], False


def _of_function(
    source: Source, module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef, given: int
) -> tuple[list[Parameter], bool]:
    positional = [*node.args.posonlyargs, *node.args.args]
    absent: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults))
    defaults = [*absent, *node.args.defaults]
    first = max(given, len(node.args.posonlyargs))
    pairs = [
        *zip(positional[first:], defaults[first:], strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    parameters = [
        _parameter(source, module, argument, argument.arg, argument.annotation, default)
        for argument, default in pairs
    ]
    return parameters, node.args.kwarg is not None


def _of_dataclass(
    source: Source, definition: Definition, depth: int
) -> tuple[list[Parameter], bool]:
    node = definition.node
    assert isinstance(node, ast.ClassDef)
    found: dict[str, Parameter] = {}
    is_open = False
    for base in reversed(node.bases):
        inherited = look_up(source, definition.module, _last_name(base))
        if inherited is not None and depth <= _DEEPEST:
            parameters, opened = _parameters(source, inherited, 0, depth + 1)
            found |= {parameter.name: parameter for parameter in parameters}
            is_open = is_open or opened
    for name, annotation, value in _fields(node):
        is_field = isinstance(value, ast.Call) and _last_name(value.func) == "field"
        default = _field_default(value) if is_field else value
        found[name] = _parameter(source, definition.module, annotation, name, annotation, default)
    return list(found.values()), is_open


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr, ast.expr | None]]:
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        value = statement.value
        keywords = value.keywords if isinstance(value, ast.Call) else []
        hidden = any(
            word.arg == "init" and isinstance(word.value, ast.Constant) and not word.value.value
            for word in keywords
        )
        if "ClassVar" not in ast.unparse(statement.annotation) and not hidden:
            yield statement.target.id, statement.annotation, value


def _field_default(call: ast.expr | None) -> ast.expr | None:
    """The default in `field(default=...)`; a factory is there, but its value is not known."""
    assert isinstance(call, ast.Call)
    by_name = {word.arg: word.value for word in call.keywords}
    return by_name.get("default", by_name.get("default_factory"))


def _parameter(
    source: Source,
    module: Module,
    node: ast.expr | ast.arg,
    name: str,
    annotation: ast.expr | None,
    default: ast.expr | None,
) -> Parameter:
    found = annotated_type(source, module, annotation)
    value = msgspec.UNSET if default is None else _literal(default)
    return Parameter(
        name=name,
        annotation="" if annotation is None else ast.unparse(annotation).strip("'\""),
        type=found,
        required=default is None,
        default=value,
        origin=_origin(module, node),
    )


def _literal(node: ast.expr) -> Any:
    """The value of a literal that JSON can write; UNSET for anything else."""
    try:
        value = ast.literal_eval(node)
        msgspec.json.encode(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return msgspec.UNSET
    return msgspec.UNSET if isinstance(value, bytes | set | frozenset | complex) else value


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any(
        _last_name(decorator.func if isinstance(decorator, ast.Call) else decorator) == "dataclass"
        for decorator in node.decorator_list
    )


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(value=owner):
            return _last_name(owner)
    return ""


def _origin(module: Module, node: ast.expr | ast.arg | ast.stmt) -> Origin:
    line, column = node.lineno, node.col_offset
    end_line, end = node.end_lineno or line, node.end_col_offset or column + 1
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        keyword = "class " if isinstance(node, ast.ClassDef) else "def "
        column, end_line = column + len(keyword), line
        end = column + len(node.name)
    text = module.text.split("\n")[line - 1].encode()
    # ast counts bytes of UTF-8, a diagnostic counts characters.
    return Origin(
        file=displayed(module.file),
        line=line,
        column=len(text[:column].decode(errors="replace")) + 1,
        end_line=line,
        end_column=len(text[: end if end_line == line else len(text)].decode(errors="replace")) + 1,
    )
