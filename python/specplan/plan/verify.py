"""The check of a plan that comes from a file, before it is run: that it holds together."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

from specplan.errors import PlanError
from specplan.plan.dtypes import NUMBERS
from specplan.plan.model import Eval, Fit, Train

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specplan.plan.model import Node, Objective, Phase, Plan, Read, Shape

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PHASE_PATH = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")


def verify(plan: Plan) -> None:
    """Check that every name resolves, that the order is topological, and that shapes can be.

    Raises:
        PlanError: naming the first part of the plan that does not hold.
    """
    _expect("experiment.id", "is not a label", that=_matches(_LABEL, plan.experiment.id))
    for label, data in plan.data.items():
        place = f"data.{label}"
        _expect(place, "is not a label", that=_matches(_LABEL, label))
        _expect(place, "is also the name of a node", that=label not in plan.graph.nodes)
        _expect(place, "has no rows", that=data.rows > 0)
        _expect(
            place,
            "has other splits",
            that=not data.splits or sum(data.sizes.values()) == data.rows,
        )
        for name, column in data.columns.items():
            _check_shape(column.shape, f"{place}.{name}")
    _check_graph(plan)
    paths: set[str] = set()
    for index, phase in enumerate(plan.phases):
        place = f"phases[{index}]"
        _expect(place, "has a path that is no label", that=_matches(_PHASE_PATH, phase.path))
        _expect(place, f"repeats the path {phase.path}", that=phase.path not in paths)
        paths.add(phase.path)
        _check_phase(plan, phase, place)


def _expect(place: str, fault: str, *, that: bool) -> None:
    if not that:
        raise PlanError(f"{place} {fault}")


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None


def _check_shape(shape: Shape, place: str) -> None:
    _expect(place, f"has the impossible shape {shape}", that=all(size > 0 for size in shape))


def _check_graph(plan: Plan) -> None:
    nodes, order = plan.graph.nodes, plan.graph.order
    _expect("graph.order", "does not list every node once", that=sorted(order) == sorted(nodes))
    before: set[str] = set()
    for label in order:
        node = nodes[label]
        place = f"graph.nodes.{label}"
        _expect(place, "is not a label", that=_matches(_LABEL, label))
        _expect(place, f"gives values of type {node.dtype}", that=node.dtype in NUMBERS)
        _check_shape(node.shape, place)
        many = node.backend == "merge"
        _expect(
            place, "has no input", that=len(node.inputs) == 1 or (many and len(node.inputs) > 1)
        )
        for read in node.inputs:
            _check_read(plan, read, before, place)
        if node.target is not None:
            _expect(place, "has a target that is no column", that=bool(node.target.columns))
            _check_read(plan, node.target, before, place)
        before.add(label)


def _check_read(plan: Plan, read: Read, before: set[str], place: str) -> None:
    _check_shape(read.shape, place)
    _expect(place, f"reads values of type {read.dtype}", that=read.dtype in NUMBERS)
    if not read.columns:
        _expect(
            place, f"reads {read.value}, which no node before it gives", that=read.value in before
        )
        elements = prod(plan.graph.nodes[read.value].shape)
    else:
        data = plan.data.get(read.value.partition(".")[0])
        known = data.columns if data else {}
        _expect(place, f"reads the unknown {read.value}", that=known.keys() >= set(read.columns))
        elements = sum(prod(known[name].shape) for name in read.columns)
    _expect(
        place, f"reads {read.value} as the shape {read.shape}", that=elements == prod(read.shape)
    )


def _check_phase(plan: Plan, phase: Phase, place: str) -> None:
    data = plan.data.get(phase.data)
    _expect(place, f"reads the unknown FeatureSet {phase.data}", that=data is not None)
    if data is None:
        return
    rows = data.rows if phase.split is None else data.sizes.get(phase.split)
    _expect(
        place, f"reads the wrong rows of {phase.data}", that=phase.rows == rows and phase.rows > 0
    )
    _expect(place, "has no steps", that=phase.steps > 0)
    _check_nodes(plan, phase.nodes, phase.data, place)
    _check_objectives(plan, (*phase.losses, *phase.metrics), phase.nodes, place)
    for record in phase.records:
        owners = {phase.data} if record.field == "sample_id" else set(phase.nodes)
        _expect(place, f"records the unknown {record.node}", that=record.node in owners)
        _check_shape(record.shape, place)
    match phase:
        case Train():
            _check_subset(phase.trainable, phase.nodes, place, "trains")
            _expect(
                place, "has no epochs or no losses", that=phase.epochs > 0 and bool(phase.losses)
            )
            for evaluation in phase.evaluations:
                size = data.sizes.get(evaluation.split)
                _expect(
                    place, f"evaluates the wrong {evaluation.split}", that=evaluation.rows == size
                )
                _check_nodes(plan, evaluation.nodes, phase.data, place)
                objectives = (*evaluation.losses, *evaluation.metrics)
                _check_objectives(plan, objectives, evaluation.nodes, place)
        case Fit():
            _check_subset(phase.fitted, phase.nodes, place, "fits")
        case Eval():
            size = phase.batch_size
            _expect(place, "has an impossible batch_size", that=size is None or size > 0)


def _check_nodes(plan: Plan, nodes: tuple[str, ...], feature_set: str, place: str) -> None:
    positions = [plan.graph.order.index(label) for label in nodes if label in plan.graph.nodes]
    _expect(place, "computes an unknown node", that=len(positions) == len(nodes))
    _expect(place, "computes its nodes in another order", that=positions == sorted(set(positions)))
    for label in nodes:
        for read in _reads(plan.graph.nodes[label]):
            known = set(nodes) if not read.columns else {feature_set}
            owner = read.value.partition(".")[0]
            _expect(
                place, f"does not compute {read.value}, which {label} reads", that=owner in known
            )


def _reads(node: Node) -> Iterable[Read]:
    return (*node.inputs, node.target) if node.target is not None else node.inputs


def _check_objectives(
    plan: Plan, objectives: tuple[Objective, ...], nodes: tuple[str, ...], place: str
) -> None:
    for objective in objectives:
        for argument in objective.arguments:
            _check_subset((argument.node,), nodes, place, f"computes {objective.label} from")
            node = plan.graph.nodes[argument.node]
            source = node.target if argument.field == "targets" else node
            held = source is not None and prod(source.shape) == prod(argument.shape)
            _expect(place, f"gives {objective.label} the shape {argument.shape}", that=held)


def _check_subset(some: Iterable[str], nodes: tuple[str, ...], place: str, verb: str) -> None:
    unknown = set(some) - set(nodes)
    _expect(
        place, f"{verb} {', '.join(sorted(unknown))}, which it does not compute", that=not unknown
    )
