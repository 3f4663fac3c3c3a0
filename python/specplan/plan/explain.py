"""A plan as text that a person reads."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from specplan.base.amounts import count, size
from specplan.components.sampler import DEFAULT_ROLE
from specplan.models.sklearn.table import estimators
from specplan.plan.by_feed import by_feed
from specplan.plan.dtypes import item_size
from specplan.plan.model import Call, Eval, Fit, Train
from specplan.plan.recorded_bytes import epoch_rows
from specplan.plan.shapes import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.model import (
        Argument,
        Clip,
        Component,
        Data,
        Fold,
        Guard,
        LearningRate,
        Node,
        Objective,
        Phase,
        Plan,
        Read,
        Record,
        Shape,
        Split,
    )

# docs/format.md: the epoch and batch of each row, and the index row of each batch, of every channel.
_KEY_BYTES = 8
_INDEX_BYTES = 40


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
    if plan.graph.nodes:
        lines += ["", *_graph(plan)]
    numbers: dict[str, int] = {}
    for number, phase in enumerate(plan.phases, start=1):
        numbers[phase.path] = number
        lines += ["", *_phase(plan, phase, number, numbers[_path_in_first_passes(phase)])]
    return "\n".join(lines) + "\n"


def _numerics(plan: Plan) -> str:
    numerics = plan.numerics
    threads = "threads of the machine"
    if numerics.threads is not None:
        threads = count(numerics.threads, "thread")
    exact = ", deterministic" if numerics.deterministic else ""
    return f"seed {numerics.seed}, {numerics.device}, {numerics.dtype}, {threads}{exact}"


def _results(plan: Plan) -> str:
    results = plan.results
    seconds = results.system_metrics_seconds
    system = "" if seconds is None else f", the system every {seconds:g} s"
    return f"records: durability {results.durability}, on error {results.on_error}{system}"


def _data(label: str, data: Data) -> Iterator[str]:
    source = data.source
    where = source.path if source.path is not None else source.name
    yield f"data {label}: {count(data.rows, 'row')}, {source.use} {where}"
    for name, column in data.columns.items():
        if name not in data.scaled:
            yield f"  {name}: {column.dtype} {show(column.shape)}, {column.domain}"
    if data.splitter is not None:
        sizes = ", ".join(f"{name} {rows}" for name, rows in data.sizes.items())
        yield f"  splits by {_splitter(data.splitter)}: {sizes}"
    for scale in data.scale:
        fitted = "all rows" if scale.fit_on is None else scale.fit_on
        columns = ", ".join(scale.columns)
        yield f"  scales {columns} by {_component(scale.component)}, fitted on {fitted}"
    yield from _folds(data)


def _folds(data: Data) -> Iterator[str]:
    groups: dict[str, list[Fold]] = {}
    for path, fold in data.folds.items():
        groups.setdefault(path.rpartition(".")[0], []).append(fold)
    for group, folds in groups.items():
        cut = ", ".join(folds[0].of) or "all rows"
        first = folds[0]
        order = "" if first.seed is None else f", shuffled with seed {first.seed}"
        if first.ordered:
            order = ", in order"
        if first.key_columns:
            order += (
                f", {'groups' if first.group_by else 'strata'} of {', '.join(first.key_columns)}"
            )
        sizes = [f"{part.name} {_range(rows)}" for part, rows in _parts(folds)]
        yield f"  {group} cuts {cut} into {len(folds)} folds{order}: {', '.join(sizes)}"


def _parts(folds: list[Fold]) -> Iterator[tuple[Split, list[int]]]:
    yield folds[0].train, [fold.train.rows for fold in folds]
    yield folds[0].val, [fold.val.rows for fold in folds]


def _range(numbers: list[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(most) if least == most else f"{least} to {most}"


def _splitter(splitter: Component) -> str:
    args = splitter.args
    if splitter.code is not None:
        return _component(splitter)
    seed = f" with seed {args['seed']}" if "seed" in args else ""
    by = "".join(
        f", {what} {', '.join(args[parameter])}"
        for parameter, what in (("group_by", "groups of"), ("stratify_by", "strata of"))
        if args.get(parameter)
    )
    column = f" {args['column']}" if "column" in args else ""
    if splitter.use == "rows":
        column = f" of {', '.join(args['splits'].values())}"
    if splitter.use == "condition":
        names = {name for conditions in args["splits"].values() for name in conditions}
        column = f" on {', '.join(sorted(names))}"
    return f"{splitter.use}{column}{seed}{by}"


def _graph(plan: Plan) -> Iterator[str]:
    known = [node.parameters for node in plan.graph.nodes.values()]
    total = count(sum(number or 0 for number in known), "parameter")
    more = " and those of models that were not run" if None in known else ""
    yield f"graph: {count(len(plan.graph.order), 'node')}, {total}{more}"
    for label in plan.graph.order:
        yield from _node(plan, label, plan.graph.nodes[label])
    if plan.graph.optimizer is not None:
        yield f"  optimizer {_component(plan.graph.optimizer)}"


def _node(plan: Plan, label: str, node: Node) -> Iterator[str]:
    yield f"  {label}: {_component(node.component)}"
    for read in node.inputs:
        yield f"    reads {_read(plan, read)}"
    parameters = f", {count(node.parameters, 'parameter')}" if node.parameters else ""
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


def _path_in_first_passes(phase: Phase) -> str:
    """The path of the phase that this one is another pass of; its own in the first passes."""
    labels = phase.path.split(".")
    for each in phase.passes:
        labels[each.group.count(".") + 1] = f"{each.kind}_0"
    return ".".join(labels)


def _phase(plan: Plan, phase: Phase, number: int, same_as: int) -> Iterator[str]:
    if same_as != number:
        rows = "" if isinstance(phase, Call) else f", {count(phase.rows, 'row')}"
        yield f"phase {number} {phase.path}: as phase {same_as}{rows}"
        yield from map(_guard, phase.guards)
        return
    if isinstance(phase, Call):
        yield f"phase {number} {phase.path}: call {phase.function.use}"
        yield from map(_guard, phase.guards)
        for name, value in phase.function.args.items():
            yield f"  {name}: {_argument(value)}"
        if phase.words:
            yield f"  with {' '.join(phase.words)}"
        return
    split = "all rows" if phase.split is None else f"split {phase.split}"
    yield f"phase {number} {phase.path}: {_KINDS[type(phase)]} {phase.data}, {split}, {count(phase.rows, 'row')}"
    yield from map(_guard, phase.guards)
    match phase:
        case Train():
            yield from _train(phase)
        case Eval():
            batches = "at once" if phase.batch_size is None else f"{phase.batch_size} at a time"
            beside = f", with the rows of {_names(phase.joined)}" if phase.joined else ""
            yield f"  computes {_names(phase.nodes)}, {batches}{beside}"
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
    yield from _recorded(plan, phase)


def _guard(guard: Guard) -> str:
    where = guard.phases[0]
    if len(guard.phases) > 1:
        where = f"the last of {where} to {guard.phases[-1]} that was run"
    no = "" if guard.holds else "not "
    return f"  runs if {guard.metric} of {where} is {no}{guard.op} {guard.value:g}"


_KINDS: dict[type[Any], str] = {Train: "train on", Eval: "evaluate on", Fit: "fit to"}


def _train(phase: Train) -> Iterator[str]:
    steps = phase.epochs * phase.steps
    yield f"  {count(phase.epochs, 'epoch')} of {count(phase.steps, 'step')}, {count(steps, 'step')} in all"
    if phase.accumulate > 1:
        updates = count(phase.epochs * phase.updates, "update")
        yield f"  adds up the gradients of {count(phase.accumulate, 'step')} before the weights change: {updates}"
    if phase.feeds:
        yield f"  schedule {phase.schedule} of {count(len(phase.feeds), 'input')}"
    for feed in phase.feeds:
        split = "all rows" if feed.split is None else f"split {feed.split}"
        where = f"{feed.data}, {split}, {count(feed.rows, 'row')} in {count(feed.steps, 'step')}"
        yield f"  {_names(feed.nodes)} reads {where}, sampler {_component(feed.sampler.component)}"
    if not phase.feeds:
        yield f"  sampler {_component(phase.sampler.component)}"
    if phase.sampler.samples is not None and not phase.feeds:
        what = f"tuples of {', '.join(phase.sampler.roles)}" if phase.sampler.roles else "rows"
        yield f"  an epoch has {phase.sampler.samples} {what}"
    if phase.trainable:
        yield f"  trains {_names(phase.trainable)}{_clip(phase.clip)}"
    for label, optimizer in phase.optimizers.items():
        clipped = _clip(phase.clips.get(label))
        yield f"  {label} by its own optimizer {_component(optimizer)}{clipped}"
    if phase.fits:
        yield f"  fits {_names(phase.fits)} in batches"
    learning = {*phase.trainable, *phase.fits}
    others = tuple(label for label in phase.nodes if label not in learning)
    if others:
        yield f"  computes without training {_names(others)}"


def _clip(clip: Clip | None) -> str:
    if clip is None:
        return ""
    said = [("value", clip.value), ("norm", clip.norm)]
    return ", gradients cut to " + ", ".join(f"{name} {limit:g}" for name, limit in said if limit)


def _learning_rate(rule: LearningRate) -> str:
    start = [f"rises for {count(rule.warmup, 'step')}"] if rule.warmup else []
    match rule.schedule:
        case "constant":
            rest = "then stays" if start else "stays"
        case "linear" | "cosine":
            rest = f"{rule.schedule} to {rule.final:g} of itself in the last step"
        case "exponential":
            rest = f"times {rule.gamma:g} after each epoch"
        case "step":
            rest = f"times {rule.gamma:g} after every {count(rule.every_n_epochs, 'epoch')}"
        case "multi_step":
            epochs = ", ".join(str(epoch) for epoch in rule.milestones)
            rest = f"times {rule.gamma:g} after {epochs} epochs"
        case "one_cycle":
            rest = (
                f"one cycle ({rule.anneal_strategy}): rises from 1/{rule.div_factor:g} of itself for "
                f"{rule.pct_start:.0%} of the steps, then falls to 1/{rule.div_factor * rule.final_div_factor:g}"
            )
            if rule.cycle_momentum:
                rest += (
                    f"; momentum goes from {rule.max_momentum:g} to {rule.base_momentum:g} and back"
                )
    return ", ".join([*start, rest])


def _between(phase: Train) -> Iterator[str]:
    for evaluation in phase.evaluations:
        every = evaluation.every_n_epochs
        when = "after each epoch" if every == 1 else f"after every {every} epochs"
        if evaluation.run_on_start:
            when += " and before the first"
        series = ", ".join(evaluation.measured) or "no metrics"
        yield f"  {when}: evaluate split {evaluation.split}, {count(evaluation.rows, 'row')}: {series}"
    if phase.learning_rate is not None:
        yield f"  learning rate: {_learning_rate(phase.learning_rate)}"
    if phase.plateau is not None:
        rule = phase.plateau
        yield (
            f"  learning rate: times {rule.factor:g} when {rule.monitor} ({rule.mode}) has not improved for "
            f"more than {count(rule.patience, 'epoch')}"
        )
    stopping = phase.early_stopping
    if stopping is not None:
        back = ", then the best weights are put back" if stopping.restore_best else ""
        yield (
            f"  stops when {stopping.monitor} ({stopping.mode}) has not improved by more than "
            f"{stopping.min_delta:g} for {count(stopping.patience, 'epoch')}{back}"
        )


def _objectives(noun: str, objectives: tuple[Objective, ...]) -> Iterator[str]:
    for objective in objectives:
        weight = f", weight {objective.weight:g}" if objective.weight != 1 else ""
        arguments = ", ".join(
            f"{argument.column or f'{argument.node}.{argument.field}'}{_role(argument)} as {argument.dtype} "
            f"{show(argument.shape, batch=True)}"
            for argument in objective.arguments
        )
        yield f"  {noun} {objective.label}: {_component(objective.component)} of {arguments}{weight}"


def _recorded(plan: Plan, phase: Phase) -> Iterator[str]:
    if not phase.records:
        yield "  records metrics only"
        return
    values = ", ".join(
        f"{record.field}{_role(record)}"
        if record.field == "sample_id"
        else f"{record.node}.{record.field}{_role(record)}"
        for record in phase.records
    )
    kept, epochs = "", 1
    if isinstance(phase, Train):
        if phase.record == "all" or phase.early_stopping is not None:
            epochs = phase.epochs
        kept = " of the last epoch" if phase.record == "last" else " of each epoch"
    total = sum(
        epochs * (epoch_rows(part) * (_row_bytes(record) + _KEY_BYTES) + part.steps * _INDEX_BYTES)
        for part in (by_feed(plan.graph, phase) if isinstance(phase, Train) else (phase,))
        for record in part.records
    )
    yield f"  records {values}{kept}: about {size(total)}"


def _role(part: Argument | Record) -> str:
    return "" if part.role == DEFAULT_ROLE else f".{part.role}"


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
        parts.append(count(len(args) - len(shown), "default"))
    if component.live is not None:
        return f"{component.use}, an object {component.live.type} {component.live.digest[:11]}"
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
