"""Conditions as text, `lambda x: x >= 90`: a small language of our own that looks like Python.

The text is parsed and never run: it may stand in a file of a stranger.
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

LONGEST = 1000
"""Characters of an expression; nothing nests deeply below that."""

_ALLOWED = (
    "comparisons, `in`, `and`, `or`, `not`, + - * / // %, numbers and texts, elements of a row such "
    "as x[0], and abs, len, max, mean, min, sum"
)
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: np.isin,
    ast.NotIn: lambda values, among: ~np.isin(values, among),
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def _over_row(reduce: Callable[..., Any]) -> Callable[[NDArray[Any]], Any]:
    def of_rows(rows: NDArray[Any]) -> Any:
        return reduce(rows.reshape(len(rows), -1), axis=1)

    return of_rows


_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "len": lambda rows: np.full(len(rows), rows.shape[1] if rows.ndim > 1 else 1),
    "max": _over_row(np.max),
    "mean": _over_row(np.mean),
    "min": _over_row(np.min),
    "sum": _over_row(np.sum),
}


class Expression:
    """A condition on a row, `lambda NAME: EXPRESSION`.

    Raises:
        ValueError: the text is no such function, or uses something else than the language has.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"the expression has {len(text)} characters; at most {LONGEST} can be")
        try:
            parsed = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"`{text}` is no expression; write `lambda x: x >= 90`") from None
        if not isinstance(parsed, ast.Lambda) or not _takes_one(parsed.args):
            raise ValueError(f"`{text}` is no function of one row; write `lambda x: x >= 90`")
        self._text = text
        self._name = parsed.args.args[0].arg
        self._body = parsed.body
        self._check(parsed.body)

    def holds(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """For each row whether the condition holds; `rows` is of shape (rows, *shape of one row).

        Raises:
            ValueError: the expression does not fit the rows, or is no condition.
        """
        try:
            with np.errstate(all="ignore"):
                found = self._value(self._body, rows)
        except (TypeError, IndexError, ValueError, ArithmeticError) as error:
            raise ValueError(f"`{self._text}` fails: {error}") from None
        found = np.asarray(found)
        if found.dtype != bool or found.shape not in ((), (len(rows),)):
            raise ValueError(
                f"`{self._text}` gives {found.dtype} {found.shape[1:]} for a row; "
                "a condition is true or false for each"
            )
        return np.broadcast_to(found, (len(rows),))

    def _check(self, node: ast.AST) -> None:
        parts = _parts(node)
        if parts is None or (isinstance(node, ast.Name) and node.id != self._name):
            raise ValueError(
                f"`{self._text}`: `{ast.unparse(node)}` is not allowed; an expression has {_ALLOWED}"
            )
        for part in parts:
            self._check(part)

    def _value(self, node: ast.AST, rows: NDArray[Any]) -> Any:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                values = [self._value(part, rows) for part in (left, *others)]
                pairs = zip(ops, values, values[1:], strict=False)
                return _all(_COMPARE[type(op)](first, second) for op, first, second in pairs)
            case ast.BoolOp(op=op, values=parts):
                joined = np.logical_and if isinstance(op, ast.And) else np.logical_or
                found = self._value(parts[0], rows)
                for part in parts[1:]:
                    found = joined(found, self._value(part, rows))
                return found
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return np.logical_not(self._value(operand, rows))
            case ast.UnaryOp(operand=operand):
                return -self._value(operand, rows)
            case ast.BinOp(left=left, op=op, right=right):
                first, second = self._value(left, rows), self._value(right, rows)
                return _ARITHMETIC[type(op)](_number(first), _number(second))
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return _FUNCTIONS[name](self._value(argument, rows))
            case ast.Subscript(value=value, slice=index):
                return self._value(value, rows)[:, self._value(index, rows)]
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, rows) for part in parts]
            case ast.Name():
                return rows
        assert isinstance(node, ast.Constant)
        return node.value

    def __repr__(self) -> str:
        return f"Expression({self._text!r})"


def _parts(node: ast.AST) -> list[ast.expr] | None:
    """The parts of an expression; None of one that the language does not have."""
    match node:
        case ast.Name() | ast.Constant(value=bool() | int() | float() | str()):
            return []
        case ast.BoolOp(values=values):
            return values
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            return [operand]
        case ast.Compare(left=left, ops=ops, comparators=others):
            return [left, *others] if all(type(op) in _COMPARE for op in ops) else None
        case ast.BinOp(left=left, op=op, right=right):
            return [left, right] if type(op) in _ARITHMETIC else None
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
            return [argument] if name in _FUNCTIONS else None
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return items if all(_is_constant(item) for item in items) else None
        case ast.Subscript(value=value, slice=index):
            return [value] if _is_index(index) else None
    return None


def _is_constant(node: ast.AST) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return isinstance(node.operand, ast.Constant)
    return isinstance(node, ast.Constant)


def _is_index(node: ast.AST) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    return _is_constant(node) and isinstance(inner, ast.Constant) and type(inner.value) is int


def _takes_one(arguments: ast.arguments) -> bool:
    others = (arguments.posonlyargs, arguments.kwonlyargs, arguments.defaults)
    return (
        len(arguments.args) == 1 and not any(others) and not (arguments.vararg or arguments.kwarg)
    )


def _all(conditions: Any) -> Any:
    found: Any = True
    for condition in conditions:
        found = np.logical_and(found, condition)
    return found


def _number(value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{array.dtype} is no number")
    # Integers of a small type would wrap around.
    wide = {"f": np.float64, "u": np.uint64}.get(array.dtype.kind, np.int64)
    return array.astype(wide)
