"""The structure of an experiment as plain values, and the objects that it means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.data.context import ExperimentContext, active_context
from specplan.data.feature_set import FeatureSet
from specplan.errors import ArchiveError
from specplan.objects.checkpointing import Checkpointing
from specplan.objects.experiment_callback import ExperimentCallback
from specplan.objects.from_spec import fill_from, graph_from
from specplan.objects.mapping import graph_section, live_objects, spec_of
from specplan.objects.node import nodes_of
from specplan.objects.phase_group import entries_by_path, entries_spec
from specplan.objects.results_config import ResultsConfig
from specplan.objects.stored_object import object_from, stored_or_refused
from specplan.objects.train_phase import TrainPhase
from specplan.run.callback import Callback

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from specplan.objects.experiment import Experiment
    from specplan.objects.graph import ModelGraph
    from specplan.objects.phase_group import PhaseGroup
    from specplan.objects.stored_object import Stored

_CALLBACK = "callback."
"""Before the number of a callback of the experiment among its objects."""


def config_of(experiment: Experiment) -> dict[str, Any]:
    """Label, policy, graph, phases and what is done at their boundaries, as plain values.

    Objects of the program are their class and arguments, or the reason why they cannot be so.
    """
    graph, plan = experiment.model_graph, experiment.execution_plan
    automatic = experiment.checkpointing
    objects: dict[str, object] = {} if graph is None else live_objects(graph, plan.flatten())
    for number, callback in enumerate(experiment.exp_callbacks):
        objects[f"{_CALLBACK}{number}"] = callback
    return {
        "label": experiment.label,
        "prefix": experiment.prefix,
        "seed": experiment.seed,
        "registration_policy": experiment.ctx.registration_policy,
        "about": {
            "readme": experiment.readme,
            "tags": experiment.tags,
            "bindrs": list(experiment.bindrs),
            "metadata": experiment.metadata,
        },
        "graph": None if graph is None else graph.label,
        "nodes": {} if graph is None else {name: node.id for name, node in graph.nodes.items()},
        "spec": None if graph is None else _spec(experiment.label, graph, plan, experiment.seed),
        "objects": _stored(experiment.label, objects),
        "checkpointing": None if automatic is None else automatic.get_config(),
        "phase_checkpointing": {
            path: phase.checkpointing.get_config()
            for path, phase in entries_by_path(plan).items()
            if isinstance(phase, TrainPhase) and phase.checkpointing is not None
        },
        "results_config": (
            None if experiment.results_config is None else experiment.results_config.get_config()
        ),
    }


def safe_config(
    config: Mapping[str, Any],
    results_dir: str | os.PathLike[str] | None,
    checkpoint_dir: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """A config that came from elsewhere, with none of the directories that it names."""
    place = None if results_dir is None else {"results_dir": str(Path(results_dir))}
    if place is not None and config["results_config"] is not None:
        saves = ("save_execution", "save_metrics", "save_artifacts")
        place |= {name: config["results_config"][name] for name in saves}
    directory = None if checkpoint_dir is None else str(Path(checkpoint_dir))
    automatic = config["checkpointing"]
    return {
        **config,
        "results_config": place,
        "checkpointing": None if automatic is None else {**automatic, "directory": directory},
        "phase_checkpointing": {
            path: {**each, "directory": None}
            for path, each in config["phase_checkpointing"].items()
        },
    }


def _objects_of(config: Mapping[str, Any], *, allow_import: bool) -> dict[str, Any]:
    """The objects of a config by name.

    Raises:
        ArchiveError: a class is not known here or does not take its arguments, or the object could
            not be stored.
    """
    stored = config["objects"]
    found = {
        name: object_from(f"`{name}`", each, allow_import=allow_import)
        for name, each in stored.items()
        if "same" not in each
    }
    for name, each in stored.items():
        if "same" not in each:
            continue
        same = each["same"]
        if same not in found:
            raise ArchiveError(f"`{name}` is to be the same object as `{same}`, which is not there")
        found[name] = found[same]
    return found


def _stored(label: str, objects: Mapping[str, object]) -> dict[str, Stored]:
    """Objects by name; a callback that several phases have is stored once."""
    found: dict[str, Stored] = {}
    names: dict[int, str] = {}
    for name, each in objects.items():
        first = names.setdefault(id(each), name)
        found[name] = (
            {"same": first}
            if first != name and isinstance(each, Callback | ExperimentCallback)
            else stored_or_refused(f"`{name}` of Experiment `{label}`", each)
        )
    return found


def _callbacks_of(objects: Mapping[str, Any]) -> list[Any]:
    """The callbacks of the experiment among the objects of a config, in their order."""
    names = [name for name in objects if name.startswith(_CALLBACK)]
    return [objects[name] for name in sorted(names, key=lambda name: int(name[len(_CALLBACK) :]))]


def experiment_of(
    kind: type[Experiment], config: Mapping[str, Any], *, allow_import: bool
) -> Experiment:
    """An experiment of a config on the active context, with the FeatureSets that it has.

    Raises:
        ArchiveError: an object cannot be made again.
        ValueError: a FeatureSet is missing.
    """
    objects = _objects_of(config, allow_import=allow_import)
    place, prefix = config["results_config"], config.get("prefix")
    experiment = kind(
        config["label"] if prefix is None else None,
        config["registration_policy"],
        active_context(),
        callbacks=_callbacks_of(objects),
        results_config=None if place is None else ResultsConfig.from_config(place),
        seed=config["seed"],
        prefix=prefix,
        **config["about"],
    )
    if config["checkpointing"] is not None:
        experiment.set_checkpointing(Checkpointing.from_config(config["checkpointing"]))
    feature_sets = {each.label: each for each in experiment.ctx.members(FeatureSet)}
    fill(experiment, config, feature_sets, objects)
    return experiment


def ids_of(experiment: Experiment) -> dict[str, dict[str, str]]:
    """The ids of FeatureSets and nodes by label."""
    graph = experiment.model_graph
    return {
        "featuresets": {each.label: each.id for each in experiment.ctx.members(FeatureSet)},
        "nodes": {} if graph is None else {name: node.id for name, node in graph.nodes.items()},
    }


def take_ids(experiment: Experiment, ids: Mapping[str, Mapping[str, str]]) -> None:
    """Give FeatureSets and nodes the ids that `ids_of` gave."""
    for each in experiment.ctx.members(FeatureSet):
        each.id = ids["featuresets"].get(each.label, each.id)
    for node in nodes_of(experiment.ctx):
        node.id = ids["nodes"].get(node.label, node.id)


def fill(
    experiment: Experiment,
    config: Mapping[str, Any],
    feature_sets: Mapping[str, FeatureSet],
    objects: Mapping[str, Any],
) -> None:
    """Give an experiment without phases the graph and the phases of a config, in the active context.

    A graph of the same description that is there already is taken as it is.

    Raises:
        ValueError: a FeatureSet is missing, or the config says what objects cannot.
    """
    spec = config["spec"]
    if spec is None:
        return
    graph = experiment.model_graph
    if graph is None or graph_section(graph) != spec["graph"]:
        graph = graph_from(spec, config["graph"], feature_sets, objects)
        for name, node in graph.nodes.items():
            node.id = config["nodes"][name]
    plan = experiment.execution_plan
    fill_from(plan, spec, graph, objects)
    phases = entries_by_path(plan)
    for path, checkpointing in config["phase_checkpointing"].items():
        phase = phases[path]
        assert isinstance(phase, TrainPhase)
        phase.checkpointing = Checkpointing.from_config(checkpointing)


def check_comes_back(experiment: Experiment, config: Mapping[str, Any]) -> None:
    """Check that a config means the spec that it came from.

    Raises:
        ValueError: it does not, and what is the matter.
    """
    graph = experiment.model_graph
    if graph is None:
        return
    feature_sets = {each.label: each for each in experiment.ctx.members(FeatureSet)}
    live = live_objects(graph, experiment.execution_plan.flatten())
    with ExperimentContext().temporary() as context:
        again = type(experiment)(experiment.label, ctx=context, seed=experiment.seed)
        try:
            fill(again, config, feature_sets, live)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Experiment `{experiment.label}` cannot be saved: {error}; save its spec with to_spec()"
            ) from error
        spec = config_of(again)["spec"]
    for section in spec:
        if spec[section] != config["spec"][section]:
            raise ValueError(
                f"Experiment `{experiment.label}` cannot be saved: its objects would not have the same "
                f"`{section}` when they are loaded; save its spec with to_spec()"
            )


def _spec(label: str, graph: ModelGraph, plan: PhaseGroup, seed: int) -> dict[str, Any]:
    spec = spec_of(label, graph, plan.flatten(), entries_spec(plan), seed=seed)
    # The rows come back from the archive, whatever file they were read from.
    for name, section in spec["data"].items():
        section["source"] = {"use": "memory", "name": name}
    return spec
