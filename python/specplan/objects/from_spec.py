"""From a spec back to the objects that mean it. They are registered in the active context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.components.callback import EarlyStopping, LearningRate, ReduceOnPlateau
from specplan.models.sklearn.wrapper import ScikitModelWrapper
from specplan.models.torch import SequentialCNN, SequentialMLP, TemporalCNN
from specplan.objects.binding import DEFAULT_STREAM, InputBinding
from specplan.objects.concat_node import ConcatNode, strategy_of
from specplan.objects.eval_phase import EvalPhase
from specplan.objects.evaluation import EvalLossMetric, Evaluation
from specplan.objects.fit_phase import FitPhase
from specplan.objects.graph import ModelGraph
from specplan.objects.loss import AppliedLoss, Loss
from specplan.objects.node import GraphNode, ModelNode
from specplan.objects.optimizer import Optimizer
from specplan.objects.phase import Phase, head_nodes
from specplan.objects.phase_group import PhaseGroup
from specplan.objects.train_phase import TrainPhase
from specplan.samplers import sampler_of
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from specplan.data.feature_set import FeatureSet
    from specplan.data.reference import FeatureSetReference
    from specplan.objects.phase_callback import PhaseCallback

Section = dict[str, Any]

_MODELS = {"mlp": SequentialMLP, "cnn": SequentialCNN, "temporal_cnn": TemporalCNN}


def graph_from(
    spec: Mapping[str, Any],
    label: str,
    feature_sets: Mapping[str, FeatureSet],
    live: Mapping[str, Any],
) -> ModelGraph:
    """The graph of a spec, with the FeatureSets that the spec names.

    Args:
        spec: the whole spec.
        label: of the graph, which a spec does not name.
        feature_sets: those of the spec by label.
        live: what the spec calls `live:NAME`, by name.

    Raises:
        ValueError: a FeatureSet or an object is missing, or the graph says what objects cannot.
    """
    section: Section = spec["graph"]
    _check_keys("graph", section, ("nodes", "optimizer", "clip"))
    nodes: dict[str, GraphNode] = {}

    def node(name: str) -> GraphNode:
        if name not in nodes:
            nodes[name] = _node(name, section["nodes"][name], feature_sets, live, node)
        return nodes[name]

    ordered = [node(name) for name in section["nodes"]]
    return ModelGraph(label, nodes=ordered, optimizer=_optimizer(section, live))


def fill_from(
    group: PhaseGroup, spec: Mapping[str, Any], graph: ModelGraph, live: Mapping[str, Any]
) -> None:
    """Add the phases and groups of a spec to an empty group.

    Raises:
        ValueError: an object is missing, or a phase says what objects cannot.
    """
    losses = {
        label: _loss(label, section, graph, live) for label, section in spec["losses"].items()
    }
    _Phases(graph, losses, live, spec["run"].get("device", "cpu")).fill(group, spec["plan"])


class _Phases:
    def __init__(
        self,
        graph: ModelGraph,
        losses: Mapping[str, AppliedLoss],
        live: Mapping[str, Any],
        device: str,
    ) -> None:
        self._accelerator = None if device == "cpu" else device
        self._graph = graph
        self._losses = losses
        self._live = live

    def fill(self, group: PhaseGroup, entries: Sequence[Section]) -> None:
        for entry in entries:
            if "group" in entry:
                _check_keys(f"group `{entry['group']}`", entry, ("group", "do"))
                inner = PhaseGroup(entry["group"])
                self.fill(inner, entry["do"])
                group.add_group(inner)
            elif "phase" in entry:
                group.add_phase(self._phase(entry))
            else:
                raise ValueError(f"{quoted(entry)} cannot be said by an object of Python")

    def _phase(self, entry: Section) -> Phase:
        make = {"train": self._train, "eval": self._eval, "fit": self._fit}.get(entry["phase"])
        if make is None:
            raise ValueError(f"a phase `{entry['phase']}` has no class in Python")
        return make(entry)

    def _train(self, entry: Section) -> Phase:
        own = (
            "epochs",
            "accumulate",
            "sampler",
            "inputs",
            "batch_schedule",
            "record",
            "record_nodes",
        )
        return TrainPhase(
            input_sources=self._trained(entry),
            n_epochs=entry["epochs"],
            accumulate=entry.get("accumulate", 1),
            batch_schedule=entry.get("batch_schedule", "zip_strict"),
            result_recording=entry["record"],
            record_nodes=entry.get("record_nodes", "judged"),
            **self._common(entry, own),
        )

    def _trained(self, entry: Section) -> list[InputBinding]:
        if "inputs" in entry:
            return [self._binding(each) for each in entry["inputs"]]
        sampler = sampler_of(entry["sampler"], self._live)
        return [
            InputBinding.for_training(node, sampler, split=entry.get("split"))
            for node in head_nodes(self._graph, entry.get("active"))
        ]

    def _binding(self, section: Section) -> InputBinding:
        _check_keys("an input", section, ("node", "from", "split", "sampler", "stream"))
        return InputBinding.for_training(
            self._graph.nodes[section["node"]],
            sampler_of(section["sampler"], self._live),
            upstream=section["from"],
            split=section.get("split"),
            stream=section.get("stream", DEFAULT_STREAM),
        )

    def _eval(self, entry: Section) -> Phase:
        return EvalPhase(
            input_sources=self._evaluated(entry),
            batch_size=entry.get("batch_size"),
            record_nodes=entry.get("record_nodes", "judged"),
            **self._common(entry, ("batch_size", "record_nodes")),
        )

    def _fit(self, entry: Section) -> Phase:
        freeze = entry["freeze_after_fit"]
        common = self._common(entry, ("freeze_after_fit",))
        return FitPhase(input_sources=self._evaluated(entry), freeze_after_fit=freeze, **common)

    def _evaluated(self, entry: Section) -> list[InputBinding]:
        return [
            InputBinding.for_evaluation(node, split=entry.get("split"))
            for node in head_nodes(self._graph, entry.get("active"))
        ]

    def _common(self, entry: Section, own: Sequence[str]) -> Section:
        """The arguments that all phases have; `own` are the keys that this kind adds."""
        known = ("phase", "label", "losses", "split", "active", "callbacks", *own)
        _check_keys(f"phase `{entry['label']}`", entry, known)
        return {
            "label": entry["label"],
            "losses": [self._losses[label] for label in entry.get("losses", ())],
            "active_nodes": entry.get("active"),
            "callbacks": [self._callback(each) for each in entry.get("callbacks", ())],
            "accelerator": self._accelerator,
        }

    def _callback(self, component: Section) -> PhaseCallback:
        declared = _DECLARED.get(component["use"])
        if declared is not None:
            return msgspec.convert(component, declared)
        if component["use"] == "evaluation":
            return self._evaluation(component)
        found: PhaseCallback = _bound(component, self._live)
        return found

    def _evaluation(self, component: Section) -> Evaluation:
        known = ("use", "split", "losses", "every_n_epochs", "as", "batch_size", "run_on_start")
        _check_keys("callback `evaluation`", component, (*known, "record", "means", "sums"))
        phase = EvalPhase(
            component.get("as") or component["split"],
            [
                InputBinding.for_evaluation(node, split=component["split"])
                for node in self._graph.head_nodes.values()
            ],
            [self._losses[label] for label in component["losses"]],
            batch_size=component.get("batch_size"),
        )
        reducers: Mapping[str, Literal["mean", "sum"]] = {"means": "mean", "sums": "sum"}
        metrics = [
            EvalLossMetric(self._losses[label], reducer, name)
            for key, reducer in reducers.items()
            for name, label in component[key].items()
        ]
        return Evaluation(
            phase,
            every_n_epochs=component["every_n_epochs"],
            run_on_start=component["run_on_start"],
            metrics=metrics,
            name=component.get("as"),
        )


_DECLARED: Mapping[str, type[EarlyStopping | LearningRate | ReduceOnPlateau]] = {
    "early_stopping": EarlyStopping,
    "learning_rate": LearningRate,
    "reduce_on_plateau": ReduceOnPlateau,
}
_OF_MODELS = ("training_mode", "output_method", "partial_fit_kwargs")


def _node(
    name: str,
    section: Section,
    feature_sets: Mapping[str, FeatureSet],
    live: Mapping[str, Any],
    node: Callable[[str], GraphNode],
) -> GraphNode:
    known = (
        "model",
        "merge",
        "input",
        "target",
        "optimizer",
        "clip",
        "frozen",
        "output_shape",
        *_OF_MODELS,
    )
    _check_keys(f"node `{name}`", section, known)
    target = section.get("target") or []
    targets = [target] if isinstance(target, str) else target
    inputs = section["input"]
    if "merge" in section:
        made: GraphNode = _merge(
            name,
            section,
            [
                _reference([each], targets, feature_sets) if "." in each else node(each)
                for each in inputs
            ],
        )
    else:
        single = isinstance(inputs, str) and "." not in inputs
        columns = [inputs] if isinstance(inputs, str) else inputs
        made = ModelNode(
            name,
            _model(section, live),
            node(inputs) if single else _reference(columns, targets, feature_sets),
            _optimizer(section, live),
        )
    made.is_frozen = section.get("frozen", False)
    return made


def _merge(name: str, section: Section, reads: list[GraphNode | FeatureSetReference]) -> ConcatNode:
    """A node whose targets are those of the spec, by whichever strategy."""
    use, arguments = _parted(section["merge"])
    if use != "concat":
        raise ValueError(f"the merge `{use}` has no class in Python")
    given = {
        "concat_axis": arguments["axis"],
        "pad_inputs": arguments.get("pad", False),
        "pad_mode": arguments.get("pad_mode", "constant"),
        "pad_value": arguments.get("pad_value", 0.0),
    }
    made = ConcatNode(name, reads, **given)
    strategies: list[int | str | GraphNode] = [-1, "first", "last"]
    strategies += [read for read in reads if isinstance(read, GraphNode)]
    for strategy in strategies:
        made.target_strategy = strategy_of("concat_axis_targets", strategy, reads)
        if made.spec().get("target") == section.get("target"):
            return made
    raise ValueError(f"node `{name}`: no input has the target {section.get('target')}")


def _reference(
    columns: Sequence[str], targets: Sequence[str], feature_sets: Mapping[str, FeatureSet]
) -> FeatureSetReference:
    label = columns[0].partition(".")[0]
    if label not in feature_sets:
        raise ValueError(
            f"the spec reads FeatureSet `{label}`, which was not given; "
            f"given: {choices(label, feature_sets)}"
        )
    parts = [target.partition(".") for target in targets]
    return feature_sets[label].reference(
        features=[column.partition(".")[2] for column in columns],
        targets=[column for owner, _, column in parts if owner == label],
    )


def _model(section: Section, live: Mapping[str, Any]) -> object:
    component = section["model"]
    use, arguments = _parted(component)
    given = {key: section[key] for key in _OF_MODELS if key in section}
    if use in _MODELS:
        return _MODELS[use](**arguments)
    if use.startswith("sklearn."):
        from specplan.models.sklearn.build import build_estimator

        return ScikitModelWrapper(build_estimator(use, arguments), **given)
    found = _bound(component, live)
    return ScikitModelWrapper(found, **given) if given else found


def _bound(component: Section, live: Mapping[str, Any]) -> Any:
    kind, _, name = component["use"].partition(":")
    if kind != "live":
        raise ValueError(f"`{component['use']}` has no class in Python; run its spec instead")
    if name not in live:
        raise ValueError(f"the object `live:{name}` was not given; given: {choices(name, live)}")
    return live[name]


def _optimizer(section: Section, live: Mapping[str, Any]) -> Optimizer | None:
    """The optimizer of a graph or node, with the limits that stand beside it."""
    component = section.get("optimizer")
    if component is None:
        return None
    limits = {f"clip_{key}": limit for key, limit in (section.get("clip") or {}).items()}
    use, arguments = _parted(component)
    if use.startswith("live:"):
        return Optimizer(factory=_bound(component, live), **limits)
    name = use.removeprefix("torch.optim:")
    return Optimizer(name, opt_kwargs=arguments, backend="torch", **limits)


def _loss(label: str, section: Section, graph: ModelGraph, live: Mapping[str, Any]) -> AppliedLoss:
    use, arguments = _parted(section)
    node, inputs, weight = (arguments.pop(key) for key in ("node", "args", "weight"))
    if use.startswith("live:"):
        loss = Loss(_bound(section, live))
    else:
        reduction = arguments.pop("reduction", "none")
        name = use.removeprefix("torch.nn:")
        loss = Loss(name, loss_kwargs=arguments, backend="torch", reduction=reduction)
    return AppliedLoss(loss, graph.nodes[node], inputs, weight, label)


def _parted(component: Section) -> tuple[str, Section]:
    arguments = dict(component)
    return arguments.pop("use"), arguments


def _check_keys(what: str, section: Section, known: Sequence[str]) -> None:
    for key in section:
        if key not in known:
            raise ValueError(f"{what}: `{key}` cannot be said by an object of Python")
