"""Call phases: the function is found by the text of its source. Nothing of it is run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from specplan.components.reference import module_reference, parse
from specplan.errors import CodeError
from specplan.plan.model import Call, Component
from specplan.spec.source import is_folder

if TYPE_CHECKING:
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.unroll import Step
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import CallSpec

SIGNATURE = "write `def run(helper: ExperimentHelper, cfg: Configuration)`"


def call(context: Context, spec: CallSpec, step: Step) -> Call | None:
    """The phase as the plan writes it; None where there is no such function."""
    # Reading source takes modules of Python that most specs do without.
    from specplan.code.definition import defined
    from specplan.code.source import find
    from specplan.plan.passes.own_code import code_of, written_use

    place = (*step.place, "use")
    reference = parse(spec.use)
    if reference is None:
        message = f"`{spec.use}` does not name a function"
        hint = "write `./file.py:function` or `module:function`"
        context.error("SP401", message, place, hint=hint)
        return None
    try:
        source = find(reference, folder=context.folder, pythonpath=context.pythonpath)
        refusal = refused(defined(source).node)
    except CodeError as error:
        context.error(error.code, error.message, place, hint=error.hint)
        return None
    if refusal is not None:
        context.error("SP115", f"`{reference}` {refusal}", place, hint=SIGNATURE)
        return None
    function = Component(
        use=written_use(source), args=spec.config, code=code_of(source, context.folder)
    )
    return Call(
        path=step.path,
        function=function,
        words=spec.args,
        passes=step.passes,
        guards=step.guards,
    )


def check_surroundings(context: Context) -> None:
    """Report folders and code that `code` names and that are not there."""
    for index, folder in enumerate(context.spec.code.pythonpath):
        if not is_folder(context.folder / folder):
            place: Path = ("code", "pythonpath", index)
            context.error("SP110", f"`{folder}` is no folder", place)
    named = context.spec.code.pre_experiment
    if named is not None and not context.damaged(("code",)):
        from specplan.code.source import find

        try:
            find(module_reference(named), folder=context.folder, pythonpath=context.pythonpath)
        except CodeError as error:
            context.error(error.code, error.message, ("code", "pre_experiment"), hint=error.hint)


def refused(definition: ast.AST) -> str | None:
    """Why something cannot be called with a helper and a configuration; None where it can.

    What decorators make of a function is seen when it is loaded.
    """
    if not isinstance(definition, ast.FunctionDef):
        return "is no function"
    declared = definition.args
    if definition.decorator_list or declared.vararg is not None:
        return None
    taken = len(declared.posonlyargs) + len(declared.args)
    if taken == 2 and None not in declared.kw_defaults:
        return None
    return wrong_count(taken + len(declared.kwonlyargs))


def wrong_count(count: int) -> str:
    """What is said of a function with so many parameters."""
    return f"takes {count} parameter{'' if count == 1 else 's'}; it has to take two"
