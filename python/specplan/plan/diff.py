"""What differs between two plans, in the words of a spec."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import rfc8785

from specplan.components.sampler import DEFAULT_ROLE
from specplan.plan.canonical import NAMES
from specplan.plan.renaming import Renamed, renamed
from specplan.plan.shapes import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from specplan.plan.model import Plan

Value = dict[str, Any]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference.

    Attributes:
        place: what differs, as `phase train` or `node MLP`.
        name: which of its fields or arguments; empty where the whole is meant.
        before, after: the values, as plain values; None where there is none.
        kind: what became of it.
        note: what follows from it, or says more.
    """

    place: str
    name: str = ""
    kind: Literal["changed", "added", "removed", "renamed"] = "changed"
    before: Any = None
    after: Any = None
    note: str = ""

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        name = f" {self.name}" if self.name else ""
        if self.kind in ("added", "removed"):
            return f"{self.place}:{name} {self.kind}{note}"
        if self.kind == "renamed":
            return f"{self.place}: renamed from {self.before}{note}"
        if self.before is None and self.after is None:
            return f"{self.place}:{name}{note}"
        return f"{self.place}:{name} {_step(self.before, self.after)}{note}"


class PlanDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs: `numbers` can change a result, `names` cannot. Two plans have one id where `numbers` is empty."""

    numbers: tuple[Change, ...]
    names: tuple[Change, ...]


def diff(before: Plan, after: Plan) -> PlanDiff:
    """Compare two plans of the present version."""
    old, new = (msgspec.json.decode(msgspec.json.encode(plan)) for plan in (before, after))
    names = tuple(_names(old, new))
    if before.id == after.id:
        return PlanDiff(numbers=(), names=names)
    found = renamed(old, new)
    numbers = tuple(_numbers(found, new))
    return PlanDiff(numbers=numbers or tuple(_anything(found.value, new)), names=names)


def _names(old: Value, new: Value) -> Iterator[Change]:
    for place in NAMES:
        if place != "id":
            yield from fields(place, old[place] or {}, new[place] or {})
    for label in _common(old["data"], new["data"]):
        sources = (value["data"][label]["source"] for value in (old, new))
        paths = [{key: source[key] for key in ("path", "name")} for source in sources]
        yield from fields(f"data {label}", *paths)


def _numbers(found: Renamed, new: Value) -> Iterator[Change]:
    old = found.value
    yield from fields("run", old["numerics"], new["numerics"])
    yield from _parts("data", old["data"], new["data"], found.data, _describe_data)
    for label in _common(old["data"], new["data"]):
        yield from _data(f"data {label}", old["data"][label], new["data"][label])
    graphs = old["graph"], new["graph"]
    before, after = (graph["nodes"] for graph in graphs)
    yield from _parts("node", before, after, found.nodes, _describe_node)
    for label in _common(before, after):
        yield from _node(f"node {label}", before[label], after[label])
    yield from _optional("optimizer", *(graph["optimizer"] for graph in graphs))
    before, after = ({phase["path"]: phase for phase in value["phases"]} for value in (old, new))
    yield from _parts("phase", before, after, found.phases, _describe_phase)
    for path in _common(before, after):
        yield from _phase(f"phase {path}", before[path], after[path], graphs)
    yield from _order("phases", list(before), list(after))


def _common(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [label for label in new if label in old]


def _parts(
    noun: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    names: Mapping[str, str],
    describe: Any,
) -> Iterator[Change]:
    for before, after in names.items():
        yield Change(place=f"{noun} {after}", kind="renamed", before=before, after=after)
    for label in old:
        if label not in new:
            yield Change(place=f"{noun} {label}", kind="removed", note=describe(old[label]))
    for label in new:
        if label not in old:
            yield Change(place=f"{noun} {label}", kind="added", note=describe(new[label]))


def _describe_data(data: Value) -> str:
    return f"{data['source']['use']}, {data['rows']:,} rows"


def _describe_node(node: Value) -> str:
    reads = ", ".join(read["value"] for read in node["inputs"])
    return f"{node['component']['use']} of {reads}"


def _describe_phase(phase: Value) -> str:
    return f"{phase['phase']}, {phase['rows']:,} rows" if "rows" in phase else phase["phase"]


def _order(place: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """The order of those that both have."""
    before = [label for label in old if label in new]
    after = [label for label in new if label in old]
    if before != after:
        yield Change(place=place, name="order", before=before, after=after)


def _data(place: str, old: Value, new: Value) -> Iterator[Change]:
    columns = list(_columns(place, old["columns"], new["columns"]))
    yield from fields(place, old["source"], new["source"], but=("digest", "path", "name"))
    if old["source"]["digest"] != new["source"]["digest"]:
        same = "" if columns else ", same columns"
        yield Change(place=place, name=f"other contents (digest){same}")
    yield from columns
    yield from fields(place, {"rows": old["rows"]}, {"rows": new["rows"]})
    yield from _optional(f"{place}, splits", old["splitter"], new["splitter"])
    sizes = [{split["name"]: split["rows"] for split in value["splits"]} for value in (old, new)]
    for name in dict.fromkeys((*sizes[0], *sizes[1])):
        before, after = sizes[0].get(name), sizes[1].get(name)
        if before is None or after is None:
            kind: Literal["added", "removed"] = "added" if before is None else "removed"
            yield Change(place=f"split {name}", kind=kind, note=f"{after or before:,} rows")
        elif before != after:
            yield Change(place=f"split {name}", name="rows", before=before, after=after)
    yield from _order(f"{place}, splits", list(sizes[0]), list(sizes[1]))
    yield from _optional(f"{place}, splits", old["divided"], new["divided"])
    yield from _scalers(place, old["scale"], new["scale"])
    yield from fields(f"{place}, folds", old["folds"], new["folds"])


def _scalers(place: str, old: list[Value], new: list[Value]) -> Iterator[Change]:
    for number, (before, after) in enumerate(zip_longest(old, new), start=1):
        scaler = f"{place}, scaler {number}"
        components = [each and each["component"] for each in (before, after)]
        yield from _optional(scaler, *components)
        if before and after:
            yield from fields(scaler, before, after, but=("component",))


def _columns(place: str, old: Value, new: Value) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        column = f"{place}, column {name}"
        if name not in new or name not in old:
            kind: Literal["added", "removed"] = "added" if name in new else "removed"
            yield Change(place=column, kind=kind)
        else:
            yield from fields(column, old[name], new[name])


def _node(place: str, old: Value, new: Value) -> Iterator[Change]:
    seen = ("flops", "uncountable") if new["component"].get("code") else ()
    changes = [
        *fields(place, old, new, but=("component", "inputs", "target", "parameters", *seen)),
        *_component(place, old["component"], new["component"]),
    ]
    reads = [[_read(read) for read in value["inputs"]] for value in (old, new)]
    targets = [None if value["target"] is None else _read(value["target"]) for value in (old, new)]
    if reads[0] != reads[1]:
        changes.append(Change(place=place, name="reads", before=reads[0], after=reads[1]))
    if targets[0] != targets[1]:
        changes.append(Change(place=place, name="target", before=targets[0], after=targets[1]))
    parameters = old["parameters"], new["parameters"]
    if parameters[0] != parameters[1]:
        note = "parameters {} -> {}".format(*map(_text, parameters))
        last = changes.pop() if changes else Change(place=place)
        changes.append(msgspec.structs.replace(last, note=note))
    yield from changes


def _read(read: Value) -> str:
    return f"{read['value']} as {read['dtype']} {show(tuple(read['shape']))}"


_OWN_WORDS = (
    *("path", "losses", "metrics", "records", "evaluations", "early_stopping", "sampler"),
    *("optimizer", "function", "rows", "steps"),
)
_LENGTH = ("rows", "steps")
"""They follow from other changes, so that they come last."""


def _phase(place: str, old: Value, new: Value, graphs: tuple[Value, Value]) -> Iterator[Change]:
    changes = list(fields(place, old, new, but=_OWN_WORDS))
    for key in ("losses", "metrics"):
        changes += _objectives(place, key, old.get(key, ()), new.get(key, ()))
    samplers = [(value.get("sampler") or {}).get("component") for value in (old, new)]
    changes += _optional(f"{place}, sampler", *samplers)
    drawn = [value.get("sampler") or {} for value in (old, new)]
    changes += fields(f"{place}, sampler", *drawn, but=("component", "seed"))
    optimizers = [value.get("optimizer") for value in (old, new)]
    if optimizers != [graph["optimizer"] for graph in graphs]:
        changes += _optional(f"{place}, optimizer", *optimizers)
    changes += _evaluations(place, old.get("evaluations", ()), new.get("evaluations", ()))
    changes += _optional(place, old.get("function"), new.get("function"))
    stopping = [value.get("early_stopping") for value in (old, new)]
    changes += _optional(f"{place}, early stopping", *stopping)
    records = [[_record(record) for record in value.get("records", ())] for value in (old, new)]
    if records[0] != records[1]:
        changes.append(Change(place=place, name="records", before=records[0], after=records[1]))
    yield from changes
    yield from fields(place, *({key: value.get(key) for key in _LENGTH} for value in (old, new)))


def _record(record: Value) -> str:
    field = f"{record['field']}{_role(record)}"
    return field if record["field"] == "sample_id" else f"{record['node']}.{field}"


def _role(part: Value) -> str:
    role = part.get("role", DEFAULT_ROLE)
    return "" if role == DEFAULT_ROLE else f".{role}"


def _objectives(
    place: str, key: str, old: Iterable[Value], new: Iterable[Value]
) -> Iterator[Change]:
    by_label = [{each["label"]: each for each in objectives} for objectives in (old, new)]
    before, after = by_label
    for label in dict.fromkeys((*before, *after)):
        objective = f"{place}, {label}"
        if label not in before or label not in after:
            kind: Literal["added", "removed"] = "added" if label in after else "removed"
            component = (after if label in after else before)[label]["component"]
            yield Change(place=objective, kind=kind, note=component["use"])
        else:
            both = before[label], after[label]
            yield from _component(objective, *(each["component"] for each in both))
            yield from fields(objective, *both, but=("component", "label", "arguments"))
            compared = [", ".join(map(_argument, each["arguments"])) for each in both]
            if compared[0] != compared[1]:
                yield Change(
                    place=objective, name="compares", before=compared[0], after=compared[1]
                )
    yield from _order(f"{place}, {key}", list(before), list(after))


def _argument(argument: Value) -> str:
    shape = show(tuple(argument["shape"]))
    value = argument.get("column") or f"{argument['node']}.{argument['field']}"
    value += _role(argument)
    return f"{value} as {argument['dtype']} {shape}"


def _evaluations(place: str, old: Iterable[Value], new: Iterable[Value]) -> Iterator[Change]:
    by_name = [{each["name"]: each for each in evaluations} for evaluations in (old, new)]
    before, after = by_name
    for name in dict.fromkeys((*before, *after)):
        evaluation = f"{place}, evaluation {name}"
        if name not in before or name not in after:
            yield Change(place=evaluation, kind="added" if name in after else "removed")
        else:
            both = before[name], after[name]
            yield from fields(evaluation, *both, but=("losses", "metrics"))
            for key in ("losses", "metrics"):
                yield from _objectives(evaluation, key, *(each[key] for each in both))


def _optional(place: str, old: Value | None, new: Value | None) -> Iterator[Change]:
    if old is None and new is None:
        return
    if old is None or new is None:
        use = (new or old or {}).get("use", "")
        yield Change(place=place, kind="removed" if new is None else "added", note=use)
    elif "use" in old:
        yield from _component(place, old, new)
    else:
        yield from fields(place, old, new)


def _component(place: str, old: Value, new: Value) -> Iterator[Change]:
    if old["use"] != new["use"]:
        yield Change(place=place, before=old["use"], after=new["use"])
        return
    yield from fields(place, old["args"], new["args"])
    digests = ({"code": (value["code"] or {}).get("digest")} for value in (old, new))
    yield from fields(place, *digests)
    yield from fields(place, old, new, but=("use", "args", "code"))


def fields(place: str, old: Value, new: Value, *, but: Iterable[str] = ()) -> Iterator[Change]:
    """The keys of two mappings that differ, without those in `but`."""
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if name not in but and before != after:
            yield Change(place=place, name=name, before=before, after=after)


def _anything(old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """Differences by their place in the plan, where they have no words."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            if path or key not in NAMES:
                yield from _anything(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for index, both in enumerate(zip(old, new, strict=True)):
            yield from _anything(*both, f"{path}[{index}]")
    elif old != new and not path.endswith((".source.path", ".source.name")):
        yield Change(place=path, before=old, after=new)


def _step(before: Any, after: Any) -> str:
    match before, after:
        case [str(), *_], [str(), *_] if set(before) ^ set(after) and set(before) & set(after):
            # Of long lists, only what differs.
            gone = [name for name in before if name not in after]
            come = [name for name in after if name not in before]
            words = ("without", gone), ("with", come)
            return ", ".join(f"{word} {_text(names)}" for word, names in words if names)
    return f"{_text(before)} -> {_text(after)}"


def _text(value: Any) -> str:
    match value:
        case None:
            return "none"
        case str():
            return value
        case {"$float": text}:
            return str(text)
        case [str(), *_]:
            return ", ".join(map(_text, value))
        case float():
            return rfc8785.dumps(value).decode()
    return msgspec.json.encode(value).decode()
