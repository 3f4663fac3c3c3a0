"""Call phases: the function that is called is found by the text of its source, and nothing of it is run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from specplan.code.definition import defined
from specplan.code.reference import parse
from specplan.code.source import find
from specplan.errors import CodeError
from specplan.plan.model import Call

if TYPE_CHECKING:
    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import CallSpec


def call(context: Context, spec: CallSpec, path: Path, label: str) -> Call | None:
    """The phase as the plan writes it; None where there is no such function."""
    place = (*path, "use")
    reference = parse(spec.use)
    if reference is None:
        message = f"`{spec.use}` does not name a function"
        hint = "write `./file.py:function` or `module:function`"
        context.error("SP401", message, place, hint=hint)
        return None
    folders = [context.folder / folder for folder in context.spec.code.pythonpath]
    try:
        source = find(reference, folder=context.folder, pythonpath=folders)
        node = defined(source).node
    except CodeError as error:
        context.error(error.code, error.message, place, hint=error.hint)
        return None
    refusal = refused_signature(node)
    if refusal is not None:
        context.error("SP115", f"`{reference}` {refusal}", place, hint=SIGNATURE)
        return None
    return Call(
        path=label,
        use=reference.place,
        function=reference.name,
        digest=source.digest,
        config=spec.config,
        args=spec.args,
    )


SIGNATURE = "write `def run(helper: ExperimentHelper, cfg: Configuration)`"


def refused_signature(node: ast.AST) -> str | None:
    """Why a definition cannot be called with a helper and a configuration; None where it can.

    What decorators make of a function is seen when it is loaded.
    """
    if not isinstance(node, ast.FunctionDef):
        return "is no function"
    if node.decorator_list or node.args.vararg is not None:
        return None
    taken = len(node.args.posonlyargs) + len(node.args.args)
    needed = sum(default is None for default in node.args.kw_defaults)
    if taken == 2 and not needed:
        return None
    count = taken + len(node.args.kwonlyargs)
    return f"takes {count} parameter{'' if count == 1 else 's'}; it has to take two"
