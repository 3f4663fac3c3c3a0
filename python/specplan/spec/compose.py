"""Several texts become one value whose parts know where they came from.

Files are laid over each other (`specplan.spec.layers`), then overrides are applied (`specplan.spec.override`), then
`{$: params.x}` is replaced by the value of that parameter, whole. `x-` keys are free.

Paths in `source.path`, `results.dir` and `use: ./file.py:Class` are relative to the file that they are written in, those of overrides to the
spec; they are rewritten to start from the folder of the document.
"""

from __future__ import annotations

import copy
import math
import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from specplan.components.reference import as_file_reference, file_references, names_file
from specplan.errors import SpecError
from specplan.spec.composition import NOTHING_ADDED, Composition
from specplan.spec.defaults import declared
from specplan.spec.diagnostics import Diagnostic, format_path, in_text_order
from specplan.spec.document import Document
from specplan.spec.layers import REFERENCE, Layers, is_reference
from specplan.spec.model import SPEC_VERSION
from specplan.spec.override import Overrides
from specplan.spec.wording import did_you_mean, kind_of, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as FilePath

    from specplan.spec.diagnostics import Path
    from specplan.spec.layers import Layer
    from specplan.spec.source import Source
    from specplan.spec.trace import Trace

_NOT_IN_THE_VALUE = ("imports", "params", "$schema")
LARGEST_INTEGER = 2**53 - 1
"""Plans are canonical JSON, whose numbers are those of float64."""
MOST_COPIES = 1_000_000
"""Values that parameters put in, all together: a list of a million items may be named a million times."""

_PREFIX = "params."


def compose(source: Source, composition: Composition = NOTHING_ADDED) -> Document:
    """Read what `source` imports, lay the files over each other, and put overrides and parameters in.

    Raises:
        SpecError: the text of a file or an override is faulty, an import is missing or circular, or the
            spec is for a newer program.
    """
    layers = Layers()
    overrides = Overrides(composition.overrides, source.folder, declared)
    layer = layers.stacked(source, composition)
    fatal = [*layers.problems, *overrides.problems, *_of_newer_programs(layers.sources)]
    if fatal or any(not isinstance(part.value, dict) for part in layers.sources):
        raise SpecError(in_text_order([*layers.slips, *fatal], source.name))
    layer = overrides.over(layer)
    if composition.settings is not None:
        layer = overrides.set(composition.settings, layer)
    settling = _Settling(layer)
    value, trace = settling.settle()
    _start_paths_from(source.folder, value, trace)
    problems = [*overrides.problems, *settling.problems]
    return Document(
        value=value,
        sources=_first(source, [*layers.sources, *overrides.sources]),
        trace=trace,
        written=settling.written,
        unused_parameters=tuple(settling.unused_parameters(source)),
        problems=tuple(problems or _without_effect(overrides, settling.used)),
        slips=tuple(layers.slips),
    )


def compose_configuration(source: Source, composition: Composition = NOTHING_ADDED) -> Document:
    """The same for a configuration that is no spec: it has no version, no parameters and no free keys.

    A file may name its only import as its `parent`, which is deprecated: `warnings` of the document.

    Raises:
        SpecError: the text of a file or an override is faulty, an import is missing or circular, or an
            override leads nowhere.
    """
    layers = Layers(of_specs=False)
    overrides = Overrides(composition.overrides, source.folder)
    layer = layers.stacked(source, composition)
    if not layers.problems and not overrides.problems:
        layer = overrides.over(layer)
    problems = [*layers.slips, *layers.problems, *overrides.problems]
    if problems:
        raise SpecError(in_text_order([*problems, *layers.warnings], source.name))
    return Document(
        value=copy.deepcopy(layer.value),
        sources=_first(source, [*layers.sources, *overrides.sources]),
        trace=layer.trace,
        written=layer.value,
        warnings=tuple(layers.warnings),
    )


def _first(source: Source, sources: list[Source]) -> tuple[Source, ...]:
    return (source, *(other for other in sources if other is not source))


def _of_newer_programs(sources: list[Source]) -> Iterator[Diagnostic]:
    for source in sources:
        version = source.value.get("specplan") if isinstance(source.value, dict) else None
        if isinstance(version, int) and version > SPEC_VERSION:
            yield Diagnostic(
                code="SP205",
                message=f"specplan {version} is newer than this program reads ({SPEC_VERSION})",
                origin=source.origin(("specplan",), path=("specplan",)),
                hint="install a newer specplan",
            )


def _without_effect(overrides: Overrides, used: set[Path]) -> Iterator[Diagnostic]:
    """Overrides of parameters that nothing refers to: the run would not be the one that was asked for."""
    names = {str(path[1]) for path in used}
    for source, path in overrides.applied:
        met = any(path[: len(target)] == target[: len(path)] for target in used)
        if path[0] == "params" and not met:
            here = format_path(path)
            hint = did_you_mean(str(path[1]), names) if len(path) > 1 else None
            yield Diagnostic(
                code="SP107",
                message=f"nothing in the spec uses `{here}`",
                origin=source.origin(path, path=path, key=True),
                hint=hint or f"a value uses it with `{{$: {here}}}`",
            )


class _Settling:
    """Puts parameters in, takes out what is not part of the spec, and refuses numbers that no plan can hold.

    Attributes:
        written: the value as it was before.
        used: the parameters that were put in.
    """

    def __init__(self, layer: Layer) -> None:
        self.written = layer.value
        self.problems: list[Diagnostic] = []
        self.used: set[Path] = set()
        self._trace = layer.trace
        self._params: dict[str, Any] = {}
        self._put_in: dict[Path, Trace] = {}
        self._copies = 0

    def settle(self) -> tuple[dict[str, Any], Trace]:
        params = self.written.get("params", {})
        if isinstance(params, dict):
            self._params = self._plain_params(params, ("params",)) or {}
        else:
            self._report(("params",), "SP202", f"expected mapping, found {kind_of(params)}")
        value = {key: item for key, item in self.written.items() if key not in _NOT_IN_THE_VALUE}
        settled: dict[str, Any] = self._settled(value, ())
        return settled, self._trace.grafted(self._put_in)

    def unused_parameters(self, source: Source) -> Iterator[Path]:
        """Parameters in the text of `source` that nothing refers to.

        Those of an imported file are for all that import it, some of which may not need them.
        """
        used = {path[1] for path in self.used}
        for name in self._params:
            path: Path = ("params", name)
            if name not in used and self._trace.at(path).source is source:
                yield path

    def _plain_params(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict) and is_reference(value):
            self._report(path, "SP106", "a parameter cannot refer to another parameter")
            return None
        if isinstance(value, dict):
            return {key: self._plain_params(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._plain_params(item, (*path, index)) for index, item in enumerate(value)]
        self._check_number(value, path)
        return value

    def _settled(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            if is_reference(value):
                return self._parameter(value, path)
            return {
                key: self._settled(item, (*path, key))
                for key, item in value.items()
                if not key.startswith("x-")
            }
        if isinstance(value, list):
            return [self._settled(item, (*path, index)) for index, item in enumerate(value)]
        self._check_number(value, path)
        return value

    def _parameter(self, reference: dict[str, Any], path: Path) -> Any:
        target = reference[REFERENCE]
        if len(reference) > 1 or not isinstance(target, str) or not target.startswith(_PREFIX):
            message = "a reference to a parameter is written `{$: params.NAME}`"
            hint = None
            if isinstance(target, str) and target.removeprefix("params").strip(".") in self._params:
                name = target.removeprefix("params").strip(".")
                hint = f"write `{{$: {_PREFIX}{name}}}`"
            self._report(path, "SP106", message, hint=hint)
            return reference
        inner: Path = ("params",)
        value: Any = self._params
        for name in target.removeprefix(_PREFIX).split("."):
            if not isinstance(value, dict) or name not in value:
                self._unknown_parameter(name, value, inner, (*path, REFERENCE))
                return reference
            value, inner = value[name], (*inner, name)
        self.used.add(inner)
        if self._copies > MOST_COPIES:
            return None
        self._copies += _count(value)
        if self._copies > MOST_COPIES:
            self._report(path, "SP003", f"parameters put in more than {MOST_COPIES:,} values")
            return None
        self._put_in[path] = replace(self._trace.at(inner), reference=self._trace.at(path))
        return _without_free_keys(value)

    def _unknown_parameter(self, name: str, value: Any, inner: Path, path: Path) -> None:
        known = sorted(value) if isinstance(value, dict) else []
        where = ".".join(str(part) for part in inner)
        listed = f"`{where}` has {quoted(known)}" if known else f"`{where}` has no parameters"
        hint = did_you_mean(name, known)
        if not known and inner == ("params",):
            hint = f"say it once under `params`: `params: {{{name}: ...}}`"
        self._report(path, "SP106", f"unknown parameter `{name}`; {listed}", hint=hint)

    def _check_number(self, value: object, path: Path) -> None:
        fault = number_fault(value)
        if fault is not None:
            self._report(path, *fault)

    def _report(self, path: Path, code: str, message: str, *, hint: str | None = None) -> None:
        trace = self._trace.at(path)
        origin = trace.source.origin(trace.inner, path=path)
        self.problems.append(Diagnostic(code=code, message=message, origin=origin, hint=hint))


def number_fault(value: object) -> tuple[str, str] | None:
    """Code and message of a number that no plan can hold; None for anything else."""
    if isinstance(value, float) and not math.isfinite(value):
        return "SP004", f"`{value}` is not a finite number"
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        message = f"integer {value} is not exact in a plan, which goes to {LARGEST_INTEGER}"
        return "SP006", message
    return None


def _without_free_keys(value: Any) -> Any:
    """A copy without the keys that begin with `x-`."""
    if isinstance(value, dict):
        return {k: _without_free_keys(v) for k, v in value.items() if not k.startswith("x-")}
    if isinstance(value, list):
        return [_without_free_keys(item) for item in value]
    return value


def _count(value: Any) -> int:
    """Number of values, this one included."""
    if isinstance(value, dict):
        return 1 + sum(map(_count, value.values()))
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1


def _start_paths_from(folder: FilePath, value: dict[str, Any], trace: Trace) -> None:
    """Rewrite relative paths that were written in files of other folders, in place."""

    def rewrite(owner: Any, key: str | int, path: Path) -> None:
        held = isinstance(owner, dict) and key in owner
        listed = isinstance(owner, list) and isinstance(key, int)
        if not (held or listed) or not isinstance(owner[key], str):
            return
        start = trace.at((*path, key)).source.folder
        if start != folder and not PurePath(owner[key]).is_absolute():
            moved = os.path.relpath(start / owner[key], folder)
            owner[key] = moved.replace(os.sep, "/")

    for owner, path in list(file_references(value)):
        rewrite(owner, "use", path)
        owner["use"] = as_file_reference(owner["use"])
    rewrite(value.get("results"), "dir", ("results",))
    code = value.get("code")
    if isinstance(code, dict):
        folders = code.get("pythonpath")
        for index in range(len(folders) if isinstance(folders, list) else 0):
            rewrite(folders, index, ("code", "pythonpath"))
        if isinstance(code.get("pre_experiment"), str) and names_file(code["pre_experiment"]):
            rewrite(code, "pre_experiment", ("code",))
    data = value.get("data")
    if isinstance(data, dict):
        for name, feature_set in data.items():
            if isinstance(feature_set, dict):
                rewrite(feature_set.get("source"), "path", ("data", name, "source"))
