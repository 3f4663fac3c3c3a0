"""A plan as text that a person reads."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from specplan.models.sklearn.table import estimators
from specplan.plan.dtypes import item_size
from specplan.plan.model import Eval, Fit, Train
from specplan.plan.shapes import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.model import (
        Component,
        Data,
        Node,
        Objective,
        Phase,
        Plan,
        Read,
        Record,
        Shape,
    )

# docs/format.md: the epoch and batch of each row, and the index row of each batch, of every channel.
_KEY_BYTES = 8
_INDEX_BYTES = 40
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def explain(plan: Plan) -> str:
    """The plan in the order in which it is run, with a line break at the end."""
    lines = [
        f"experiment {plan.experiment.id}"
        + (f": {plan.experiment.title}" * bool(plan.experiment.title)),
        f"plan {plan.id}",
        _numerics(plan),
        _results(plan),
    ]
    for label, data in plan.data.items():
        lines += ["", *_data(label, data)]
    lines += ["", *_graph(plan)]
    for number, phase in enumerate(plan.phases, start=1):
        lines += ["", *_phase(phase, number)]
    return "\n".join(lines) + "\n"


def _numerics(plan: Plan) -> str:
    numerics = plan.numerics
    threads = "threads of the machine"
    if numerics.threads is not None:
        threads = _count(numerics.threads, "thread")
    exact = ", deterministic" if numerics.deterministic else ""
    return f"seed {numerics.seed}, {numerics.device}, {numerics.dtype}, {threads}{exact}"


def _results(plan: Plan) -> str:
    results = plan.results
    return f"records: durability {results.durability}, on error {results.on_error}"


def _data(label: str, data: Data) -> Iterator[str]:
    source = data.source
    where = source.path if source.path is not None else source.name
    yield f"data {label}: {_count(data.rows, 'row')}, {source.use} {where}"
    for name, column in data.columns.items():
        yield f"  {name}: {column.dtype} {show(column.shape)}, {column.domain}"
    if data.splitter is not None:
        sizes = ", ".join(f"{name} {rows}" for name, rows in data.sizes.items())
        yield f"  splits by {_splitter(data.splitter)}: {sizes}"


def _splitter(splitter: Component) -> str:
    args = splitter.args
    seed = f" with seed {args['seed']}" if "seed" in args else ""
    by = "".join(
        f", {what} {', '.join(args[parameter])}"
        for parameter, what in (("group_by", "groups of"), ("stratify_by", "strata of"))
        if args.get(parameter)
    )
    column = f" {args['column']}" if "column" in args else ""
    return f"{splitter.use}{column}{seed}{by}"


def _graph(plan: Plan) -> Iterator[str]:
    known = [node.parameters for node in plan.graph.nodes.values()]
    total = _count(sum(number or 0 for number in known), "parameter")
    more = " and those of models that were not run" if None in known else ""
    yield f"graph: {_count(len(plan.graph.order), 'node')}, {total}{more}"
    for label in plan.graph.order:
        yield from _node(plan, label, plan.graph.nodes[label])
    if plan.graph.optimizer is not None:
        yield f"  optimizer {_component(plan.graph.optimizer)}"


def _node(plan: Plan, label: str, node: Node) -> Iterator[str]:
    yield f"  {label}: {_component(node.component)}"
    for read in node.inputs:
        yield f"    reads {_read(plan, read)}"
    parameters = f", {_count(node.parameters, 'parameter')}" if node.parameters else ""
    yield f"    gives {node.dtype} {show(node.shape)}{parameters}"
    if node.target is not None:
        yield f"    target {_read(plan, node.target)}"


def _read(plan: Plan, read: Read) -> str:
    dtypes, shape = _stored(plan, read)
    text = f"{read.value}: {' and '.join(dtypes)} {show(shape)}"
    if dtypes != [read.dtype]:
        text += f", cast to {read.dtype}"
    if shape != read.shape:
        text += f", viewed as {show(read.shape)}"
    return text


def _stored(plan: Plan, read: Read) -> tuple[list[str], Shape]:
    """Item types and shape before the cast and the view."""
    if not read.columns:
        node = plan.graph.nodes[read.value]
        return [node.dtype], node.shape
    known = plan.data[read.value.partition(".")[0]].columns
    columns = [known[name] for name in read.columns]
    dtypes = list(dict.fromkeys(column.dtype for column in columns))
    if len(columns) == 1:
        return dtypes, columns[0].shape
    rows = [column.shape or (1,) for column in columns]
    return dtypes, (*rows[0][:-1], sum(row[-1] for row in rows))


def _phase(phase: Phase, number: int) -> Iterator[str]:
    split = "all rows" if phase.split is None else f"split {phase.split}"
    yield f"phase {number} {phase.path}: {_KINDS[type(phase)]} {phase.data}, {split}, {_count(phase.rows, 'row')}"
    match phase:
        case Train():
            yield from _train(phase)
        case Eval():
            batches = "at once" if phase.batch_size is None else f"{phase.batch_size} at a time"
            yield f"  computes {_names(phase.nodes)}, {batches}"
        case Fit():
            kept = ", then frozen" if phase.freeze_after_fit else ""
            yield f"  fits {_names(phase.fitted)}{kept}"
            others = tuple(label for label in phase.nodes if label not in phase.fitted)
            if others:
                yield f"  computes {_names(others)}"
    yield from _objectives("loss", phase.losses)
    yield from _objectives("metric", phase.metrics)
    if isinstance(phase, Train):
        yield from _between(phase)
    yield from _recorded(phase)


_KINDS: dict[type[Any], str] = {Train: "train on", Eval: "evaluate on", Fit: "fit to"}


def _train(phase: Train) -> Iterator[str]:
    steps = phase.epochs * phase.steps
    yield f"  {_count(phase.epochs, 'epoch')} of {_count(phase.steps, 'step')}, {_count(steps, 'step')} in all"
    yield f"  sampler {_component(phase.sampler.component)}"
    yield f"  trains {_names(phase.trainable)}"
    others = tuple(label for label in phase.nodes if label not in phase.trainable)
    if others:
        yield f"  computes without training {_names(others)}"


def _between(phase: Train) -> Iterator[str]:
    for evaluation in phase.evaluations:
        every = evaluation.every_n_epochs
        when = "after each epoch" if every == 1 else f"after every {every} epochs"
        labels = [item.label for item in (*evaluation.losses, *evaluation.metrics)]
        total = [f"{evaluation.name}_loss"] if evaluation.losses else []
        series = ", ".join([*total, *(f"{evaluation.name}_{label}" for label in labels)])
        yield f"  {when}: evaluate split {evaluation.split}, {_count(evaluation.rows, 'row')}: {series}"
    stopping = phase.early_stopping
    if stopping is not None:
        back = ", then the best weights are put back" if stopping.restore_best else ""
        yield (
            f"  stops when {stopping.monitor} ({stopping.mode}) has not improved by more than "
            f"{stopping.min_delta:g} for {_count(stopping.patience, 'epoch')}{back}"
        )


def _objectives(noun: str, objectives: tuple[Objective, ...]) -> Iterator[str]:
    for objective in objectives:
        weight = f", weight {objective.weight:g}" if objective.weight != 1 else ""
        arguments = ", ".join(
            f"{argument.node}.{argument.field} as {argument.dtype} {show(argument.shape, batch=True)}"
            for argument in objective.arguments
        )
        yield f"  {noun} {objective.label}: {_component(objective.component)} of {arguments}{weight}"


def _recorded(phase: Phase) -> Iterator[str]:
    if not phase.records:
        yield "  records metrics only"
        return
    values = ", ".join(
        record.field if record.field == "sample_id" else f"{record.node}.{record.field}"
        for record in phase.records
    )
    rows, batches = phase.rows, phase.steps
    kept = ""
    if isinstance(phase, Train):
        if phase.sampler.component.args["drop_last"]:
            rows = phase.steps * phase.sampler.component.args["batch_size"]
        if phase.record == "all" or phase.early_stopping is not None:
            rows, batches = rows * phase.epochs, batches * phase.epochs
        kept = " of the last epoch" if phase.record == "last" else " of each epoch"
    size = sum(
        rows * (_row_bytes(record) + _KEY_BYTES) + batches * _INDEX_BYTES
        for record in phase.records
    )
    yield f"  records {values}{kept}: about {_bytes(size)}"


def _row_bytes(record: Record) -> int:
    return item_size(record.dtype) * prod(record.shape)


def _component(component: Component) -> str:
    args = component.args
    known = estimators().get(component.use) if ":" in component.use else None
    defaults = known.parameters if known is not None else {}
    shown = {
        name: value
        for name, value in args.items()
        if name not in defaults or defaults[name] != value
    }
    parts = [f"{name}={_argument(value)}" for name, value in shown.items()]
    if len(shown) < len(args):
        parts.append(_count(len(args) - len(shown), "default"))
    own = f", code {component.code.digest[:11]}" if component.code is not None else ""
    return (f"{component.use}({', '.join(parts)})" if parts else component.use) + own


def _argument(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list():
            return f"[{', '.join(_argument(item) for item in value)}]"
        case {"$float": text}:
            return str(text)
        case dict():
            return "{" + ", ".join(f"{key}: {_argument(item)}" for key, item in value.items()) + "}"
    return str(value)


def _names(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _bytes(size: int) -> str:
    amount = float(size)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError
