"""Experiment files that list nodes and phases under `experiment:`, with classes by their dotted paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.components.callback import EarlyStopping
from specplan.models.sklearn.wrapper import ScikitModelWrapper
from specplan.models.torch import SequentialCNN, SequentialMLP, TemporalCNN
from specplan.models.torch.wrapper import TorchModelWrapper
from specplan.objects.binding import DEFAULT_STREAM, InputBinding
from specplan.objects.checkpointing import Checkpointing
from specplan.objects.concat_node import ConcatNode
from specplan.objects.eval_phase import EvalPhase
from specplan.objects.evaluation import EvalLossMetric, Evaluation
from specplan.objects.fit_phase import FitPhase
from specplan.objects.graph import ModelGraph
from specplan.objects.loss import AppliedLoss, Loss
from specplan.objects.node import GraphNode, ModelNode
from specplan.objects.optimizer import Optimizer
from specplan.objects.phase_group import PhaseGroup
from specplan.objects.train_phase import TrainPhase
from specplan.samplers import (
    NSampler,
    PairedSampler,
    SimilarityCondition,
    SimpleSampler,
    TripletSampler,
)
from specplan.spec.suggest import closest
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specplan.data.feature_set import FeatureSet
    from specplan.data.reference import FeatureSetReference
    from specplan.objects.phase import Phase
    from specplan.spec.document import Document

Section = dict[str, Any]

_MODELS = {each.__name__: each for each in (SequentialMLP, SequentialCNN, TemporalCNN)}
_WRAPPERS = ("ScikitModelWrapper", "TorchModelWrapper")
_SAMPLERS = ("SimpleSampler", "PairedSampler", "TripletSampler", "NSampler")
_CALLBACKS = ("Evaluation", "EarlyStopping")
_PHASES = {
    "train_phase": "train",
    "TrainPhase": "train",
    "eval_phase": "eval",
    "EvalPhase": "eval",
    "fit_phase": "fit",
    "FitPhase": "fit",
    "phase_group": "group",
}
_NOT_HERE = ("sampler_name", "sampler_class", "show_progress", "n_workers", "condition_mapping")
"""Keys of a sampler that are no arguments of ours."""


def is_listed(value: object) -> bool:
    """Whether a file is such a one: a spec has `specplan`, and its nodes and phases are named otherwise."""
    experiment = value.get("experiment") if isinstance(value, dict) else None
    return isinstance(experiment, dict) and bool(experiment.keys() & {"model_graph", "phases"})


def fill_listed(
    plan: PhaseGroup,
    document: Document,
    feature_sets: Mapping[str, FeatureSet],
    live: Mapping[str, Any],
) -> ModelGraph:
    """Make the graph of a file, in the active context, and add its phases to an empty group.

    Args:
        plan: the group.
        document: the file.
        feature_sets: those that it reads, by label.
        live: classes and functions by the dotted paths that the file has for them.

    Raises:
        ValueError: it says what cannot be carried over, each with its place and what can be done.
    """
    return _Listed(document, feature_sets, live).fill(plan)


class _Listed:
    def __init__(
        self,
        document: Document,
        feature_sets: Mapping[str, FeatureSet],
        live: Mapping[str, Any],
    ) -> None:
        self._document = document
        self._feature_sets = feature_sets
        self._live = live
        self._nodes: dict[str, GraphNode] = {}
        self._faults: list[str] = []

    def fill(self, plan: PhaseGroup) -> ModelGraph:
        experiment: Section = self._document.value["experiment"]
        section: Section = experiment.get("model_graph") or {}
        place = ("experiment", "model_graph")
        self._check(section, place)
        self._check(experiment.get("phases") or [], ("experiment", "phases"))
        if self._faults:
            raise ValueError(
                "\n".join(["the file cannot be carried over as it is:", *self._faults])
            )
        for node in section.get("nodes", ()):
            self._nodes[node["node_name"]] = self._node(node)
        optimizer = _optimizer(section)
        label = section.get("graph_name", "model-graph")
        graph = ModelGraph(label, nodes=list(self._nodes.values()), optimizer=optimizer)
        self._fill(plan, experiment.get("phases") or ())
        return graph

    # ---- what has no counterpart here

    def _check(self, value: Any, place: tuple[str | int, ...]) -> None:
        """Note everything that cannot be carried over, wherever it is."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._check(item, (*place, index))
        if not isinstance(value, dict):
            return
        if "model_class" in value and "node_name" in value:
            self._check_model(value, place)
        checks = {
            "sampler_name": _SAMPLERS,
            "merge_node_class": ("ConcatNode",),
            "callback_type": (*_CALLBACKS, "EvalLossMetric"),
            "phase_type": tuple(_PHASES),
        }
        for key, known in checks.items():
            name = str(value.get(key, known[0])).rpartition(".")[2]
            if name not in known:
                meant = closest(name, known)
                hint = (
                    f"did you mean `{meant}`?" if meant else "write it with the objects of Python"
                )
                self._fault((*place, key), f"`{name}` is not known; known: {quoted(known)}", hint)
        if value.get("factory") is not None:
            hint = "give `loss` or `opt` by name, or write it with the objects of Python"
            self._fault((*place, "factory"), "a factory is code, which a file does not hold", hint)
        fn = value.get("loss")
        if isinstance(fn, str) and "." in fn and fn not in self._live:
            self._fault((*place, "loss"), f"`{fn}` is code", f"give it: live={{{fn!r}: ...}}")
        for key, item in value.items():
            self._check(item, (*place, key))

    def _check_model(self, node: Section, place: tuple[str | int, ...]) -> None:
        path = str(node["model_class"])
        name = path.rpartition(".")[2]
        if name in _MODELS or path in self._live:
            return
        inner = str((node.get("model_kwargs") or {}).get("model_class", ""))
        if name not in _WRAPPERS:
            self._fault(
                (*place, "model_class"), f"`{path}` is code", f"give it: live={{{path!r}: ...}}"
            )
        elif inner not in self._live and _estimator_named(inner) is None:
            hint = f"give the class: live={{{inner!r}: ...}}"
            self._fault((*place, "model_kwargs"), f"`{inner}` is code", hint)

    def _fault(self, place: tuple[str | int, ...], message: str, hint: str) -> None:
        origin = self._document.origin(place)
        self._faults.append(f"{origin.file}:{origin.line}:{origin.column}: {message}\nhint: {hint}")

    # ---- nodes

    def _node(self, section: Section) -> GraphNode:
        name = section["node_name"]
        if section.get("node_class", "model") == "merge":
            reads = [self._read(each) for each in section["upstream"]]
            given = {
                key: section[key]
                for key in ("pad_inputs", "pad_mode", "pad_value")
                if key in section
            }
            made: GraphNode = ConcatNode(
                name,
                reads,
                concat_axis=section["concat_axis"],
                concat_axis_targets=self._strategy(section.get("target_strategy")),
                concat_axis_tags=self._strategy(section.get("tags_strategy")),
                **given,
            )
        else:
            made = ModelNode(
                name,
                self._model(section),
                self._read(section["upstream"]),
                _optimizer(section),
                section.get("accelerator"),
            )
        made.is_frozen = bool(section.get("frozen", False))
        return made

    def _strategy(self, section: Section | None) -> Any:
        if section is None:
            return -1
        value = section["value"]
        return self._nodes[value["node_label"]] if isinstance(value, dict) else value

    def _model(self, section: Section) -> object:
        path = str(section["model_class"])
        arguments = {
            key: _tuples(item) for key, item in (section.get("model_kwargs") or {}).items()
        }
        if path in self._live:
            return self._live[path](**arguments)
        name = path.rpartition(".")[2]
        if name in _MODELS:
            return _MODELS[name](**arguments)
        inner = str(arguments.pop("model_class"))
        if name == "TorchModelWrapper":
            return TorchModelWrapper(model_class=self._live[inner], **arguments)
        of_model = arguments.pop("model_kwargs", None) or {}
        if inner in self._live:
            return ScikitModelWrapper(self._live[inner](**of_model), **arguments)
        from specplan.models.sklearn.build import build_estimator

        estimator = build_estimator(str(_estimator_named(inner)), of_model)
        return ScikitModelWrapper(estimator, **arguments)

    def _read(self, section: Section) -> GraphNode | FeatureSetReference:
        label = section.get("node_label")
        if section["ref_type"] == "GraphNodeReference":
            if label not in self._nodes:
                known = choices(str(label), self._nodes)
                raise ValueError(f"there is no node `{label}` before it; known: {known}")
            return self._nodes[label]
        if label not in self._feature_sets:
            raise ValueError(
                f"the file reads FeatureSet `{label}`, which is not there; make or load it before, or "
                f"give it: featuresets=[...]; known: {choices(str(label), self._feature_sets)}"
            )
        domains = ("features", "targets", "tags")
        features, targets, tags = (_keys(section.get(domain)) for domain in domains)
        return self._feature_sets[str(label)].reference(features, targets, tags)

    # ---- phases

    def _fill(self, group: PhaseGroup, entries: Sequence[Section]) -> None:
        for entry in entries:
            kind = _PHASES[entry["phase_type"]]
            if kind == "group":
                inner = PhaseGroup(entry["label"])
                self._fill(inner, entry.get("items", ()))
                group.add_group(inner)
            else:
                group.add_phase(self._phase(kind, entry))

    def _phase(self, kind: str, entry: Section) -> Phase:
        common: dict[str, Any] = {
            "label": entry["label"],
            "losses": [self._loss(each) for each in entry.get("losses") or ()],
            "active_nodes": entry.get("active_nodes"),
            "accelerator": entry.get("accelerator"),
        }
        sources = entry["input_sources"]
        if kind == "train":
            checkpointing = entry.get("checkpointing")
            return TrainPhase(
                input_sources=[self._trained(each) for each in sources],
                n_epochs=entry.get("n_epochs", 1),
                batch_schedule=entry.get("batch_schedule", "zip_strict"),
                callbacks=[self._callback(each) for each in entry.get("callbacks") or ()],
                checkpointing=None
                if checkpointing is None
                else Checkpointing.from_config(checkpointing),
                result_recording=entry.get("result_recording", "all"),
                **common,
            )
        common["input_sources"] = [self._evaluated(each) for each in sources]
        if kind == "fit":
            return FitPhase(freeze_after_fit=entry.get("freeze_after_fit", True), **common)
        return EvalPhase(batch_size=entry.get("batch_size"), **common)

    def _trained(self, entry: Section) -> InputBinding:
        return InputBinding.for_training(
            self._nodes[entry["node"]],
            _sampler(entry["sampler"]),
            self._of(entry),
            entry.get("split"),
            entry.get("stream") or DEFAULT_STREAM,
        )

    def _evaluated(self, entry: Section) -> InputBinding:
        return InputBinding.for_evaluation(
            self._nodes[entry["node"]], self._of(entry), entry.get("split")
        )

    def _of(self, entry: Section) -> FeatureSet:
        read = self._read(entry["featureset"])
        assert not isinstance(read, GraphNode), "a binding reads a FeatureSet"
        return read.feature_set

    def _loss(self, entry: Section) -> AppliedLoss:
        known = {"loss_kwargs", "backend", "reduction"}
        given = {key: item for key, item in entry["loss"].items() if key in known and item}
        function = entry["loss"]["loss"]
        inputs = entry["inputs"]
        if isinstance(inputs, dict) and all(str(key).isdigit() for key in inputs):
            inputs = [inputs[key] for key in sorted(inputs, key=int)]
        return AppliedLoss(
            Loss(self._live.get(function, function), **given),
            entry["node"],
            inputs,
            entry.get("weight", 1.0),
            entry.get("label"),
        )

    def _callback(self, entry: Section) -> EarlyStopping | Evaluation:
        arguments = {
            key: item for key, item in entry.items() if key not in ("callback_type", "label")
        }
        if entry["callback_type"] == "EarlyStopping":
            return EarlyStopping(**arguments, required=False)
        metrics = [
            EvalLossMetric(
                self._loss(each["loss"]), each.get("reducer", "mean"), each.get("name", "val_loss")
            )
            for each in entry.get("metrics") or ()
        ]
        phase = self._phase("eval", entry["eval_phase"])
        assert isinstance(phase, EvalPhase)
        return Evaluation(
            phase,
            every_n_epochs=entry.get("every_n_epochs", 1),
            run_on_start=entry.get("run_on_start", False),
            metrics=metrics,
        )


def _optimizer(section: Section) -> Optimizer | None:
    written = section.get("optimizer")
    if not written:
        return None
    return Optimizer(
        written["opt"], opt_kwargs=written.get("opt_kwargs"), backend=written.get("backend")
    )


def _sampler(entry: Section) -> Any:
    given = {
        key: item
        for key, item in entry.items()
        if key not in _NOT_HERE and not key.endswith("_role") and item not in (None, [])
    }
    name = str(entry["sampler_name"])
    # There, every epoch has the batches of the first.
    given["reshuffle"] = False
    if name == "SimpleSampler":
        return SimpleSampler(**given)
    conditions = {
        role: {column: SimilarityCondition(**each) for column, each in by_column.items()}
        for role, by_column in entry["condition_mapping"].items()
    }
    if name == "PairedSampler":
        return PairedSampler(conditions["positive"], **given)
    if name == "TripletSampler":
        return TripletSampler(conditions["positive"], conditions["negative"], **given)
    return NSampler(conditions, **given)


def _estimator_named(path: str) -> str | None:
    """What a spec calls an estimator of a dotted path, which has private modules in it."""
    if not path.startswith("sklearn."):
        return None
    from specplan.models.sklearn.table import estimators

    package, name = path.split(".")[1], path.rpartition(".")[2]
    known = f"sklearn.{package}:{name}"
    return known if known in estimators() else None


def _keys(columns: Sequence[str] | None) -> list[str] | None:
    """Columns without their kind, as `voltage.raw` of `features.voltage.raw`; None for all."""
    if not columns:
        return None
    return [column.split(".", 1)[-1] if column.count(".") > 1 else column for column in columns]


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
