"""Plans as files: canonical JSON with an id that is the hash of what the plan means."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import rfc8785
from blake3 import blake3

from specplan.base.files import write_atomically
from specplan.components.reference import as_file_reference, file_references, names_file
from specplan.errors import PlanError
from specplan.plan.model import PLAN_VERSION, Compiled, Plan, is_plan
from specplan.plan.upgrade import completed, upgraded
from specplan.spec.diagnostics import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = ("id", "experiment", "results", "code", "checkpoint")
"""Parts of a plan that change no result: they are left out of its id."""
_SOURCE_NAMES = ("path", "name")
# Made with the module: msgspec crashes where two threads are the first to decode a type.
_PLAN = msgspec.json.Decoder(Plan)


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a map."""

    file: str
    line: int
    column: int


_MAP = msgspec.json.Decoder(dict[str, _Place])


def plain(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, without fields that have their default."""
    value: dict[str, Any] = _without_defaults(plan)
    return {**value, "plan": plan.plan}


def plan_bytes(plan: Plan) -> bytes:
    """The plan as RFC 8785 canonical JSON."""
    return rfc8785.dumps(plain(plan))


def canonical(plan: Plan) -> Plan:
    """The plan as it is read back from its file, with its id: order of keys and all."""
    named = msgspec.structs.replace(plan, id=plan_id(plan))
    return _PLAN.decode(plan_bytes(named))


def plan_id(plan: Plan) -> str:
    """`b3:` and the BLAKE3 of the canonical plan without what does not change a result.

    Left out are the id itself, the names of the experiment, where and how results are written, what surrounds
    code of the user, and where a source or code of the user is found; what is there is in, by its digest.
    """
    return id_of_written(plain(plan))


def id_of_written(value: dict[str, Any]) -> str:
    """The id of the plain value of a plan of any version, as it was written; what is no plan has one as well."""
    meaning = {key: item for key, item in value.items() if key not in NAMES}
    if isinstance(value.get("data"), dict):
        meaning["data"] = {label: _without_names(data) for label, data in value["data"].items()}
    return f"b3:{blake3(rfc8785.dumps(_without_places(meaning))).hexdigest()}"


def _without_places(value: Any) -> Any:
    """Without the folders of code of the user, and the size of models, which is known only where one was run."""
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if not isinstance(value, dict):
        return value
    rest = {key: item if key == "args" else _without_places(item) for key, item in value.items()}
    if "use" in rest and isinstance(rest.get("code"), dict):
        rest["code"] = {key: item for key, item in rest["code"].items() if key != "paths"}
    component = rest.get("component")
    if isinstance(component, dict) and "code" in component:
        rest.pop("parameters", None)
        rest.pop("flops", None)
        rest.pop("uncountable", None)
    return rest


def _without_names(data: Any) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get("source"), dict):
        return data
    source = {key: item for key, item in data["source"].items() if key not in _SOURCE_NAMES}
    return {**data, "source": source}


def _without_defaults(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {} if config.tag_field is None else {config.tag_field: config.tag}
        fields = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
        return tag | {
            name: _without_defaults(item) for name, item, default in fields if item != default
        }
    if isinstance(value, dict):
        return {key: _without_defaults(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_without_defaults(item) for item in value]
    return value


@functools.cache
def _defaults(part: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    """The name of each field, with its default or what equals nothing."""
    return tuple(
        (
            field.name,
            field.default
            if field.default_factory is msgspec.NODEFAULT
            else field.default_factory(),
        )
        for field in msgspec.structs.fields(part)
    )


def _own_components(value: Any) -> Iterator[dict[str, Any]]:
    """The components in a plain plan that are code of the user."""
    if isinstance(value, dict):
        if value.get("code") and "use" in value:
            yield value
        for key, item in value.items():
            if key != "args":
                yield from _own_components(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _own_components(item)


def write_plan(compiled: Compiled, path: Path) -> None:
    """Write the plan atomically, its relative paths rewritten to start from the folder of `path`."""
    folder = path.parent.resolve()
    moved = moved_plan(compiled.plan, compiled.folder, folder)
    write_atomically(path, plan_bytes(moved))


def write_map(compiled: Compiled, path: Path) -> None:
    """Write, beside the plan at `path`, where its spec says what it holds: `plan.map.json`.

    Keys are JSON pointers into the plan; files are relative to the folder of the plan. Parts that a
    Python program gave have no place; the file of those that an override gave is `-c`.
    """
    folder = path.parent.resolve()
    places: dict[str, Any] = {
        pointer: {
            "file": origin.file if origin.text is not None else _relative(origin.file, folder),
            "line": origin.line,
            "column": origin.column,
        }
        for pointer, origin in compiled.origins.items()
        if origin.file is not None
    }
    if places:
        write_atomically(path.with_suffix(".map.json"), rfc8785.dumps(places))


def write_spec(compiled: Compiled, path: Path) -> None:
    """Write the composed spec as JSON, its relative paths rewritten to start from the folder of `path`.

    Does nothing for a plan that was read from a file: it has no spec.
    """
    if compiled.spec is None:
        return
    before, folder = compiled.folder.resolve(), path.parent.resolve()
    spec = msgspec.to_builtins(compiled.spec)
    sources = [data["source"] for data in spec["data"].values()]
    for owner, key in (*((source, "path") for source in sources), (spec["results"], "dir")):
        if owner.get(key) is not None:
            owner[key] = _moved(owner[key], before, folder)
    for owner, _ in file_references(spec):
        owner["use"] = as_file_reference(_moved(owner["use"], before, folder))
    code = spec["code"]
    code["pythonpath"] = [_moved(text, before, folder) for text in code["pythonpath"]]
    if code["pre_experiment"] is not None and names_file(code["pre_experiment"]):
        code["pre_experiment"] = _moved(code["pre_experiment"], before, folder)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(spec), indent=2) + b"\n")


def read_plan(path: Path) -> Compiled:
    """Read a plan file. What an older program wrote becomes a plan of the present version, with its own id.

    Raises:
        PlanError: it is missing, is no plan, is newer than this program, or was changed after it was
            written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PlanError(f"{path}: is not JSON: {error}") from error
    if not is_plan(value):
        raise PlanError(f"{path}: is not a plan; a plan has the keys `plan` and `id`")
    if not 1 <= value["plan"] <= PLAN_VERSION:
        raise PlanError(_unknown_version(path, value["plan"]))
    try:
        found = id_of_written(value)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise PlanError(f"{path}: is not a valid plan: {error}") from error
    if found != value["id"]:
        raise PlanError(
            f"{path}: the contents do not match the id; a plan cannot be edited, "
            "change the spec and compile it again"
        )
    try:
        plan = canonical(completed(msgspec.convert(upgraded(value), Plan)))
    except msgspec.ValidationError as error:
        # Its id is right, so that nobody edited it.
        raise PlanError(
            f"{path}: this program cannot read it: {error}\n"
            "hint: a newer specplan may have written it"
        ) from error
    return Compiled(plan=plan, folder=path.parent, written_id=value["id"], origins=_read_map(path))


def _unknown_version(path: Path, version: int) -> str:
    message = f"{path}: is a plan of version {version}, this program reads 1 to {PLAN_VERSION}"
    if version > PLAN_VERSION:
        message += "\nhint: a newer specplan wrote it"
    return message


def pointer_to(*parts: str) -> str:
    """JSON pointer to a part of a plan."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _read_map(path: Path) -> dict[str, Origin]:
    """What the map beside a plan says; nothing where there is none, or none that can be read.

    The map only tells where messages point to, and a plan is whole without it.
    """
    beside = path.with_suffix(".map.json")
    try:
        places = _MAP.decode(beside.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return {
        pointer: Origin(
            file=os.path.relpath(path.parent / place.file), line=place.line, column=place.column
        )
        for pointer, place in places.items()
    }


def _relative(file: str, folder: Path) -> str:
    return Path(os.path.relpath(Path(file).resolve(), folder)).as_posix()


def _moved(text: str, before: Path, after: Path) -> str:
    if Path(text).is_absolute():
        return text
    return Path(os.path.relpath(before / text, after)).as_posix()


def moved_plan(plan: Plan, before: Path, after: Path) -> Plan:
    """A plan whose relative paths start at the folder `before` with paths that start at `after`."""
    return _with_paths(plan, lambda text: _moved(text, before.resolve(), after.resolve()))


def _with_paths(plan: Plan, move: Callable[[str], str]) -> Plan:
    data = {
        label: msgspec.structs.replace(
            item, source=msgspec.structs.replace(item.source, path=move(item.source.path))
        )
        if item.source.path is not None
        else item
        for label, item in plan.data.items()
    }
    results = plan.results
    if results.dir is not None:
        results = msgspec.structs.replace(results, dir=move(results.dir))
    surroundings = plan.code
    pythonpath = tuple(map(move, surroundings.pythonpath))
    surroundings = msgspec.structs.replace(surroundings, pythonpath=pythonpath)
    if surroundings.pre_experiment is not None and names_file(surroundings.pre_experiment):
        moved_file = move(surroundings.pre_experiment)
        surroundings = msgspec.structs.replace(surroundings, pre_experiment=moved_file)
    moved = msgspec.structs.replace(plan, data=data, results=results, code=surroundings)
    value = msgspec.to_builtins(moved)
    own = list(_own_components(value))
    for component in own:
        component["code"]["paths"] = [move(path) for path in component["code"].get("paths", ())]
    return msgspec.convert(value, Plan) if own else moved
