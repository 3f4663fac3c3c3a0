"""Imports and parameters: several texts become one value whose parts know where they came from.

`imports: [base.yaml]` lays the file over what it names: imported files first, in order and depth
first, the importing file last. Mappings are merged key by key; everything else, lists and
references to parameters included, is replaced. Paths in `imports`, `source.path` and `results.dir`
are relative to the file that they are written in; those of imported files are rewritten to start
from the folder of the document.

`{$: params.x}` is replaced by the value of that parameter, whole. `x-` keys are free.
"""

from __future__ import annotations

import copy
import math
import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import SpecError
from specplan.spec.diagnostics import Diagnostic, in_text_order
from specplan.spec.document import Document, Places
from specplan.spec.model import SPEC_VERSION, names_file
from specplan.spec.source import Source, displayed, read, similar_file
from specplan.spec.wording import did_you_mean, kind_of, quoted

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from specplan.spec.diagnostics import Path
    from specplan.spec.document import Place

_NOT_IN_THE_VALUE = ("imports", "params", "$schema")
REFERENCE = "$"
LARGEST_INTEGER = 2**53 - 1
"""Plans are canonical JSON, whose numbers are those of float64."""

_PREFIX = "params."


def compose(source: Source) -> Document:
    """Read what `source` imports, merge it, and put the parameters in.

    Raises:
        SpecError: the text of a file is faulty, an import is missing or circular, or the spec is
            for a newer program.
    """
    imports = _Imports()
    layer = imports.layer(source, ())
    if imports.problems:
        raise SpecError(in_text_order(imports.problems, source.name))
    settling = _Settling(layer)
    value = settling.settle()
    _start_paths_from(source.folder, value, settling.places)
    return Document(
        value=value,
        sources=(source, *(other for other in imports.sources if other is not source)),
        places=settling.places,
        references=settling.references,
        problems=tuple(settling.problems),
    )


class _Layer(msgspec.Struct, frozen=True):
    """The value of a file with what it imports."""

    value: dict[str, Any]
    places: Places


class _Imports:
    """Reads files and lays them over each other."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []
        self.sources: list[Source] = []
        self._layers: dict[FilePath, _Layer | None] = {}

    def layer(self, source: Source, importing: tuple[FilePath, ...]) -> _Layer:
        """`source` over its imports; `importing` are the files on the way to it, and itself."""
        self.sources.append(source)
        self.problems += source.problems
        places = Places({(): (source, ())})
        if source.file is not None and not importing:
            importing = (source.file.resolve(),)
        if not isinstance(source.value, dict):
            if not source.problems:
                self._report(
                    source, (), "SP202", f"expected mapping, found {kind_of(source.value)}"
                )
            return _Layer({}, places)
        self._check_version(source)
        result = _Layer({}, places)
        for path, name in self._names(source):
            below = self._imported(source, path, name, importing)
            if below is not None:
                result = _over(result, below)
        return _over(result, _Layer(source.value, places))

    def _names(self, source: Source) -> list[tuple[Path, str]]:
        names = source.value.get("imports", [])
        if not isinstance(names, list):
            self._report(
                source,
                ("imports",),
                "SP202",
                f"expected list of files, found {kind_of(names)}",
                hint="write `imports: [base.yaml]`",
            )
            return []
        valid: list[tuple[Path, str]] = []
        for index, name in enumerate(names):
            path = ("imports", index)
            if isinstance(name, str):
                valid.append((path, name))
            else:
                self._report(
                    source, path, "SP202", f"expected path of a file, found {kind_of(name)}"
                )
        return valid

    def _imported(
        self, source: Source, path: Path, name: str, importing: tuple[FilePath, ...]
    ) -> _Layer | None:
        file = source.folder / name
        resolved = file.resolve()
        if resolved in importing:
            cycle = [*importing[importing.index(resolved) :], resolved]
            chain = " -> ".join(f"`{displayed(step)}`" for step in cycle)
            self._report(source, path, "SP102", f"imports form a cycle: {chain}")
            return None
        if not file.is_file():
            what = "is not a file" if file.exists() else "not found"
            similar = similar_file(file)
            hint = None
            if similar is not None:
                hint = f"did you mean `{PurePath(name).with_name(similar.name)}`?"
            self._report(source, path, "SP101", f"import `{name}` {what}", hint=hint)
            return None
        if resolved not in self._layers:
            try:
                imported = read(file)
            except SpecError as error:
                self.problems += error.diagnostics
                self._layers[resolved] = None
            else:
                self._layers[resolved] = self.layer(imported, (*importing, resolved))
        return self._layers[resolved]

    def _check_version(self, source: Source) -> None:
        version = source.value.get("specplan")
        if isinstance(version, int) and version > SPEC_VERSION:
            self._report(
                source,
                ("specplan",),
                "SP205",
                f"specplan {version} is newer than this program reads ({SPEC_VERSION})",
                hint="install a newer specplan",
            )

    def _report(
        self, source: Source, path: Path, code: str, message: str, *, hint: str | None = None
    ) -> None:
        origin = source.origin(path, path=path)
        self.problems.append(Diagnostic(code=code, message=message, origin=origin, hint=hint))


def _over(base: _Layer, above: _Layer) -> _Layer:
    """`above` laid over `base`."""
    places = dict(above.places.by_path)

    def merged(below: dict[str, Any], over: dict[str, Any], path: Path) -> dict[str, Any]:
        result = {}
        for key in below | over:
            here = (*path, key)
            if key not in over:
                result[key] = below[key]
                places.update(
                    {here + rest: place for rest, place in base.places.below(here).items()}
                )
            elif key in below and _merges(below[key]) and _merges(over[key]):
                result[key] = merged(below[key], over[key], here)
            else:
                result[key] = over[key]
        return result

    return _Layer(merged(base.value, above.value, ()), Places(places))


def _merges(value: object) -> bool:
    return isinstance(value, dict) and REFERENCE not in value


class _Settling:
    """Puts parameters in, takes out what is not part of the spec, and refuses numbers that no plan can hold."""

    def __init__(self, layer: _Layer) -> None:
        self.places = layer.places
        self.references: dict[Path, Place] = {}
        self.problems: list[Diagnostic] = []
        self._value = layer.value
        self._params: dict[str, Any] = {}

    def settle(self) -> dict[str, Any]:
        params = self._value.get("params", {})
        if isinstance(params, dict):
            self._params = self._plain_params(params, ("params",))
        else:
            self._report(("params",), "SP202", f"expected mapping, found {kind_of(params)}")
        value = {key: item for key, item in self._value.items() if key not in _NOT_IN_THE_VALUE}
        settled: dict[str, Any] = self._settled(value, ())
        return settled

    def _plain_params(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict) and REFERENCE in value:
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
            if REFERENCE in value:
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
            self._report(path, "SP106", "a reference to a parameter is written `{$: params.NAME}`")
            return reference
        inner: Path = ("params",)
        value: Any = self._params
        for name in target.removeprefix(_PREFIX).split("."):
            if not isinstance(value, dict) or name not in value:
                self._unknown_parameter(name, value, inner, (*path, REFERENCE))
                return reference
            value, inner = value[name], (*inner, name)
        self.references[path] = self.places.find(path)
        places = self.places.below(inner)
        self.places.by_path.update({path + rest: place for rest, place in places.items()})
        return _without_free_keys(copy.deepcopy(value))

    def _unknown_parameter(self, name: str, value: Any, inner: Path, path: Path) -> None:
        known = sorted(value) if isinstance(value, dict) else []
        where = ".".join(str(part) for part in inner)
        listed = f"`{where}` has {quoted(known)}" if known else f"`{where}` has no parameters"
        self._report(
            path, "SP106", f"unknown parameter `{name}`; {listed}", hint=did_you_mean(name, known)
        )

    def _check_number(self, value: object, path: Path) -> None:
        if isinstance(value, float) and not math.isfinite(value):
            self._report(path, "SP004", f"`{value}` is not a finite number")
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            message = f"integer {value} is not exact in a plan, which goes to {LARGEST_INTEGER}"
            self._report(path, "SP006", message)

    def _report(self, path: Path, code: str, message: str, *, hint: str | None = None) -> None:
        source, inner = self.places.find(path)
        origin = source.origin(inner, path=path)
        self.problems.append(Diagnostic(code=code, message=message, origin=origin, hint=hint))


def _without_free_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_free_keys(v) for k, v in value.items() if not k.startswith("x-")}
    if isinstance(value, list):
        return [_without_free_keys(item) for item in value]
    return value


def _start_paths_from(folder: FilePath, value: dict[str, Any], places: Places) -> None:
    """Rewrite relative paths that were written in files of other folders, in place."""

    def rewrite(owner: Any, key: str | int, path: Path) -> None:
        held = isinstance(owner, list) or (isinstance(owner, dict) and key in owner)
        if not held or not isinstance(owner[key], str):
            return
        source, _ = places.find((*path, key))
        start = source.folder
        if start != folder and not PurePath(owner[key]).is_absolute():
            moved = os.path.relpath(start / owner[key], folder)
            owner[key] = moved.replace(os.sep, "/")

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
