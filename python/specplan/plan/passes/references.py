"""References of the graph: `FeatureSet.column`, `FeatureSet.features` and `Node`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from specplan.plan.dtypes import NUMBERS
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.spec.diagnostics import Path

_ALL_FEATURES = "features"
_DOMAINS = ("features", "targets", "tags")
_BARE = re.compile(r"^(data|graph\.nodes|nodes)\.")
"""What leads to a FeatureSet or a node in the spec, and is not written in a reference."""


class ColumnsOf(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of a FeatureSet. `joined` rows have at least one axis."""

    value: str
    feature_set: str
    columns: tuple[str, ...]
    joined: bool


class NodeOf(msgspec.Struct, frozen=True, kw_only=True):
    """The output of a node."""

    node: str

    @property
    def value(self) -> str:
        """The name of the value in the plan."""
        return self.node


Reference = ColumnsOf | NodeOf


def references(
    context: Context, label: str, data: dict[str, FeatureSet]
) -> tuple[Reference, ...] | None:
    """What a node reads: several values for a merge, one otherwise; None where a name is unknown."""
    node = context.spec.graph.nodes[label]
    path: Path = ("graph", "nodes", label, "input")
    if isinstance(node.input, str):
        single = _resolve(context, node.input, path, data)
        return (single,) if single else None
    if not node.input:
        context.error("SP301", f"{label} has no input", path)
        return None
    reads = [_resolve(context, text, (*path, index), data) for index, text in enumerate(node.input)]
    known = tuple(read for read in reads if read is not None)
    if len(known) < len(reads):
        return None
    if node.merge is not None:
        return known
    joined = _joined(context, label, known, path, data)
    return (joined,) if joined else None


def resolve_target(context: Context, label: str, data: dict[str, FeatureSet]) -> ColumnsOf | None:
    """What a node learns to give."""
    text = context.spec.graph.nodes[label].target
    if text is None:
        return None
    path: Path = ("graph", "nodes", label, "target")
    if not isinstance(text, str):
        parts = [_resolve(context, part, (*path, index), data) for index, part in enumerate(text)]
        found = [part for part in parts if part is not None]
        target = _joined(context, label, tuple(found), path, data) if found else None
        if len(found) < len(text):
            return None
    else:
        target = _resolve(context, text, path, data)
    if isinstance(target, NodeOf):
        message = f"target `{text}` is a node; a target is a column, `FeatureSet.column`"
        context.error("SP301", message, path)
        return None
    return target


def _joined(
    context: Context,
    label: str,
    reads: tuple[Reference, ...],
    path: Path,
    data: dict[str, FeatureSet],
) -> Reference | None:
    columns = [read for read in reads if isinstance(read, ColumnsOf)]
    if len(columns) < len(reads):
        if len(reads) == 1:
            return reads[0]
        if context.damaged(("graph", "nodes", label, "model")):
            return None
        message = (
            f"{label} reads several values of which one is a node; only a merge node joins those"
        )
        hint = "make a node `{merge: {use: concat}, input: [...]}` and read that"
        context.error("SP307", message, path, hint=hint)
        return None
    names = list(dict.fromkeys(read.feature_set for read in columns))
    if len(names) > 1:
        message = f"{label} reads columns of several FeatureSets: {quoted(names)}"
        hint = "a node for each FeatureSet, which a node with `merge` joins where their rows meet"
        context.error("SP307", message, path, hint=hint)
        return None
    together = tuple(name for read in columns for name in read.columns)
    whole = together == _features(data[names[0]]) and _ALL_FEATURES not in data[names[0]].columns
    value = f"{names[0]}.{_ALL_FEATURES if whole else '+'.join(together)}"
    return ColumnsOf(value=value, feature_set=names[0], columns=together, joined=True)


def _features(feature_set: FeatureSet) -> tuple[str, ...]:
    return tuple(feature_set.read(name) or name for name in feature_set.features)


def _resolve(
    context: Context, text: str, path: Path, data: dict[str, FeatureSet]
) -> Reference | None:
    nodes = context.spec.graph.nodes
    owner, dot, _ = text.partition(".")
    if owner in data:
        return _columns_of(context, text, path, data[owner])
    if owner in nodes:
        if not dot:
            return NodeOf(node=owner)
        message = f"`{text}`: a node is read by its name alone"
        context.error("SP301", message, path, hint=f"write `{owner}`")
        return None
    if context.lost(("data", owner)) or context.lost(("graph", "nodes", owner)):
        return None
    bare = _BARE.sub("", text.strip("${} "))
    if bare != text and (bare.partition(".")[0] in data or bare in nodes):
        why = "text is not evaluated: " if "{" in text else ""
        message = f"`{text}` is neither a node nor `FeatureSet.column`"
        context.error_once("SP301", message, path, hint=f"{why}write `{bare}`")
        return None
    if dot:
        message = f"no FeatureSet `{owner}`; known: {quoted(data)}"
        context.error_once("SP301", message, path, hint=did_you_mean(owner, data))
        return None
    message = f"`{text}` is neither a node nor `FeatureSet.column`; nodes: {quoted(nodes)}"
    dotted = re.sub(r"[:/]+", ".", text)
    feature_set, _, column = dotted.partition(".")
    if feature_set in data and column in data[feature_set].columns:
        context.error("SP301", message, path, hint=f"write `{dotted}`")
        return None
    whole = text == _ALL_FEATURES
    owners = [name for name, each in data.items() if whole or text in each.columns]
    hint = f"did you mean `{owners[0]}.{text}`?" if owners else did_you_mean(text, [*nodes, *data])
    context.error("SP301", message, path, hint=hint)
    return None


def _columns_of(
    context: Context, text: str, path: Path, feature_set: FeatureSet
) -> ColumnsOf | None:
    owner, _, column = text.partition(".")
    known = feature_set.columns
    read = feature_set.read(column)
    if read is not None:
        held = known.get(column)
        if held is not None and held.domain == "tags" and held.dtype not in NUMBERS:
            message = f"`{text}` is {held.dtype}; nodes and targets read numbers"
            as_numbers = (
                "write it as numbers, such as the index of a class, where the data are made"
            )
            context.error("SP507", message, path, hint=as_numbers)
            return None
        return ColumnsOf(value=text, feature_set=owner, columns=(read,), joined=False)
    if column == _ALL_FEATURES and not feature_set.features:
        if not context.damaged(("data", owner, "features")):
            message = f"`{text}`: FeatureSet {owner} lists no features"
            context.error("SP302", message, path, also=[(("data", owner, "features"), "here")])
        return None
    if column == _ALL_FEATURES:
        return ColumnsOf(value=text, feature_set=owner, columns=_features(feature_set), joined=True)
    if any(context.damaged(("data", owner, domain)) for domain in _DOMAINS):
        return None
    if not column:
        message = (
            f"`{text}` is a FeatureSet: say which column, or `{owner}.{_ALL_FEATURES}` for all"
        )
        context.error("SP302", message, path)
        return None
    message = f"FeatureSet {owner} has no column `{column}`; it has {quoted(known)}"
    hint: str | None = did_you_mean(
        column, [*known, *([_ALL_FEATURES] if feature_set.features else [])]
    )
    targets = context.spec.data[owner].targets
    several = [part.strip() for part in re.split(r"[+,]", text)]
    if len(several) > 1:
        hint = f"several columns are a list: `[{', '.join(several)}]`"
    elif column in ("target", "targets") and targets:
        hint = f"name the column, such as `{owner}.{targets[0]}`"
    context.error("SP302", message, path, hint=hint)
    return None
