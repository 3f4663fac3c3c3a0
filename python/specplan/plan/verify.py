"""The check of a plan that comes from a file, before it is run: that it holds together.

Nobody vouches for a file, so nothing in it is trusted, components and their arguments included.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

import msgspec

from specplan.archive.names import experiment_fault
from specplan.components import COMPONENTS
from specplan.components.merge import Concat
from specplan.components.model import Cnn, Network, TemporalCnn
from specplan.components.reference import LABEL, OPEN_KINDS, live_name, parse
from specplan.components.split import OrderedSplit, RandomSplit, Splitter
from specplan.data.scaler_faults import fault
from specplan.data.split import key_columns
from specplan.errors import PlanError
from specplan.models.sklearn import table
from specplan.models.torch.table import torch_class
from specplan.plan.dtypes import NUMBERS
from specplan.plan.model import Call, Eval, Fit, Train
from specplan.plan.sampled import named_columns
from specplan.plan.shapes import LARGEST_SIZE, ShapeError, cnn_features, concat_shape
from specplan.plan.verify_course import check_course, check_folds, expect
from specplan.plan.verify_feeds import check_feeds
from specplan.spec.model import LONGEST_NAME, MOST_THREADS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from specplan.components import Kind
    from specplan.components.component import Component as Declared
    from specplan.plan.model import (
        Code,
        Column,
        Component,
        Data,
        Evaluation,
        Node,
        Objective,
        Phase,
        Plan,
        Read,
        Record,
        Shape,
    )

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")
_PHASE_PATH = re.compile(rf"{LABEL.pattern}(\.{LABEL.pattern})*")


def verify(plan: Plan) -> None:
    """Check that every name resolves, that the order is topological, that shapes can be, and that
    components have arguments that a spec could have given them.

    Raises:
        PlanError: naming the first part of the plan that does not hold.
    """
    # A spec says a label. A job has that of its experiment before it, and an experiment may have a prefix.
    fault = experiment_fault(plan.experiment.id)
    expect("experiment.id", f"is no name: {fault}", that=fault is None)
    threads = plan.numerics.threads
    expect(
        "numerics",
        "has an impossible number of threads",
        that=threads is None or 1 <= threads <= MOST_THREADS,
    )
    expect("numerics", "has no such device", that=_matches(_DEVICE, plan.numerics.device))
    for label, data in plan.data.items():
        place = f"data.{label}"
        expect(place, "is not a label", that=_matches(LABEL, label))
        expect(place, "is also the name of a node", that=label not in plan.graph.nodes)
        expect(place, "has no rows", that=data.rows > 0)
        _check_data(data, place)
    _check_graph(plan)
    check_course(plan)
    paths: set[str] = set()
    for index, phase in enumerate(plan.phases):
        place = f"phases[{index}]"
        named = _matches(_PHASE_PATH, phase.path) and len(phase.path) <= LONGEST_NAME
        expect(place, "has a path that is no label", that=named)
        expect(place, f"repeats the path {phase.path}", that=phase.path not in paths)
        paths.add(phase.path)
        _check_phase(plan, phase, place)


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None


def _check_shape(shape: Shape, place: str) -> None:
    possible = all(size > 0 for size in shape) and prod(shape) <= LARGEST_SIZE
    expect(place, f"has the impossible shape {shape}", that=possible)


def _check_component(kind: Kind, component: Component, place: str) -> Declared | None:
    """The declared component; None for what is the user's own, which is checked where it is found."""
    if component.live is not None:
        _check_live(kind, component.use, place)
        return None
    if component.code is not None:
        _check_code(kind, component, component.code, place)
        return None
    if (known := torch_class(kind, component.use)) is not None:
        complete = component.args.keys() == known.parameters.keys()
        expect(place, f"has other arguments than those of `{component.use}`", that=complete)
        return None
    declaration = COMPONENTS[kind].get(component.use)
    if declaration is None:
        raise PlanError(f"{place} names the unknown {kind} `{component.use}`")
    try:
        found = msgspec.convert({**component.args, "use": component.use}, declaration)
    except msgspec.ValidationError as error:
        raise PlanError(f"{place} has wrong arguments for `{component.use}`: {error}") from None
    open_ = set(declaration.__struct_encode_fields__) - component.args.keys() - declaration.later
    expect(place, f"leaves arguments of `{component.use}` open", that=not open_)
    return found


_BOUND_KINDS = tuple(kind for kind in OPEN_KINDS if kind not in ("scaler", "split", "merge"))
"""The kinds of component that can be an object of a Python program."""


def _check_live(kind: Kind, use: str, place: str) -> None:
    right = kind in _BOUND_KINDS and live_name(use) is not None
    expect(place, f"names the impossible {kind} `{use}`", that=right)


def _check_code(kind: Kind, component: Component, code: Code, place: str) -> None:
    expect(place, f"names the impossible {kind} `{component.use}`", that=kind in OPEN_KINDS)
    _check_reference(kind, component.use, code, place)


def _check_reference(noun: str, use: str, code: Code, place: str) -> None:
    reference = parse(use)
    expect(place, f"names the impossible {noun} `{use}`", that=reference is not None)
    whole = reference is None or bool(code.paths) or not reference.is_file
    expect(place, f"does not say where `{use}` is", that=whole)


def _check_estimator(component: Component, place: str) -> None:
    estimator = table.estimators().get(component.use)
    if estimator is None:
        raise PlanError(f"{place} names the unknown estimator `{component.use}`")
    complete = component.args.keys() == estimator.parameters.keys()
    expect(place, f"has other arguments than those of `{component.use}`", that=complete)
    try:
        arguments = table.decode_floats(component.args)
    except (TypeError, ValueError):
        raise PlanError(f"{place} has a `$float` that is no number") from None
    for name, value in arguments.items():
        takes = table.refusal(estimator, name, value)
        expect(place, f"gives `{component.use}` a wrong `{name}`", that=takes is None)


def _check_data(data: Data, place: str) -> None:
    source = data.source
    found = source.name if source.use == "memory" else source.path
    expect(place, "does not say where its rows are", that=found is not None)
    possible = all(0 < size <= data.rows for size in data.sizes.values())
    whole = sum(data.sizes.values()) == data.rows
    chosen = data.divided is not None or (
        data.splitter is not None and data.splitter.use in ("condition", "rows")
    )
    expect(place, "has other splits", that=not data.splits or (possible and (whole or chosen)))
    expect(place, "does not say how it is split", that=not data.splits or data.splitter is not None)
    if data.splitter is not None:
        _check_splitter(data, data.splitter, place)
    for name, column in data.columns.items():
        _check_shape(column.shape, f"{place}.{name}")
    _check_scale(data, place)
    check_folds(data, place)


def _check_splitter(data: Data, component: Component, place: str) -> None:
    splitter = _check_component("split", component, place)
    by_code = component.code is not None
    expect(place, "does not say what was divided by code", that=by_code == bool(data.divided))
    seed = data.divided.seed if data.divided is not None else component.args.get("seed", 0)
    _check_seed(seed, place)
    if isinstance(splitter, Splitter):
        match splitter:
            case RandomSplit(ratios=names) | OrderedSplit(ratios=names):
                labels = set(names)
            case _:
                labels = set(splitter.splits)
        same = not data.splits or labels == data.sizes.keys()
        expect(place, "has other splits than it says", that=same)
        read = key_columns(splitter)
    else:
        read = named_columns(component)
    known = data.columns.keys() >= set(read)
    expect(place, "is split by a column that it does not have", that=known)


def _check_scale(data: Data, place: str) -> None:
    for each in data.scale:
        scaler = _check_component("scaler", each.component, place)
        columns = [data.columns.get(name) for name in each.columns]
        known = [column for column in columns if column is not None]
        right = bool(known) and len(known) == len(columns) == len(set(each.columns))
        expect(place, "scales a column that it does not have", that=right)
        numbers = all(column.dtype in NUMBERS for column in known)
        expect(place, "scales a column that is no numbers", that=numbers)
        split = each.fit_on is None or each.fit_on in data.sizes
        expect(place, f"fits a scaler on the unknown split {each.fit_on}", that=split)
        elements = sum(prod(column.shape) for column in known)
        fits = scaler is None or fault(scaler, elements) is None
        expect(place, "scales with arguments that do not fit", that=fits)
    for made, name in data.scaled.items():
        column = data.columns.get(made)
        same = column is not None and column.shape == data.columns[name].shape
        floats = column is not None and column.dtype in ("float32", "float64")
        expect(f"{place}.{made}", "is not what a scaler makes", that=same and floats)


def _check_seed(seed: object, place: str) -> None:
    expect(
        place, f"has the impossible seed {seed}", that=isinstance(seed, int) and 0 <= seed < 1 << 64
    )


def _check_graph(plan: Plan) -> None:
    nodes, order = plan.graph.nodes, plan.graph.order
    expect("graph.order", "does not list every node once", that=sorted(order) == sorted(nodes))
    before: set[str] = set()
    for label in order:
        node = nodes[label]
        place = f"graph.nodes.{label}"
        expect(place, "is not a label", that=_matches(LABEL, label))
        expect(place, f"gives values of type {node.dtype}", that=node.dtype in NUMBERS)
        _check_shape(node.shape, place)
        many = node.kind == "merge"
        expect(place, "has no input", that=len(node.inputs) == 1 or (many and len(node.inputs) > 1))
        for read in node.inputs:
            _check_read(plan, read, before, place)
        if node.target is not None:
            expect(place, "has a target that is no column", that=bool(node.target.columns))
            _check_read(plan, node.target, before, place)
        _check_node(node, place)
        before.add(label)


def _check_node(node: Node, place: str) -> None:
    if node.backend == "sklearn" and node.component.live is not None:
        _check_live("model", node.component.use, place)
        expect(place, "does not say what it is asked for", that=node.method is not None)
        return
    if node.backend == "sklearn":
        _check_estimator(node.component, place)
        return
    unjoined = not node.joins or (node.backend == "torch" and node.component.code is not None)
    expect(place, "is no merge of modules", that=unjoined)
    try:
        made = _made(_check_component(node.kind, node.component, place), node)
    except ShapeError as error:
        raise PlanError(f"{place}: {error}") from None
    own = node.component.code is not None or node.component.live is not None
    expect(place, f"does not give rows of the shape {node.shape}", that=own or made == node.shape)


def _made(component: Declared | None, node: Node) -> Shape | None:
    """The shape that a model or merge gives a row. Raises ShapeError where it cannot read its inputs."""
    match component:
        case Concat():
            return concat_shape(
                [read.shape for read in node.inputs], component.axis, pad=component.pad
            )
        case Cnn() | TemporalCnn():
            features = cnn_features(component, node.inputs[0].shape)
            if not component.flatten_output:
                return features
    return component.output_shape if isinstance(component, Network) else None


def _check_read(plan: Plan, read: Read, before: set[str], place: str) -> None:
    _check_shape(read.shape, place)
    expect(place, f"reads values of type {read.dtype}", that=read.dtype in NUMBERS)
    if not read.columns:
        expect(
            place, f"reads {read.value}, which no node before it gives", that=read.value in before
        )
        elements = prod(plan.graph.nodes[read.value].shape)
    else:
        data = plan.data.get(read.value.partition(".")[0])
        known = data.columns if data else {}
        expect(place, f"reads the unknown {read.value}", that=known.keys() >= set(read.columns))
        for name in read.columns:
            expect(place, f"reads {name}, no numbers", that=known[name].dtype in NUMBERS)
        elements = sum(prod(known[name].shape) for name in read.columns)
    expect(
        place, f"reads {read.value} as the shape {read.shape}", that=elements == prod(read.shape)
    )


def _check_phase(plan: Plan, phase: Phase, place: str) -> None:
    if isinstance(phase, Call):
        _check_call(phase, place)
        return
    data = plan.data.get(phase.data)
    expect(place, f"reads the unknown FeatureSet {phase.data}", that=data is not None)
    if data is None:
        return
    sizes = data.sizes_in(data.fold_of(phase.passes))
    rows = data.rows if phase.split is None else sizes.get(phase.split)
    expect(
        place, f"reads the wrong rows of {phase.data}", that=phase.rows == rows and phase.rows > 0
    )
    expect(place, "has no steps", that=phase.steps > 0)
    read = {phase.data}
    if isinstance(phase, Train):
        read = {feed.data for feed in phase.all_feeds}
    for label in phase.joined if isinstance(phase, Eval) else ():
        _check_joined(plan, phase, label, place)
        read.add(label)
    _check_nodes(plan, phase.nodes, read, place)
    _check_objectives(plan, (*phase.losses, *phase.metrics), phase.nodes, place)
    _check_components_of(phase, place)
    for record in phase.records:
        _check_record(plan, _sources(phase), phase.nodes, record, place)
    labels = [callback.label for callback in phase.callbacks]
    expect(place, "has two callbacks of one label", that=len(set(labels)) == len(labels))
    for callback in phase.callbacks:
        _check_component("callback", callback.component, place)
        own = callback.component.code is not None or callback.component.live is not None
        expect(place, f"calls `{callback.component.use}`, which is built in", that=own)
    match phase:
        case Train():
            _check_training(plan, phase, place)
        case Fit():
            _check_subset(phase.fitted, phase.nodes, place, "fits")
            _check_backends(plan, phase.fitted, "sklearn", place, "fits")
        case Eval():
            _check_batch_size(phase, place)


def _check_joined(plan: Plan, phase: Phase, label: str, place: str) -> None:
    data = plan.data.get(label)
    sizes = {} if data is None else data.sizes_in(data.fold_of(phase.passes))
    rows = data.rows if data is not None and phase.split is None else sizes.get(phase.split or "")
    expect(place, f"reads the wrong rows of {label}", that=rows == phase.rows)


def _check_call(phase: Call, place: str) -> None:
    if phase.function.code is None:
        raise PlanError(f"{place} does not say which code it calls")
    _check_reference("function", phase.function.use, phase.function.code, place)
    read = (phase.data, phase.split, phase.rows, phase.nodes, phase.losses, phase.metrics)
    nothing = ("", None, 0, (), (), ())
    expect(place, "reads data, which a call cannot", that=read == nothing and not phase.records)


def _check_training(plan: Plan, phase: Train, place: str) -> None:
    _check_subset(phase.trainable, phase.nodes, place, "trains")
    if phase.trainable or not phase.fits:
        _check_backends(plan, phase.trainable, "torch", place, "trains")
    if phase.fits:
        _check_subset(phase.fits, phase.nodes, place, "fits")
        _check_backends(plan, phase.fits, "sklearn", place, "fits")
    _check_optimizers(phase, place)
    expect(place, "accumulates no gradients", that=phase.accumulate > 0)
    expect(place, "has no epochs or no losses", that=phase.epochs > 0 and bool(phase.losses))
    for feed in phase.all_feeds:
        _check_component("sampler", feed.sampler.component, place)
        _check_seed(feed.sampler.seed, place)
    check_feeds(plan, phase, place)
    rate = phase.learning_rate
    if rate is not None:
        right = 0 <= rate.warmup < phase.epochs * phase.updates and rate.every_n_epochs > 0
        right &= min(rate.milestones, default=1) > 0 and 0 < rate.pct_start < 1
        right &= rate.div_factor > 0 and rate.final_div_factor > 0
        expect(place, "has an impossible schedule of the learning rate", that=right)
    plateau = phase.plateau
    if plateau is not None:
        right = 0 < plateau.factor < 1 and plateau.patience >= 0 and plateau.cooldown >= 0
        expect(place, "has an impossible change of the learning rate", that=right)
    for evaluation in phase.evaluations:
        label = evaluation.data or phase.data
        data = plan.data.get(label)
        if data is None:
            raise PlanError(f"{place} evaluates the unknown FeatureSet {label}")
        size = data.sizes_in(data.fold_of(phase.passes)).get(evaluation.split)
        expect(place, f"evaluates the wrong {evaluation.split}", that=evaluation.rows == size)
        expect(place, "evaluates after no epoch", that=evaluation.every_n_epochs > 0)
        _check_batch_size(evaluation, place)
        _check_nodes(plan, evaluation.nodes, {label}, place)
        objectives = (*evaluation.losses, *evaluation.metrics)
        _check_objectives(plan, objectives, evaluation.nodes, place)
        _check_components_of(evaluation, place)
        for record in evaluation.records:
            _check_record(plan, {evaluation.data or phase.data}, evaluation.nodes, record, place)
        named = {*evaluation.means.values(), *evaluation.sums.values()}
        known = {loss.label for loss in evaluation.losses}
        expect(place, "makes a series of no loss", that=named <= known)


def _check_optimizers(phase: Train, place: str) -> None:
    limits = [
        each
        for clip in (phase.clip, *phase.clips.values())
        if clip is not None
        for each in (clip.value, clip.norm)
    ]
    expect(
        place, "clips gradients to nothing", that=all(each is None or each > 0 for each in limits)
    )
    if phase.optimizer is not None:
        _check_component("optimizer", phase.optimizer, place)
        expect(place, "has two kinds of optimizers", that=not phase.optimizers)
        return
    expect(place, "clips for no optimizer", that=phase.clips.keys() <= phase.optimizers.keys())
    one_each = phase.optimizers.keys() == set(phase.trainable)
    expect(place, "has nodes that no optimizer trains", that=one_each)
    for optimizer in phase.optimizers.values():
        _check_component("optimizer", optimizer, place)


def _sources(phase: Phase) -> set[str]:
    """Under which names the numbers of rows are recorded."""
    feeds = phase.all_feeds if isinstance(phase, Train) else ()
    joined = phase.joined if isinstance(phase, Eval) else ()
    heads = (label for feed in feeds for label in feed.nodes)
    return {phase.data, *joined, *(feed.data for feed in feeds), *heads}


def _check_record(
    plan: Plan, sources: set[str], nodes: tuple[str, ...], record: Record, place: str
) -> None:
    if record.field == "sample_id":
        owners, elements = {*sources}, 1
    else:
        owners = set(nodes)
        node = plan.graph.nodes.get(record.node)
        source = node.target if node and record.field == "targets" else node
        elements = prod(source.shape) if source else 0
    expect(place, f"records the unknown {record.node}", that=record.node in owners)
    expect(place, "records a role that is no label", that=_matches(LABEL, record.role))
    _check_shape(record.shape, place)
    fits = elements == prod(record.shape) and record.dtype in NUMBERS
    expect(place, f"records {record.field} of {record.node} as something else", that=fits)


def _check_batch_size(phase: Eval | Evaluation, place: str) -> None:
    size = phase.batch_size
    expect(place, "has an impossible batch_size", that=size is None or size > 0)


def _check_components_of(phase: Phase | Evaluation, place: str) -> None:
    for loss in phase.losses:
        _check_component("loss", loss.component, place)
    for metric in phase.metrics:
        _check_component("metric", metric.component, place)


def _check_backends(
    plan: Plan, labels: tuple[str, ...], backend: str, place: str, verb: str
) -> None:
    right = all(plan.graph.nodes[label].backend == backend for label in labels)
    expect(place, f"{verb} nodes that are not of {backend}, or none", that=right and bool(labels))


def _check_nodes(
    plan: Plan, nodes: tuple[str, ...], feature_sets: Collection[str], place: str
) -> None:
    positions = [plan.graph.order.index(label) for label in nodes if label in plan.graph.nodes]
    expect(place, "computes an unknown node", that=len(positions) == len(nodes))
    expect(place, "computes its nodes in another order", that=positions == sorted(set(positions)))
    for label in nodes:
        for read in _reads(plan.graph.nodes[label]):
            known = set(nodes) if not read.columns else feature_sets
            owner = read.value.partition(".")[0]
            expect(
                place, f"does not compute {read.value}, which {label} reads", that=owner in known
            )


def _reads(node: Node) -> Iterable[Read]:
    return (*node.inputs, node.target) if node.target is not None else node.inputs


def _check_objectives(
    plan: Plan, objectives: tuple[Objective, ...], nodes: tuple[str, ...], place: str
) -> None:
    for objective in objectives:
        own = objective.component.live is not None or objective.component.code is not None
        least = 1 if own else 2
        compares = f"does not compare two values for {objective.label}"
        expect(place, compares, that=len(objective.arguments) >= least)
        for argument in objective.arguments:
            _check_subset((argument.node,), nodes, place, f"computes {objective.label} from")
            node = plan.graph.nodes[argument.node]
            source: Read | Node | Column | None = (
                node.target if argument.field == "targets" else node
            )
            if argument.field == "column":
                owner, _, name = argument.column.partition(".")
                source = plan.data[owner].columns.get(name) if owner in plan.data else None
            held = source is not None and prod(source.shape) == prod(argument.shape)
            expect(place, f"gives {objective.label} the shape {argument.shape}", that=held)
            expect(
                place,
                f"gives {objective.label} values of type {argument.dtype}",
                that=argument.dtype in NUMBERS,
            )


def _check_subset(some: Iterable[str], nodes: tuple[str, ...], place: str, verb: str) -> None:
    unknown = set(some) - set(nodes)
    expect(
        place, f"{verb} {', '.join(sorted(unknown))}, which it does not compute", that=not unknown
    )
