"""The spec: one frozen struct for each object of schemas/experiment.schema.json.

What the user said, with the defaults of the language filled in. A component stays a mapping with
`use` and its arguments; the compiler looks it up in `specplan.components`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.components import Kind
    from specplan.spec.diagnostics import Path

SPEC_VERSION = 1
MOST_THREADS = 1024
LONGEST_NAME = 200
"""Characters of an experiment's id, and of a phase's path: both become names of files."""

Device = Annotated[str, Meta(pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$")]
Label = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
ComponentSpec = dict[str, Any]
"""A component as written: `use`, and its arguments beside it."""


class _Object(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the objects of a spec. Keys that begin with `x-` are taken out before decoding."""


class ExperimentSpec(_Object, frozen=True, kw_only=True):
    """Names of the experiment. Never part of the plan's id."""

    id: Label
    title: str = ""
    subtitle: str = ""
    description: str = ""
    paper: str = ""
    tags: dict[str, str | None] = {}
    add_timestamp: bool = False


class DirtyGitAction(enum.StrEnum):
    """What happens when the repository of an experiment has uncommitted changes as a run begins."""

    IGNORE = "ignore"
    WARN = "warn"
    ERROR = "error"


class RunSpec(_Object, frozen=True, kw_only=True):
    """What holds for the whole run."""

    seed: int = 42
    threads: Annotated[int, Meta(ge=1, le=MOST_THREADS)] | None = None
    device: Device = "cpu"
    deterministic: bool = True
    dirty_git: DirtyGitAction = DirtyGitAction.WARN


class CodeSpec(_Object, frozen=True, kw_only=True):
    """Where code of the user's is found, and what runs before it. Never part of the plan's id."""

    pythonpath: tuple[str, ...] = (".",)
    pre_experiment: str | None = None


class ScaleSpec(_Object, frozen=True, kw_only=True):
    """A scaler, the columns that it scales, and the split that it learns from."""

    component: ComponentSpec
    columns: Annotated[tuple[str, ...], Meta(min_length=1)]
    fit_on: str | None = None


class FeatureSetSpec(_Object, frozen=True, kw_only=True):
    """Rows of data: where they come from, which columns play which part, how they are split."""

    source: ComponentSpec
    features: tuple[str, ...]
    targets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    splits: ComponentSpec | None = None
    scale: tuple[ScaleSpec, ...] = ()


OutputMethod = Literal["auto", "predict", "predict_proba", "decision_function"]
TrainingMode = Literal["auto", "partial_fit", "batch_fit"]


class ClipSpec(_Object, frozen=True, kw_only=True):
    """How large the gradients of one optimizer may be: each element, and all of them together."""

    value: Annotated[float, Meta(gt=0)] | None = None
    norm: Annotated[float, Meta(gt=0)] | None = None


class NodeSpec(_Object, frozen=True, kw_only=True):
    """A node of the graph: a model, or a merge of several inputs."""

    model: ComponentSpec | None = None
    merge: ComponentSpec | None = None
    input: str | tuple[str, ...]
    target: str | tuple[str, ...] | None = None
    output_shape: tuple[Annotated[int, Meta(ge=1)], ...] | None = None
    output_method: OutputMethod = "auto"
    training_mode: TrainingMode = "auto"
    partial_fit_kwargs: dict[str, Any] = {}
    optimizer: ComponentSpec | None = None
    clip: ClipSpec | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        if (self.model is None) == (self.merge is None):
            msg = "a node has either `model` or `merge`"
            raise ValueError(msg)


class GraphSpec(_Object, frozen=True, kw_only=True):
    """The nodes and the optimizer that trains them."""

    nodes: dict[Label, NodeSpec]
    optimizer: ComponentSpec | None = None
    clip: ClipSpec | None = None


class LossSpec(_Object, frozen=True, kw_only=True):
    """A loss and where it applies. `component` is `use` and the parameters of the loss itself."""

    component: ComponentSpec
    node: str
    args: tuple[str, ...] = ("outputs", "targets")
    weight: float = 1.0


class MetricSpec(_Object, frozen=True, kw_only=True):
    """A measure of quality and where it applies."""

    component: ComponentSpec
    node: str
    args: tuple[str, ...] = ("outputs", "targets")


RecordMode = Literal["all", "last", "none"]
RecordNodes = Literal["judged", "all"]
BatchSchedule = Literal["zip_strict", "zip_cycle", "alternate_strict", "alternate_cycle"]


class InputSpec(_Object, frozen=True, kw_only=True):
    """Which rows of a FeatureSet a node reads in a train phase, and in which batches."""

    node: str
    from_: str | None = msgspec.field(name="from", default=None)
    split: str | None = None
    sampler: ComponentSpec | None = None
    stream: Label = "default"


class TrainSpec(_Object, tag_field="phase", tag="train", frozen=True, kw_only=True):
    """Gradient training in batches."""

    label: Label
    split: str | None = None
    inputs: Annotated[tuple[InputSpec, ...], Meta(min_length=1)] | None = None
    batch_schedule: BatchSchedule = "zip_strict"
    epochs: Annotated[int, Meta(ge=1)] = 1
    accumulate: Annotated[int, Meta(ge=1)] = 1
    sampler: ComponentSpec | None = None
    losses: Annotated[tuple[str, ...], Meta(min_length=1)]
    active: tuple[str, ...] | None = None
    callbacks: tuple[ComponentSpec, ...] = ()
    record: RecordMode = "all"
    record_nodes: RecordNodes = "judged"
    when: str | None = None

    def __post_init__(self) -> None:
        if self.sampler is None and self.inputs is None:
            msg = "a train phase has a `sampler`, or `inputs`"
            raise ValueError(msg)


class EvalSpec(_Object, tag_field="phase", tag="eval", frozen=True, kw_only=True):
    """A forward pass over a split."""

    label: Label
    split: str | None = None
    losses: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    active: tuple[str, ...] | None = None
    batch_size: Annotated[int, Meta(ge=1)] | None = None
    callbacks: tuple[ComponentSpec, ...] = ()
    record: RecordMode = "all"
    record_nodes: RecordNodes = "judged"
    when: str | None = None


class FitSpec(_Object, tag_field="phase", tag="fit", frozen=True, kw_only=True):
    """Fitting of scikit-learn nodes on a whole split at once."""

    label: Label
    split: str | None = None
    losses: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    active: tuple[str, ...] | None = None
    freeze_after_fit: bool = True
    callbacks: tuple[ComponentSpec, ...] = ()
    record: RecordMode = "all"
    when: str | None = None


class RepeatSpec(_Object, frozen=True, kw_only=True):
    """How often a group is run, and the condition on a metric of the last pass that ends it."""

    max: Annotated[int, Meta(ge=1)]
    until: str | None = None


class CallSpec(_Object, tag_field="phase", tag="call", frozen=True, kw_only=True):
    """A call of a function of the user's, `run(helper, configuration)`."""

    label: Label
    use: str
    config: dict[str, Any] = {}
    args: tuple[str, ...] = ()
    when: str | None = None


class GroupSpec(_Object, tag_field="phase", tag="", frozen=True, kw_only=True):
    """Phases under one label. The tag is in no text: `from_value` adds it, `to_value` drops it."""

    group: Label
    for_each: ComponentSpec | None = None
    repeat: RepeatSpec | None = None
    when: str | None = None
    do: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if self.for_each is not None and self.repeat is not None:
            msg = "a group has either `for_each` or `repeat`"
            raise ValueError(msg)


PhaseSpec = TrainSpec | EvalSpec | FitSpec
Entry = PhaseSpec | CallSpec | GroupSpec


Durability = Literal["process", "periodic", "disk"]
OnError = Literal["stop", "drop"]
SaveOn = Literal["phase_end", "epoch_end"]


class ResultsSpec(_Object, frozen=True, kw_only=True):
    """Where the runs go, and how their records are written. Never part of the plan's id."""

    dir: str | None = None
    durability: Durability = "process"
    on_error: OnError = "stop"
    system_metrics_seconds: Annotated[float, Meta(ge=0.1)] | None = None


class CheckpointSpec(_Object, frozen=True, kw_only=True):
    """When a run makes checkpoints, from which it can be resumed. Never part of the plan's id."""

    save_on: tuple[SaveOn, ...] = ("phase_end",)
    every_seconds: Annotated[float, Meta(gt=0)] | None = None
    every_n_steps: Annotated[int, Meta(ge=1)] | None = None
    keep: Annotated[int, Meta(ge=1)] = 1


Numbers = Annotated[tuple[int | float, ...], Meta(min_length=2, max_length=3)]
Pair = Annotated[tuple[int | float, ...], Meta(min_length=2, max_length=2)]
Triple = Annotated[tuple[int | float, ...], Meta(min_length=3, max_length=3)]


class AxisSpec(_Object, frozen=True, kw_only=True):
    """The values that a sweep gives one place of the spec; one of the fields is set."""

    values: Annotated[tuple[Any, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    range: Numbers | msgspec.UnsetType = msgspec.UNSET
    range_mult: Triple | msgspec.UnsetType = msgspec.UNSET
    uniform: Pair | msgspec.UnsetType = msgspec.UNSET
    log_uniform: Pair | msgspec.UnsetType = msgspec.UNSET
    integers: Annotated[tuple[int, ...], Meta(min_length=2, max_length=2)] | msgspec.UnsetType = (
        msgspec.UNSET
    )

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not msgspec.UNSET for name in self.__struct_fields__) != 1:
            msg = "an axis has one of its keys"
            raise ValueError(msg)


class SweepSpec(_Object, frozen=True, kw_only=True):
    """Many runs of one spec, each with other values. Never part of a plan."""

    vary: Annotated[
        dict[str, Annotated[tuple[Any, ...], Meta(min_length=1)] | AxisSpec], Meta(min_length=1)
    ]
    method: ComponentSpec = msgspec.field(default_factory=lambda: {"use": "grid"})
    runs: Annotated[int, Meta(ge=1)] = 100
    seed: int = 42
    metric: str | None = None
    mode: Literal["min", "max"] = "min"
    pruner: ComponentSpec | None = None


class Spec(_Object, frozen=True, kw_only=True):
    """One experiment, as its author said it."""

    experiment: ExperimentSpec
    run: RunSpec = RunSpec()
    code: CodeSpec = CodeSpec()
    data: dict[Label, FeatureSetSpec] = {}
    graph: GraphSpec = GraphSpec(nodes={})
    losses: dict[Label, LossSpec] = {}
    metrics: dict[Label, MetricSpec] = {}
    plan: Annotated[tuple[Entry, ...], Meta(min_length=1)]
    results: ResultsSpec = ResultsSpec()
    checkpoint: CheckpointSpec | None = None
    sweep: SweepSpec | None = None


def from_value(value: dict[str, Any], *, name: str) -> Spec:
    """The spec in plain values, as a Document holds them. `name` is the default of `experiment.id`.

    Components are taken as they are; `components_of` lists them.

    Raises:
        msgspec.ValidationError: `value` is not a spec. The message is for programmers: `validate`
            tells what is wrong, and where.
    """
    if type(value.get("specplan")) is not int or value["specplan"] != SPEC_VERSION:
        msg = f"Expected `specplan: {SPEC_VERSION}`"
        raise msgspec.ValidationError(msg)
    shaped: dict[str, Any] = {key: item for key, item in value.items() if key != "specplan"}
    experiment = shaped.setdefault("experiment", {})
    if isinstance(experiment, dict):
        shaped["experiment"] = {"id": name} | experiment
    for section, keys in (("losses", _LOSS_KEYS), ("metrics", _METRIC_KEYS)):
        if isinstance(shaped.get(section), dict):
            shaped[section] = {
                label: _component_apart(item, keys) for label, item in shaped[section].items()
            }
    if isinstance(shaped.get("data"), dict):
        shaped["data"] = {label: _scalers_apart(item) for label, item in shaped["data"].items()}
    shaped["plan"] = _groups_tagged(shaped.get("plan"))
    spec = msgspec.convert(shaped, Spec)
    if not {"data", "graph"} <= value.keys() and not _only_calls(spec.plan):
        msg = "Expected `data` and `graph`: not every phase is a call"
        raise msgspec.ValidationError(msg)
    return spec


def to_value(spec: Spec) -> dict[str, Any]:
    """The spec in plain values, defaults written out; `from_value` gives the same spec again."""
    plain = msgspec.json.decode(msgspec.json.encode(spec))
    value: dict[str, Any] = {"specplan": SPEC_VERSION, **plain}
    for section in ("losses", "metrics"):
        for label, item in value[section].items():
            value[section][label] = item.pop("component") | item
    for feature_set in value["data"].values():
        feature_set["scale"] = [item.pop("component") | item for item in feature_set["scale"]]
    for node in value["graph"]["nodes"].values():
        del node["merge" if node["merge"] is None else "model"]
    value["plan"] = _groups_untagged(value["plan"])
    for section in ("checkpoint", "sweep"):
        if value[section] is None:
            del value[section]  # what a run does without it is none that it could say
    return value


def components_of(spec: Spec) -> Iterator[tuple[Path, Kind, ComponentSpec]]:
    """Every component of a spec: where it stands, of which kind it is, and what was written."""
    for name, feature_set in spec.data.items():
        yield ("data", name, "source"), "source", feature_set.source
        if feature_set.splits is not None:
            yield ("data", name, "splits"), "split", feature_set.splits
        for index, scale in enumerate(feature_set.scale):
            yield ("data", name, "scale", index), "scaler", scale.component
    for name, node in spec.graph.nodes.items():
        if node.model is not None:
            yield ("graph", "nodes", name, "model"), "model", node.model
        if node.merge is not None:
            yield ("graph", "nodes", name, "merge"), "merge", node.merge
        if node.optimizer is not None:
            yield ("graph", "nodes", name, "optimizer"), "optimizer", node.optimizer
    if spec.graph.optimizer is not None:
        yield ("graph", "optimizer"), "optimizer", spec.graph.optimizer
    for name, loss in spec.losses.items():
        yield ("losses", name), "loss", loss.component
    for name, metric in spec.metrics.items():
        yield ("metrics", name), "metric", metric.component
    yield from _components_of_entries(spec.plan, ("plan",))
    if spec.sweep is not None:
        yield from _components_of_sweep(spec.sweep)


def _components_of_sweep(sweep: SweepSpec) -> Iterator[tuple[Path, Kind, ComponentSpec]]:
    yield ("sweep", "method"), "method", sweep.method
    if sweep.pruner is not None:
        yield ("sweep", "pruner"), "pruner", sweep.pruner


def _components_of_entries(
    entries: tuple[Entry, ...], path: Path
) -> Iterator[tuple[Path, Kind, ComponentSpec]]:
    for index, entry in enumerate(entries):
        here = (*path, index)
        match entry:
            case GroupSpec():
                if entry.for_each is not None:
                    yield (*here, "for_each"), "repetition", entry.for_each
                yield from _components_of_entries(entry.do, (*here, "do"))
            case TrainSpec():
                if entry.sampler is not None:
                    yield (*here, "sampler"), "sampler", entry.sampler
                for position, each in enumerate(entry.inputs or ()):
                    if each.sampler is not None:
                        yield (*here, "inputs", position, "sampler"), "sampler", each.sampler
                yield from _callbacks(entry, here)
            case EvalSpec() | FitSpec():
                yield from _callbacks(entry, here)


def _callbacks(
    phase: TrainSpec | EvalSpec | FitSpec, path: Path
) -> Iterator[tuple[Path, Kind, ComponentSpec]]:
    for position, callback in enumerate(phase.callbacks):
        yield (*path, "callbacks", position), "callback", callback


def _only_calls(entries: tuple[Entry, ...]) -> bool:
    return all(
        _only_calls(entry.do) if isinstance(entry, GroupSpec) else isinstance(entry, CallSpec)
        for entry in entries
    )


_SCALE_KEYS = frozenset(ScaleSpec.__struct_fields__) - {"component"}
_LOSS_KEYS = frozenset(LossSpec.__struct_fields__) - {"component"}
_METRIC_KEYS = frozenset(MetricSpec.__struct_fields__) - {"component"}


def _scalers_apart(feature_set: object) -> object:
    if not isinstance(feature_set, dict) or not isinstance(feature_set.get("scale"), list):
        return feature_set
    scale = [_component_apart(item, _SCALE_KEYS) for item in feature_set["scale"]]
    return feature_set | {"scale": scale}


def _component_apart(item: object, keys: frozenset[str]) -> object:
    if not isinstance(item, dict):
        return item
    own = {key: argument for key, argument in item.items() if key in keys}
    return own | {"component": {key: item[key] for key in item if key not in keys}}


# An entry with `group` has no `phase`, but msgspec tells members of a union apart by one tag only.
def _groups_tagged(entries: object) -> object:
    if not isinstance(entries, list):
        return entries
    return [_entry_tagged(entry) for entry in entries]


def _entry_tagged(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    if ("phase" in entry) == ("group" in entry) or entry.get("phase") == "":
        msg = "Expected either `phase` or `group`"
        raise msgspec.ValidationError(msg)
    if "phase" in entry:
        return entry
    return entry | {"phase": "", "do": _groups_tagged(entry.get("do"))}


def _groups_untagged(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: item for key, item in entry.items() if key != "phase"}
        | {"do": _groups_untagged(entry["do"])}
        if "do" in entry
        else entry
        for entry in entries
    ]
