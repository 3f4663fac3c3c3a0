"""Components that are code of the user: found, and their arguments checked, without importing them."""

from __future__ import annotations

import os
import re
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.code.probe import Failed, Prober, remembered
from specplan.code.signature import FILLED, Parameter, Signature, check_use, signature
from specplan.code.source import Source, find
from specplan.code.trust import refusal
from specplan.components.plugins import plugins
from specplan.components.reference import parse
from specplan.errors import CodeError
from specplan.models.sklearn.table import encode_floats
from specplan.plan.model import Code, Component
from specplan.plan.passes.own_component import OwnCode
from specplan.spec.diagnostics import Label
from specplan.spec.wording import did_you_mean, kind_of, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.code.probe import AnyJob, Known
    from specplan.components import Kind
    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import ComponentSpec


def resolve_own(context: Context, kind: Kind, written: ComponentSpec, path: Path) -> OwnCode | None:
    """The component that `use` names, with its arguments; None where a fault was reported."""
    use: str = written["use"]
    installed = plugins(kind).get(use)
    reference = installed or parse(use)
    assert reference is not None, use
    # What is installed is found where Python finds it, and nothing beside the spec in its place.
    pythonpath = () if installed else context.pythonpath
    try:
        source = find(reference, folder=context.folder, pythonpath=pythonpath)
        declared = signature(source, kind)
        check_use(source, kind)
    except CodeError as error:
        context.error(error.code, error.message, (*path, "use"), hint=error.hint)
        return None
    if context.code.imports != "never" and not (context.code.trust or installed):
        refused = refusal(source.files)
        if refused is not None:
            # Several components may be in the same files.
            if refused not in context.refused:
                context.error(refused.code, refused.message, (*path, "use"), hint=refused.hint)
            context.refused.add(refused)
            return None
    arguments = _Arguments(context, kind, declared, path)
    given = arguments.checked({name: value for name, value in written.items() if name != "use"})
    if given is None:
        return None
    defaults = {
        name: _as_written(parameter, parameter.default)
        for name, parameter in declared.parameters.items()
        if parameter.default is not msgspec.UNSET
    }
    component = Component(
        use=written_use(source), args={**defaults, **given}, code=code_of(source, context.folder)
    )
    return OwnCode(source=source, signature=declared, given=given, component=component)


class _Arguments:
    """Checks what a spec gives to one component."""

    def __init__(self, context: Context, kind: Kind, declared: Signature, path: Path) -> None:
        self._context = context
        self._kind = kind
        self._declared = declared
        self._path = path

    def checked(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """The arguments as the plan writes them; None where one of them is wrong."""
        parameters = self._declared.parameters
        given: dict[str, Any] = {}
        for name, value in arguments.items():
            parameter = parameters.get(name)
            if parameter is None and not self._declared.is_open:
                self._unknown(name)
            elif parameter is None:
                given[name] = encode_floats(value)
            elif self._fits(parameter, value):
                given[name] = _as_written(parameter, value)
        filled = FILLED.get(self._kind, ())
        missing = [
            name
            for name, parameter in parameters.items()
            if parameter.required and name not in arguments and name not in filled
        ]
        if missing:
            message = f"`{self._declared.name}` needs {quoted(missing)}"
            told = [f"{name}: {parameters[name].annotation or 'VALUE'}" for name in missing]
            hint = f"say beside `use`: {quoted(told)}"
            self._context.error(
                "SP204", message, (*self._path, "use"), labels=[self._label()], hint=hint
            )
        return given if len(given) == len(arguments) and not missing else None

    def _label(self, parameter: Parameter | None = None) -> Label:
        origin = self._declared.origin if parameter is None else parameter.origin
        return Label(origin=origin, text="defined here")

    def _unknown(self, name: str) -> None:
        known = self._declared.parameters
        takes = f"it takes {quoted(known)}" if known else "it takes none"
        message = f"`{self._declared.name}` takes no argument `{name}`; {takes}"
        hint = did_you_mean(name, known)
        place = (*self._path, name)
        self._context.error("SP403", message, place, hint=hint, labels=[self._label()], key=True)

    def _fits(self, parameter: Parameter, value: Any) -> bool:
        try:
            msgspec.convert(value, parameter.type)
        except msgspec.ValidationError as error:
            inside = _place(str(error))
            for part in inside:
                value = value[part]
            code, message, hint = _misfit(self._declared.name, parameter, value)
            labels = [self._label(parameter)]
            place = (*self._path, parameter.name, *inside)
            self._context.error(code, message, place, hint=hint, labels=labels)
            return False
        return True


def _place(message: str) -> Path:
    """The keys and indexes in msgspec's words, as far as it tells them: ``... - at `$[0].name` ``."""
    told = message.rpartition(" - at `$")[2].rstrip("`").partition("[...]")[0]
    if " - at `$" not in message:
        return ()
    parts = re.findall(r"\[(\d+)\]|\.([^.\[]+)", told)
    return tuple(int(index) if index else key for index, key in parts)


def _misfit(owner: str, parameter: Parameter, value: Any) -> tuple[str, str, str | None]:
    schema = msgspec.json.schema(parameter.type)
    choices = next(iter(schema.get("$defs", {}).values()), schema).get("enum")
    if choices is not None and isinstance(value, str):
        known = [choice for choice in choices if isinstance(choice, str)]
        listed = ", ".join(str(choice) for choice in choices)
        message = f"`{parameter.name}` of `{owner}` is {shown(value)}; expected one of {listed}"
        return "SP203", message, did_you_mean(value, known)
    message = f"`{parameter.name}` of `{owner}` is `{parameter.annotation}`, found {kind_of(value)}"
    return "SP202", message, None


def _as_written(parameter: Parameter, value: Any) -> Any:
    """`value` as the plan writes it: of the type that the annotation says, 1 and 1.0 told apart."""
    try:
        typed = msgspec.convert(value, parameter.type)
    except msgspec.ValidationError:
        typed = value  # a default may differ from its annotation, as in `size: int = None`
    return encode_floats(msgspec.to_builtins(typed))


def to_run(context: Context, own: OwnCode) -> dict[str, Any]:
    """What a child process has to know of the code that it runs."""
    return {
        "use": str(own.source.reference),
        "folder": str(context.folder),
        "pythonpath": tuple(map(str, context.pythonpath)) if own.source.roots else (),
        "digest": own.source.digest,
        "args": own.component.args,
    }


def answered(
    context: Context,
    job: AnyJob,
    kind: type[Known],
    path: Path,
    *,
    runs: bool,
    enough: Callable[[Known], bool] | None = None,
    title: str = "",
) -> Known | Failed | None:
    """What code gives that the spec names at `path`: remembered, or seen now where it `runs`; else None.

    What is remembered counts where it is `enough`, if that is asked. What fails is reported, with `title` before it.
    """
    known = remembered(job, kind)
    if not runs or (known is not None and (enough is None or enough(known))):
        return known
    context.prober = context.prober or Prober()
    answer = context.prober.run(job, kind)
    if isinstance(answer, Failed):
        context.error(answer.code, f"{title}{answer.message}", (*path, "use"), hint=answer.hint)
    return answer


def needed(
    context: Context, own: OwnCode, job: AnyJob, kind: type[Known], path: Path, *, gives: str
) -> Known | None:
    """What code gives without which there is no plan, as `answered`; None where a fault was reported.

    `gives` says what it is.
    """
    runs = context.code.imports != "never"
    answer = answered(context, job, kind, path, runs=runs)
    if answer is None:
        message = f"the {gives} that `{own.signature.name}` makes are known only by running it"
        context.error("SP605", message, (*path, "use"), hint="use --check-imports")
    return None if isinstance(answer, Failed) else answer


def written_use(source: Source) -> str:
    """`use` as the plan writes it: a file lies in the first of the folders of its code."""
    reference = source.reference
    if not reference.is_file:
        return str(reference)
    return f"./{FilePath(reference.place).name}:{reference.name}"


def code_of(source: Source, folder: FilePath) -> Code:
    """What the plan says of a source; its folders start from `folder`."""
    paths = tuple(FilePath(os.path.relpath(root, folder)).as_posix() for root in source.roots)
    return Code(digest=source.digest, paths=paths)
