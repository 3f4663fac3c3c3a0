"""Files `<name>.mg.mml`: a graph with its weights, estimators and optimizer (docs/archive.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.archive.archive import Archive, archive_path, writing
from specplan.data.context import active_context
from specplan.data.feature_set import FeatureSet
from specplan.data.feature_set_file import StoredColumn, missing_columns, stored_column
from specplan.data.reference import FeatureSetReference
from specplan.errors import ArchiveError
from specplan.objects.checkpoint_file import About, read_checkpoint, write_checkpoint
from specplan.objects.checkpointing import SUFFIX
from specplan.objects.experiment import Experiment
from specplan.objects.from_spec import graph_from
from specplan.objects.live import live_of
from specplan.objects.mapping import graph_section, live_objects
from specplan.objects.state_entries import (
    FOLDER,
    add_snapshot,
    read_snapshot,
    state_bytes,
    state_from_bytes,
)
from specplan.objects.stored_object import object_from, stored_object
from specplan.spec.model import GraphSpec
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from specplan.data.context import ExperimentContext
    from specplan.objects.graph import ModelGraph
    from specplan.run.state import Snapshot, State

ABOUT = "graph.json"


class StoredGraph(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a graph is but its state.

    Attributes:
        graph: the section of that name in a spec.
        nodes: ids by label.
        reads: the columns that it reads or aims at, by FeatureSet.
        objects: what the section calls `live:NAME`, by name, as class and arguments.
    """

    label: str
    graph: dict[str, Any]
    nodes: dict[str, str]
    reads: dict[str, tuple[StoredColumn, ...]]
    objects: dict[str, dict[str, Any]]


def save_graph(graph: ModelGraph, path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Write `<path>.mg.mml`; returns its path.

    Raises:
        FileExistsError: it is there already, and is not to be overwritten.
        ValueError: an object of the program cannot be stored without pickle.
        RunError: a fitted estimator cannot.
    """
    about = StoredGraph(
        label=graph.label,
        graph=graph_section(graph),
        nodes={name: node.id for name, node in graph.nodes.items()},
        reads=_reads(graph),
        objects={
            name: stored_object(f"`{name}` of ModelGraph `{graph.label}`", each)
            for name, each in live_objects(graph).items()
        },
    )
    snapshot = _snapshot(graph)
    target = archive_path(path, "mg")
    with writing(target, "mg", overwrite=overwrite) as archive:
        archive.add_json(ABOUT, about)
        if snapshot is not None:
            add_snapshot(archive, snapshot)
    return target


def load_graph(
    path: str | os.PathLike[str],
    feature_sets: Sequence[FeatureSet],
    *,
    allow_import: bool,
    overwrite: bool,
) -> ModelGraph:
    """The graph of a file with its state, registered in the active context.

    Args:
        path: the file.
        feature_sets: what it reads, before those of the active context.
        allow_import: whether modules that the file names may be imported.
        overwrite: whether it takes the place of a graph and of nodes with its labels.

    Raises:
        FileNotFoundError: there is no such file.
        ArchiveError: it is damaged or no graph, or an object cannot be made again.
        ValueError: a FeatureSet is missing or does not fit, or a label is taken.
    """
    context = active_context()
    with Archive(Path(path), "mg") as archive:
        about = archive.read_json(ABOUT, StoredGraph)
        known = {each.label: each for each in (*context.members(FeatureSet), *feature_sets)}
        _check_reads(archive, about, known)
        if not overwrite:
            _check_free(about, context)
        objects = {
            name: object_from(f"`{name}`", stored, allow_import=allow_import)
            for name, stored in about.objects.items()
        }
        with context.undone_on_failure(), context.use_policy("overwrite"):
            return _restored(archive, about, known, objects)


def save_graph_checkpoint(
    graph: ModelGraph,
    path: str | os.PathLike[str],
    *,
    overwrite: bool,
    meta: Mapping[str, Any] | None,
) -> Path:
    """Write `<path>.ckpt.mml` with weights, estimators, optimizer and generators; returns its path.

    Raises:
        FileExistsError: it is there already, and is not to be overwritten.
        RunError: a node or the optimizer holds what cannot be stored without pickle.
    """
    target = archive_path(path, "ckpt")
    experiment = _experiment_of(graph)
    about = About(
        name=target.name.removesuffix(SUFFIX),
        experiment="" if experiment is None else experiment.label,
        graph=graph.label,
        meta=dict(meta or {}),
    )
    write_checkpoint(target, about, _built_snapshot(graph), {}, overwrite=overwrite)
    return target


def restore_graph_checkpoint(graph: ModelGraph, path: str | os.PathLike[str]) -> None:
    """Give a graph, and the experiment that runs it, the state of a checkpoint of either.

    Raises:
        FileNotFoundError: there is no such file.
        ArchiveError, StoreError: it is damaged.
        RunError: its nodes are not those of the graph.
    """
    _restore(graph, lambda state: read_checkpoint(Path(path), state)[1])


def state_of(graph: ModelGraph) -> dict[str, Any]:
    """What calls have changed of a graph: `model` (a checkpoint), and ids of `nodes` by label.

    Raises:
        RunError: a node or the optimizer holds what cannot be stored without pickle.
    """
    return {
        "is_built": graph.is_built,
        "nodes": {label: node.id for label, node in graph.nodes.items()},
        "model": state_bytes(_built_snapshot(graph)),
    }


def restore_state(graph: ModelGraph, state: Mapping[str, Any]) -> None:
    """Bring back what `state_of` gave, of a graph of the same nodes.

    Raises:
        RunError: its nodes are not those of the graph.
    """
    _restore(graph, lambda own: state_from_bytes(state["model"], own))
    for label, node in graph.nodes.items():
        node.id = state["nodes"][label]


def _restore(graph: ModelGraph, read: Callable[[State], Snapshot]) -> None:
    experiment = _experiment_of(graph)
    if experiment is not None:
        experiment.restore_graph(read)
    else:
        live = live_of(graph)
        live.build(seed=0)
        snapshot = read(live.state)
        graph.restored = state_bytes(snapshot)
        live.go_back(snapshot)
        live.give_back()
    graph.build()


def _built_snapshot(graph: ModelGraph) -> Snapshot:
    """The state of a graph, which is a fresh one where nothing has run it."""
    snapshot = _snapshot(graph)
    if snapshot is not None:
        return snapshot
    live = live_of(graph)
    live.build(seed=0)
    return live.state.capture()


def _restored(
    archive: Archive,
    about: StoredGraph,
    feature_sets: Mapping[str, FeatureSet],
    objects: Mapping[str, Any],
) -> ModelGraph:
    try:
        msgspec.convert(about.graph, GraphSpec)
        graph = graph_from({"graph": about.graph}, about.label, feature_sets, objects)
        for name, node in graph.nodes.items():
            node.id = about.nodes[name]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ArchiveError(f"`{archive.path}`: ModelGraph `{about.label}`: {error}") from error
    if archive.below(FOLDER):
        live = live_of(graph)
        live.build(seed=0)
        snapshot = read_snapshot(archive, live.state)
        graph.restored = state_bytes(snapshot)
        live.go_back(snapshot)
        live.give_back()
    graph.build()
    return graph


def _experiment_of(graph: ModelGraph) -> Experiment | None:
    """The experiment that runs a graph: that of its context, unless another graph took its place."""
    experiment = graph.context.experiment
    return (
        experiment
        if isinstance(experiment, Experiment) and experiment.model_graph is graph
        else None
    )


def _snapshot(graph: ModelGraph) -> Snapshot | None:
    """The state that the experiment of its context has given a graph; None before there is one."""
    experiment = _experiment_of(graph)
    if experiment is not None:
        return experiment.capture()
    return None if graph.restored is None else live_of(graph).state.capture()


def _reads(graph: ModelGraph) -> dict[str, tuple[StoredColumn, ...]]:
    found: dict[str, dict[str, StoredColumn]] = {}
    references = [
        read
        for node in graph.nodes.values()
        for read in node.upstreams
        if isinstance(read, FeatureSetReference)
    ]
    for read in references:
        columns = found.setdefault(read.feature_set.label, {})
        for name in read.columns:
            if name.domain != "tags":
                columns[str(name)] = stored_column(name, read.feature_set)
    return {label: tuple(columns.values()) for label, columns in found.items()}


def _check_reads(archive: Archive, about: StoredGraph, known: Mapping[str, FeatureSet]) -> None:
    for label, columns in about.reads.items():
        if label not in known:
            raise ValueError(
                f"ModelGraph `{about.label}` of `{archive.path}` reads FeatureSet `{label}`; make or "
                f"load it before, or give it: featuresets=[...]; known: {choices(label, known)}"
            )
        feature_set = known[label]
        own = [stored_column(name, feature_set) for name in feature_set.column_names()]
        if reasons := missing_columns(columns, own):
            raise ValueError(
                f"ModelGraph `{about.label}` of `{archive.path}` cannot read FeatureSet `{label}`: "
                + "; ".join(reasons)
            )


def _check_free(about: StoredGraph, context: ExperimentContext) -> None:
    """Raise ValueError for labels that are taken: renamed nodes would not be those of the state."""
    taken = [name for name in (*about.nodes, about.label) if name in context.labels()]
    if taken:
        raise ValueError(
            f"the active context has {quoted(taken)} already; overwrite=True replaces them, or load "
            "the graph after another Experiment was made"
        )
