"""From the objects of a program to the spec that they mean, and to its plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.objects.accelerator import one_device
from specplan.objects.train_phase import TrainPhase
from specplan.samplers import OwnSampler
from specplan.spec.model import SPEC_VERSION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from specplan.data.feature_set import FeatureSet
    from specplan.objects.graph import ModelGraph
    from specplan.objects.loss import AppliedLoss
    from specplan.objects.phase import Phase
    from specplan.plan.model import Compiled, Graph

_OPTIMIZER = "optimizer"
"""What a spec calls the optimizer of a graph that it cannot write."""


def spec_of(
    label: str,
    graph: ModelGraph,
    phases: Sequence[Phase],
    entries: list[dict[str, Any]],
    *,
    seed: int,
    about: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """The spec of an experiment that runs `entries`, which name `phases`; `about` is what it says beside its label.

    Raises:
        ValueError: two different losses have one label, or phases and nodes name several devices.
    """
    of_nodes = (node.accelerator for node in graph.nodes.values())
    device = one_device([*(phase.accelerator for phase in phases), *of_nodes])
    return {
        "specplan": SPEC_VERSION,
        "experiment": {"id": label, **about},
        "run": {"seed": seed, "dirty_git": "ignore"}
        | ({} if device is None else {"device": device}),
        "data": {name: feature_set.section() for name, feature_set in _feature_sets(graph).items()},
        "graph": graph_section(graph),
        "losses": _losses(phases),
        "plan": entries,
    }


def named(compiled: Compiled, experiment: str) -> Compiled:
    """The plan under the name that its runs have: a label, or a prefix, which no spec can say."""
    about = msgspec.structs.replace(compiled.plan.experiment, id=experiment)
    plan = msgspec.structs.replace(compiled.plan, experiment=about)
    return msgspec.structs.replace(compiled, plan=plan)


def graph_section(graph: ModelGraph) -> dict[str, Any]:
    """The graph as the section `graph` of a spec."""
    nodes = {name: node.spec() for name, node in graph.nodes.items()}
    optimizer = {} if graph.optimizer is None else graph.optimizer.section(_OPTIMIZER)
    return {"nodes": nodes, **optimizer}


def compile_objects(
    spec: dict[str, Any],
    graph: ModelGraph,
    phases: Sequence[Phase] = (),
    *,
    fitted: Collection[str] = (),
) -> Compiled:
    """Compile a spec with the columns of the graph's FeatureSets bound.

    Args:
        spec: what `spec_of` made.
        graph: the graph that it describes; `phases` are those that it has.
        fitted: nodes that an earlier call fitted.

    Raises:
        SpecError: the spec is wrong.
        ValueError: two callbacks of phases of the same label have one label.
    """
    from specplan.plan.compile import compile_mapping

    tables: Mapping[str, Mapping[str, NDArray[Any]]] = {
        name: feature_set.table
        for name, feature_set in _feature_sets(graph).items()
        if spec["data"][name]["source"]["use"] == "memory"
    }
    return compile_mapping(
        spec, folder=Path(), tables=tables, live=live_objects(graph, phases), fitted=fitted
    )


def live_objects(graph: ModelGraph, phases: Sequence[Phase] = ()) -> dict[str, Any]:
    """The objects of the program that a spec calls `live:NAME`, by name.

    Raises:
        ValueError: two of them have one name.
    """
    found: dict[str, Any] = {}
    for node in graph.nodes.values():
        found |= node.live_objects()
    if graph.optimizer is not None and graph.optimizer.live is not None:
        found[_OPTIMIZER] = graph.optimizer.live
    for phase in phases:
        for loss in losses_of(phase):
            if loss.loss.live is not None:
                found[loss.live_name] = loss.loss.live
        for binding in phase.input_sources:
            if not isinstance(binding.sampler, OwnSampler):
                continue
            name, make = binding.sampler.live_name, binding.sampler.live
            if found.setdefault(name, make) is not make:
                raise ValueError(
                    f"a sampler of phase `{phase.label}` has the name `{name}` of another object; give it "
                    "another `name`"
                )
        for name, callback in phase.live_callbacks.items():
            if found.setdefault(name, callback) is not callback:
                raise ValueError(
                    f"callback `{callback.label}` of phase `{phase.label}` has the name of another "
                    "one; give it another `label`"
                )
    return found


def compile_graph(graph: ModelGraph) -> Graph:
    """The graph with all shapes."""
    return compile_nodes(graph, seed=0).plan.graph


def compile_nodes(graph: ModelGraph, *, seed: int) -> Compiled:
    """A plan of the nodes of a graph."""
    # All of them are in the plan, whichever compute: they need not read the same rows.
    entry = {"phase": "eval", "label": "build", "active": [next(iter(graph.head_nodes))]}
    spec = spec_of(graph.label, graph, (), [entry], seed=seed)
    return compile_objects(spec, graph, fitted=graph.nodes)


def _feature_sets(graph: ModelGraph) -> dict[str, FeatureSet]:
    read = [source for node in graph.nodes.values() for source in node.sources]
    return {source.feature_set.label: source.feature_set for source in read}


def _losses(phases: Sequence[Phase]) -> dict[str, Any]:
    section: dict[str, Any] = {}
    for phase in phases:
        for loss in losses_of(phase):
            written = loss.spec()
            if section.setdefault(loss.label, written) != written:
                raise ValueError(
                    f"two different losses are labelled `{loss.label}`: {section[loss.label]} and "
                    f"{written}; give one of them another `label`"
                )
    return section


def losses_of(phase: Phase) -> list[AppliedLoss]:
    """The losses of a phase and of what it evaluates between epochs."""
    evaluated = phase.evaluations if isinstance(phase, TrainPhase) else []
    return [
        *phase.losses,
        *(loss for evaluation in evaluated for loss in evaluation.losses),
    ]
