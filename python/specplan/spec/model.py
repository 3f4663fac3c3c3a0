"""The spec: one frozen struct for each object of schemas/experiment.schema.json.

What the user said, with the defaults of the language filled in. A component stays a mapping with
`use` and its arguments; the compiler looks it up in `specplan.components`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

SPEC_VERSION = 1

Label = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
ComponentSpec = dict[str, Any]
"""A component as written: `use`, and its arguments beside it."""


class _Object(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the objects of a spec. Keys that begin with `x-` are taken out before decoding."""


class ExperimentSpec(_Object, kw_only=True):
    """Names of the experiment. Never part of the plan's id."""

    id: Label
    title: str = ""
    description: str = ""
    tags: dict[str, str | None] = {}


class RunSpec(_Object, kw_only=True):
    """What holds for the whole run."""

    seed: int = 42
    threads: Annotated[int, Meta(ge=1)] | None = None
    deterministic: bool = True


class FeatureSetSpec(_Object, kw_only=True):
    """Rows of data: where they come from, which columns play which part, how they are split."""

    source: ComponentSpec
    features: tuple[str, ...]
    targets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    splits: ComponentSpec | None = None


class NodeSpec(_Object, kw_only=True):
    """A node of the graph: a model, or a merge of several inputs."""

    model: ComponentSpec | None = None
    merge: ComponentSpec | None = None
    input: str | tuple[str, ...]
    target: str | None = None


class GraphSpec(_Object, kw_only=True):
    """The nodes and the optimizer that trains them."""

    nodes: dict[Label, NodeSpec]
    optimizer: ComponentSpec | None = None


class LossSpec(_Object, kw_only=True):
    """A loss and where it applies. `component` is the `use` and the parameters of the loss itself."""

    component: ComponentSpec
    node: str
    args: tuple[str, ...] = ("outputs", "targets")
    weight: float = 1.0


class MetricSpec(_Object, kw_only=True):
    """A measure of quality and where it applies."""

    component: ComponentSpec
    node: str
    args: tuple[str, ...] = ("outputs", "targets")


RecordMode = Literal["all", "last", "none"]


class TrainSpec(_Object, tag_field="phase", tag="train", kw_only=True):
    """Gradient training in batches."""

    label: Label
    split: str | None = None
    epochs: Annotated[int, Meta(ge=1)] = 1
    sampler: ComponentSpec
    losses: Annotated[tuple[str, ...], Meta(min_length=1)]
    active: tuple[str, ...] | None = None
    callbacks: tuple[ComponentSpec, ...] = ()
    record: RecordMode = "all"


class EvalSpec(_Object, tag_field="phase", tag="eval", kw_only=True):
    """A forward pass over a split."""

    label: Label
    split: str | None = None
    losses: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    active: tuple[str, ...] | None = None
    batch_size: Annotated[int, Meta(ge=1)] | None = None
    record: RecordMode = "all"


class FitSpec(_Object, tag_field="phase", tag="fit", kw_only=True):
    """Fitting of scikit-learn nodes on a whole split at once."""

    label: Label
    split: str | None = None
    losses: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    active: tuple[str, ...] | None = None
    freeze_after_fit: bool = True
    record: RecordMode = "all"


class GroupSpec(_Object, kw_only=True):
    """Phases under one label."""

    group: Label
    do: tuple[Entry, ...]


PhaseSpec = TrainSpec | EvalSpec | FitSpec
Entry = PhaseSpec | GroupSpec


class ResultsSpec(_Object, kw_only=True):
    """Where the runs go."""

    dir: str | None = None


class Spec(_Object, kw_only=True):
    """One experiment, as its author said it."""

    experiment: ExperimentSpec
    run: RunSpec = RunSpec()
    data: dict[Label, FeatureSetSpec]
    graph: GraphSpec
    losses: dict[Label, LossSpec] = {}
    metrics: dict[Label, MetricSpec] = {}
    plan: Annotated[tuple[Entry, ...], Meta(min_length=1)]
    results: ResultsSpec = ResultsSpec()
