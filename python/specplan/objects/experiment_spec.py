"""An experiment of a spec, in a context of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.data.context import ExperimentContext, active_context
from specplan.data.feature_set import FeatureSet
from specplan.objects.from_spec import fill_from, graph_from
from specplan.objects.listed_file import fill_listed, is_listed
from specplan.objects.spec_file import checked_spec
from specplan.spec.load import load

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from specplan.objects.experiment import Experiment
    from specplan.spec.document import Document


def experiment_from(
    kind: type[Experiment],
    spec: Mapping[str, Any],
    feature_sets: Sequence[FeatureSet],
    live: Mapping[str, Any],
) -> Experiment:
    """The objects that mean a spec with every default written out.

    Raises:
        KeyError: it does not say what it should.
        ValueError: a FeatureSet or an object is missing, or the spec says what no object does.
    """
    about = spec["experiment"]
    experiment = kind(
        about["id"],
        ctx=ExperimentContext(),
        seed=spec["run"]["seed"],
        readme=about.get("description") or None,
        tags=about.get("tags"),
    )
    by_label = _registered(experiment, feature_sets)
    graph = graph_from(spec, "model-graph", by_label, live)
    fill_from(experiment.execution_plan, spec, graph, live)
    return experiment


def experiment_of_file(
    kind: type[Experiment],
    path: str | os.PathLike[str],
    feature_sets: Sequence[FeatureSet] | None,
    live: Mapping[str, Any],
) -> Experiment:
    """The objects that mean the spec in a file, or a file that lists them. Without them, the active context stays.

    Raises:
        SpecError: the file is missing, or holds no spec.
        ValueError: a FeatureSet, an object or a default is missing, or the spec says what no object does.
    """
    before = active_context()
    known = before.members(FeatureSet) if feature_sets is None else feature_sets
    document = load(path)
    try:
        if is_listed(document.value):
            return _of_list(kind, document, known, live)
        return experiment_from(kind, checked_spec(document), known, live)
    except ValueError:
        before.activate()
        raise
    except KeyError as error:
        before.activate()
        raise ValueError(
            f"`{path}` does not say {error}; an Experiment is made of a spec with every default "
            "written out, as to_yaml gives it"
        ) from error


def _of_list(
    kind: type[Experiment],
    document: Document,
    feature_sets: Sequence[FeatureSet],
    live: Mapping[str, Any],
) -> Experiment:
    label = document.value["experiment"].get("label", "experiment")
    experiment = kind(label, ctx=ExperimentContext())
    by_label = _registered(experiment, feature_sets)
    fill_listed(experiment.execution_plan, document, by_label, live)
    return experiment


def _registered(
    experiment: Experiment, feature_sets: Sequence[FeatureSet]
) -> dict[str, FeatureSet]:
    for each in feature_sets:
        experiment.ctx.register("node", each.label, each)
    return {each.label: each for each in feature_sets}
