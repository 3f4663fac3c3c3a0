"""The plan: everything that a run needs, resolved, frozen and printable.

Shapes are those of one row, without the batch axis. dtypes are numpy's names. A value is named
`FeatureSet.column` or `Node`; nothing in a plan has to be looked up anywhere but in the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.base.flops import ModelFlops  # noqa: TC001 -- msgspec resolves it
from specplan.components.sampler import DEFAULT_ROLE
from specplan.spec.model import BatchSchedule, DirtyGitAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan.spec.diagnostics import Diagnostic, Origin
    from specplan.spec.document import Document

PLAN_VERSION = 2

Shape = tuple[int, ...]
RecordMode = Literal["all", "last", "none"]
Durability = Literal["process", "periodic", "disk"]
OnError = Literal["stop", "drop"]
SaveOn = Literal["phase_end", "epoch_end"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a plan.

    Fields that have their default are left out of files and of the id (`canonical.plain`). So a field can
    be added to a version with a default that says what was done before, and never gets another default.
    """


class Code(_Part, frozen=True, kw_only=True):
    """Code of the user's that a component, or the function of a call, is.

    Attributes:
        digest: of the text of all modules that it imports below `paths`.
        paths: the folders in which they are looked for, relative to the plan's folder; none for an
            installed package. Never part of the id.
    """

    digest: str
    paths: tuple[str, ...] = ()


class Live(_Part, frozen=True, kw_only=True):
    """An object of a Python program that a component is. A plan that has one runs only where it is bound.

    Attributes:
        type: module and name of its class, or its own where it is a class or function.
        digest: of what it is and holds, as far as that can be told (`code.fingerprint`).
    """

    type: str
    digest: str


class Component(_Part, frozen=True, kw_only=True):
    """A component with every argument written out.

    `use` of one with `code` is `module:Class`, or `./file.py:Class` of a file in the first of its paths;
    defaults that are no literals are left to the code. `use` of one that is `live` is `live:NAME`.
    """

    use: str
    args: dict[str, Any] = {}
    code: Code | None = None
    live: Live | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own: code, or an object of a program."""
        return self.code is not None or self.live is not None


class Experiment(_Part, frozen=True, kw_only=True):
    """Names. Never part of the id."""

    id: str
    title: str = ""
    subtitle: str = ""
    description: str = ""
    paper: str = ""
    tags: dict[str, str | None] = {}
    add_timestamp: bool = False


class Numerics(_Part, frozen=True, kw_only=True):
    """What decides the bits, besides the graph and the data.

    Attributes:
        device: `auto` is that of the machine on which the plan is run.
    """

    seed: int
    threads: int | None
    deterministic: bool
    device: str = "cpu"
    dtype: Literal["float32"] = "float32"


class Column(_Part, frozen=True, kw_only=True):
    """One column of a FeatureSet, as it is stored."""

    domain: Literal["features", "targets", "tags"]
    dtype: str
    shape: Shape


class Source(_Part, frozen=True, kw_only=True):
    """Where rows come from.

    The path, relative to the plan's folder, and the name of a memory table are never part of the id;
    the digest of the header, or of the memory table, is.
    """

    use: Literal["parquet", "arrow", "memory"]
    path: str | None = None
    name: str | None = None
    digest: str
    shapes: dict[str, Shape] = {}


class Split(_Part, frozen=True, kw_only=True):
    """A named part of the rows of a FeatureSet."""

    name: str
    rows: int


class Pass(_Part, frozen=True, kw_only=True):
    """One of the passes over a group that is run several times.

    Before the first phase of each fold and each seed the state is put back to what it was when the
    group began, and after the last phase of the group as well; what `pass` counts goes on from pass to
    pass. Passes of a group follow each other in the plan.

    Attributes:
        group: path of the group; kind and index make the label of the pass that follows it.
        of: number of passes.
        seed: of a seed: the root seed of the initial weights of the torch nodes that the group trains.
    """

    group: str
    kind: Literal["fold", "seed", "pass"]
    index: int
    of: int
    seed: int | None = None

    @property
    def path(self) -> str:
        """The first part of the paths of its phases."""
        return f"{self.group}.{self.kind}_{self.index}"


class Fold(_Part, frozen=True, kw_only=True):
    """What the splits of a FeatureSet are in one pass of a cross-validation.

    The rows of the splits `of`, in ascending order, are shuffled where there is a `seed` and cut into
    `n` consecutive parts, the first of which have one row more where the rows do not divide. Part
    `index` is `val`, the others in their order are `train`. Other splits are what they are outside.
    With `group_by` or `stratify_by` the parts are cut as a random split with equal ratios cuts them.
    Of `ordered` folds there are `n + 1` parts of equal size, the first of which also has the rows that do not
    divide: part `index + 1` is `val`, those before it are `train`.

    Attributes:
        of: splits as they are outside; empty for all rows.
        within: the fold around it that cuts the same FeatureSet, by its path.
    """

    n: int
    index: int
    seed: int | None
    of: tuple[str, ...]
    within: str | None
    train: Split
    val: Split
    group_by: tuple[str, ...] = ()
    stratify_by: tuple[str, ...] = ()
    ordered: bool = False

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns whose values decide which rows are left out together, or evenly."""
        return self.group_by or self.stratify_by


class Divided(_Part, frozen=True, kw_only=True):
    """What a splitter of the user's made of the rows.

    Attributes:
        seed: of the generator that it was given.
        digest: of which rows are in which split, and in which order.
    """

    seed: int
    digest: str


class Scale(_Part, frozen=True, kw_only=True):
    """One scaler of columns of a FeatureSet.

    Attributes:
        columns: as they are stored; a column that an earlier scaler scaled is scaled further.
        fit_on: the split that it learns from, as phases inside a fold see it; None for all rows.
    """

    component: Component
    columns: tuple[str, ...]
    fit_on: str | None = None


class Data(_Part, frozen=True, kw_only=True):
    """One FeatureSet."""

    source: Source
    rows: int
    columns: dict[str, Column]
    splitter: Component | None = None
    splits: tuple[Split, ...] = ()
    """In the order in which they are cut from the shuffled rows."""
    folds: dict[str, Fold] = {}
    """By the path of the pass. Phases of the pass see its splits, and those of `within`."""
    scale: tuple[Scale, ...] = ()
    """In the order in which they are applied."""
    divided: Divided | None = None
    """Of a splitter that is code of the user."""

    @property
    def scaled(self) -> dict[str, str]:
        """The stored column that each `NAME.transformed` among the columns comes from."""
        return {f"{name}.transformed": name for each in self.scale for name in each.columns}

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each split by name, in the order of `splits`."""
        return {split.name: split.rows for split in self.splits}

    def fold_of(self, passes: Iterable[Pass]) -> Fold | None:
        """The innermost fold that cuts this FeatureSet, if one of `passes` does."""
        path = self.fold_path_of(passes)
        return None if path is None else self.folds[path]

    def fold_path_of(self, passes: Iterable[Pass]) -> str | None:
        """The path of the innermost fold that cuts this FeatureSet, if one of `passes` does."""
        found = None
        for each in passes:
            found = each.path if each.path in self.folds else found
        return found

    def sizes_in(self, fold: Fold | None) -> dict[str, int]:
        """Rows of each split as phases inside a fold see them."""
        if fold is None:
            return self.sizes
        outside = self.sizes_in(self.folds[fold.within] if fold.within is not None else None)
        return {**outside, fold.train.name: fold.train.rows, fold.val.name: fold.val.rows}


class Read(_Part, frozen=True, kw_only=True):
    """What a node, a target or a loss reads: columns of a FeatureSet or the output of a node.

    `value` is `FeatureSet.column`, `FeatureSet.a+b`, `FeatureSet.features` or `Node`, of which only
    the last has no `columns`. Several columns are joined along the last axis of a row, scalars as one
    element each. Then the row is cast to `dtype` and viewed as `shape`, which has as many elements.
    """

    value: str
    columns: tuple[str, ...] = ()
    dtype: str
    shape: Shape

    @property
    def feature_set(self) -> str:
        """The FeatureSet of the columns."""
        return self.value.partition(".")[0]


class Node(_Part, frozen=True, kw_only=True):
    """One node of the graph."""

    backend: Literal["torch", "sklearn", "merge"]
    component: Component
    inputs: tuple[Read, ...]
    target: Read | None = None
    """The target as stored, viewed as `shape` where it has as many elements and names no classes."""
    dtype: str
    shape: Shape
    """Shape of one row of the output."""
    method: Literal["transform", "predict", "predict_proba", "decision_function"] | None = None
    """What an estimator is asked for; None for what is usual: a transformer transforms, all others predict."""
    partial_fit: dict[str, Any] = {}
    """Arguments of each partial_fit, beside the rows."""
    parameters: int | None = 0
    """Number of parameters; 0 for nodes that are fitted or that merge, None for a model of the user's that was
    not built. Never part of the id of a plan where the node has code."""
    flops: ModelFlops | None = None
    """Operations of a model or merge of the user's, as they were counted; None where they were not, and for what
    is built in. Never part of the id of a plan."""
    uncountable: bool = False
    """Whether counting them was tried in vain. Never part of the id of a plan."""
    joins: bool = False
    """Whether a module of the user's is a merge: it is given its inputs as a list."""

    @property
    def kind(self) -> Literal["model", "merge"]:
        """What its component is."""
        return "merge" if self.backend == "merge" or self.joins else "model"


class Graph(_Part, frozen=True, kw_only=True):
    """The nodes in topological order."""

    nodes: dict[str, Node]
    order: tuple[str, ...]
    optimizer: Component | None = None

    def fed_by(self, heads: Iterable[str], among: Iterable[str]) -> tuple[str, ...]:
        """Those of `among`, which are in topological order, that are or depend on one of `heads`."""
        found = set(heads)
        for label in among:
            if any(read.value in found for read in self.nodes[label].inputs if not read.columns):
                found.add(label)
        return tuple(label for label in among if label in found)


class Argument(_Part, frozen=True, kw_only=True):
    """One argument of a loss or metric: a field of a node, cast and viewed."""

    node: str
    role: str = DEFAULT_ROLE
    field: Literal["outputs", "targets", "column"]
    column: str = ""
    """`FeatureSet.column`, of the field `column`: its rows are those that the node reads."""
    dtype: str
    shape: Shape


class Objective(_Part, frozen=True, kw_only=True):
    """A loss or metric of a phase. `weight` counts in losses only."""

    label: str
    component: Component
    node: str
    arguments: tuple[Argument, ...]
    weight: float = 1.0


class Record(_Part, frozen=True, kw_only=True):
    """One tensor column that a phase records, one row for each sample."""

    node: str
    role: str = DEFAULT_ROLE
    field: Literal["outputs", "targets", "sample_id"]
    dtype: str
    shape: Shape


class Sampler(_Part, frozen=True, kw_only=True):
    """The order of the rows: component, and the seed that is in force.

    Attributes:
        samples: rows, or tuples of rows, of an epoch, where the values of columns decide how many there are.
        roles: in which the rows of a tuple come; empty where rows are read one by one.
        weighted: whether tuples have weights in the losses.
        largest: rows of the largest batch, where code of the user makes the batches.
    """

    component: Component
    seed: int
    samples: int | None = None
    roles: tuple[str, ...] = ()
    weighted: bool = False
    largest: int | None = None


class Feed(_Part, frozen=True, kw_only=True):
    """Rows that some nodes of a train phase read together, in batches of one sampler.

    Attributes:
        rows: of the split; None for `split` stands for all rows.
        nodes: those that read columns of the FeatureSet themselves.
        steps: batches of an epoch.
    """

    data: str
    split: str | None
    rows: int
    nodes: tuple[str, ...]
    sampler: Sampler
    steps: int

    @property
    def samples(self) -> int:
        """Rows, or tuples of rows, of an epoch."""
        if self.sampler.samples is not None:
            return self.sampler.samples
        left = self.rows % self.batch_size if self.sampler.component.args["drop_last"] else 0
        return self.rows - left

    @property
    def batch_size(self) -> int:
        """Rows, or tuples of rows, of a batch that is full."""
        if self.sampler.largest is not None:
            return self.sampler.largest
        size: int = self.sampler.component.args["batch_size"]
        return size


class Evaluation(_Part, frozen=True, kw_only=True):
    """Evaluation of a split between the epochs of a train phase.

    Attributes:
        run_on_start: whether it is run before the first epoch too.
        records: what is recorded of it, beside the phase, under the epoch after which it is run.
        means: by the name of a series, the loss of which it is the weighted mean over all rows.
        sums: the same, of the sum over its batches.
    """

    name: str
    split: str
    rows: int
    nodes: tuple[str, ...]
    losses: tuple[Objective, ...]
    metrics: tuple[Objective, ...]
    every_n_epochs: int
    batch_size: int | None
    data: str | None = None
    """The FeatureSet, where it is another than that of the phase."""
    run_on_start: bool = False
    records: tuple[Record, ...] = ()
    means: dict[str, str] = {}
    sums: dict[str, str] = {}

    @property
    def total(self) -> str | None:
        """Name of the series of the weighted sum of the losses, where it has one."""
        name = f"{self.name}_loss"
        return None if not self.losses or name in {**self.means, **self.sums} else name

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the metrics that it records."""
        total = () if self.total is None else (self.total,)
        own = (f"{self.name}_{each.label}" for each in (*self.losses, *self.metrics))
        return (*total, *own, *self.means, *self.sums)


class EarlyStopping(_Part, frozen=True, kw_only=True):
    """When to stop a train phase."""

    monitor: str
    mode: Literal["min", "max"]
    patience: int
    min_delta: float
    restore_best: bool
    reducer: Literal["last", "first", "mean", "min", "max", "sum"] = "last"


class LearningRate(_Part, frozen=True, kw_only=True):
    """Factors of the learning rate by the number of the step in the phase (`components.callback`)."""

    schedule: Literal[
        "constant", "linear", "cosine", "exponential", "step", "multi_step", "one_cycle"
    ]
    warmup: int
    final: float
    gamma: float
    every_n_epochs: int
    milestones: tuple[int, ...] = ()
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    anneal_strategy: Literal["cos", "linear"] = "cos"
    cycle_momentum: bool = False
    base_momentum: float = 0.85
    max_momentum: float = 0.95


class Plateau(_Part, frozen=True, kw_only=True):
    """When the learning rate falls because a metric stays (`components.callback`)."""

    monitor: str
    mode: Literal["min", "max"]
    factor: float
    patience: int
    threshold: float
    threshold_mode: Literal["rel", "abs"]
    cooldown: int
    min_lr: float
    eps: float


class Clip(_Part, frozen=True, kw_only=True):
    """How large gradients may be when an optimizer makes a step: each element, then all of them together."""

    value: float | None = None
    norm: float | None = None


class Callback(_Part, frozen=True, kw_only=True):
    """What is called inside a phase: code of the user's, or an object of the program."""

    label: str
    component: Component


class Guard(_Part, frozen=True, kw_only=True):
    """A condition under which a phase is run, on what was measured before; otherwise it is skipped.

    The metric is that of the last of `phases` that was run, as its end left it: of the epoch whose
    weights a train phase kept. Where none of them was run the guarded phase is skipped; a metric that
    was not measured compares as NaN does.

    Attributes:
        holds: what the comparison must be for the phase to be run.
    """

    phases: tuple[str, ...]
    metric: str
    op: Literal["<", "<=", ">", ">=", "=="]
    value: float
    holds: bool


class _Phase(_Part, frozen=True, kw_only=True):
    """What every phase has.

    Attributes:
        path: label, with those of the groups around it, joined by dots; unique in the plan.
        data: FeatureSet that is read; split: the split, None for all rows; rows: how many.
        nodes: nodes that compute, in order.
        steps: steps of one epoch, or of the phase.
        record: which steps are recorded; records: what is recorded in them.
        passes: the passes that it belongs to, from the outside in.
        guards: conditions under which it is run.
        callbacks: what is called inside it. Their labels differ.
    """

    path: str
    data: str
    split: str | None
    rows: int
    nodes: tuple[str, ...]
    steps: int
    losses: tuple[Objective, ...] = ()
    metrics: tuple[Objective, ...] = ()
    record: RecordMode
    records: tuple[Record, ...] = ()
    passes: tuple[Pass, ...] = ()
    guards: tuple[Guard, ...] = ()
    callbacks: tuple[Callback, ...] = ()

    @property
    def path_without_passes(self) -> str:
        """The path as the spec has it: without the labels of folds, seeds and repetitions."""
        inner = {each.group.count(".") + 1 for each in self.passes}
        labels = enumerate(self.path.split("."))
        return ".".join(label for index, label in labels if index not in inner)

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the metrics that its end leaves."""
        total = {"train": "train_loss", "eval": "eval_loss", "fit": "fit_loss"}
        own = [each.label for each in (*self.losses, *self.metrics)]
        if self.losses:
            own.insert(0, total[str(self.__struct_config__.tag)])
        return tuple(own)


class Train(_Phase, tag_field="phase", tag="train", frozen=True, kw_only=True):
    """Gradient training. `trainable` are the torch nodes whose weights the optimizer changes.

    Attributes:
        feeds: where there are several; the first is also what `data`, `split`, `rows` and `sampler` say.
        optimizer: changes all of them, or nothing where each has its own in `optimizers`, by its label; no
            gradient passes to what such a node reads.
        accumulate: batches that one step of the optimizers is made of. The last ones of an epoch may be fewer.
        clip: of the gradients of `optimizer`; `clips` of those of the others, by label.
        fits: scikit-learn nodes that learn from each batch, by their partial_fit.
        schedule: how their batches make steps. Under `zip_` a step has a batch of each, under `alternate_` of
            one after the other; `_strict` ends with the shortest, `_cycle` begins shorter ones again.
    """

    epochs: int
    sampler: Sampler
    trainable: tuple[str, ...]
    optimizer: Component | None = None
    optimizers: dict[str, Component] = {}
    accumulate: int = 1
    clip: Clip | None = None
    clips: dict[str, Clip] = {}
    fits: tuple[str, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    early_stopping: EarlyStopping | None = None
    learning_rate: LearningRate | None = None
    plateau: Plateau | None = None
    feeds: tuple[Feed, ...] = ()
    schedule: BatchSchedule = "zip_strict"

    @property
    def updates(self) -> int:
        """Changes of the weights in an epoch."""
        return -(-self.steps // self.accumulate)

    def optimizer_of(self, label: str) -> Component:
        """What changes the weights of a node that the phase trains."""
        return self.optimizers[label] if self.optimizer is None else self.optimizer

    @property
    def all_feeds(self) -> tuple[Feed, ...]:
        """What the phase reads, whether it is one feed or several."""
        return self.feeds or (
            Feed(
                data=self.data,
                split=self.split,
                rows=self.rows,
                nodes=self.nodes,
                sampler=self.sampler,
                steps=self.steps,
            ),
        )

    @property
    def alternates(self) -> bool:
        """Whether the feeds take turns, so that each step reads one of them."""
        return self.schedule.startswith("alternate") and bool(self.feeds)

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the metrics that its end leaves: those of evaluations that an epoch reaches, too."""
        reached = [each for each in self.evaluations if each.every_n_epochs <= self.epochs]
        return (*super().measured, *(name for each in reached for name in each.measured))


class Eval(_Phase, tag_field="phase", tag="eval", frozen=True, kw_only=True):
    """A forward pass.

    Attributes:
        joined: FeatureSets that are read beside `data`, row by row: the same split, of as many rows.
    """

    batch_size: int | None = None
    joined: tuple[str, ...] = ()


class Fit(_Phase, tag_field="phase", tag="fit", frozen=True, kw_only=True):
    """Fitting of `fitted` in order on the whole split."""

    fitted: tuple[str, ...]
    freeze_after_fit: bool = True


class Call(_Phase, tag_field="phase", tag="call", frozen=True, kw_only=True):
    """A call of a function of the user's. It reads no FeatureSet and computes no node.

    Attributes:
        function: the function; its arguments are what its configuration is made of.
        words: what was said beside the configuration.
    """

    function: Component
    words: tuple[str, ...] = ()
    data: str = ""
    split: str | None = None
    rows: int = 0
    nodes: tuple[str, ...] = ()
    steps: int = 1
    record: RecordMode = "none"


Phase = Train | Eval | Fit | Call


class Results(_Part, frozen=True, kw_only=True):
    """Where runs go, relative to the plan's folder, and how records are written. Never part of the id.

    Attributes:
        durability: when records are forced to the disk: at the end, every few seconds, or always.
        on_error: whether a run stops when records cannot be written, or goes on without them.
        system_metrics_seconds: between two samples of processor, memory, disk and GPU; None for none.
    """

    dir: str | None = None
    durability: Durability = "process"
    on_error: OnError = "stop"
    system_metrics_seconds: float | None = None


class Checkpoints(_Part, frozen=True, kw_only=True):
    """When a run makes checkpoints. Never part of the id.

    Attributes:
        save_on: events after which it always makes one.
        every_seconds, every_n_steps: between steps of training, this long after the last one.
        keep: how many stay.
    """

    save_on: tuple[SaveOn, ...] = ("phase_end",)
    every_seconds: float | None = None
    every_n_steps: int | None = None
    keep: int = 1


class Surroundings(_Part, frozen=True, kw_only=True):
    """What has to hold around the code of the user's that a run calls. Never part of the id.

    Attributes:
        pythonpath: folders in which modules are looked for, relative to the plan's folder.
        pre_experiment: file, or name of a module, that runs before any other code of the user's.
        dirty_git: what uncommitted changes do to a run that is about to begin.
    """

    pythonpath: tuple[str, ...] = ()
    pre_experiment: str | None = None
    dirty_git: DirtyGitAction = DirtyGitAction.WARN


class Plan(_Part, frozen=True, kw_only=True):
    """A compiled experiment."""

    plan: int = PLAN_VERSION
    id: str
    experiment: Experiment
    numerics: Numerics
    data: dict[str, Data]
    graph: Graph
    phases: tuple[Phase, ...]
    results: Results = Results()
    code: Surroundings = Surroundings()
    checkpoint: Checkpoints | None = None
    """None for checkpoints that take at most a hundredth of the run's time."""


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, and what only this process knows of it.

    Attributes:
        folder: the folder from which the plan's relative paths start.
        tables: columns of `memory` sources, by the name under which they are bound.
        live: objects of the program that components `live:NAME` are, by name.
        warnings: what the compiler found odd but not wrong.
        origins: where the spec says what the plan holds, by JSON pointer into the plan; of a plan that was
            read from a file, what the map beside it says.
        spec: the composed spec as plain values with the defaults of the language; None for a plan that
            was read from a file.
        looked_at: FeatureSets of which every row was looked at, and what is odd in them told.
        written_id: the id that the plan has in the file from which it was read, None without one. It is
            another than the plan's where an older program wrote the file.
        document: what the plan was compiled from; None for a plan that was read from a file.
        takes_other_code: whether code of the user may be other than what was compiled, as a user can allow
            for a run that goes on.
    """

    plan: Plan
    folder: Path
    tables: Mapping[str, Mapping[str, NDArray[Any]]] = {}
    live: Mapping[str, Any] = {}
    warnings: tuple[Diagnostic, ...] = ()
    origins: Mapping[str, Origin] = {}
    spec: Mapping[str, Any] | None = None
    looked_at: frozenset[str] = frozenset()
    written_id: str | None = None
    document: Document | None = None
    takes_other_code: bool = False


def is_plan(value: Any) -> bool:
    """Whether the plain value of a JSON file is a plan; a spec has a list under `plan`."""
    return (
        isinstance(value, dict)
        and type(value.get("plan")) is int
        and isinstance(value.get("id"), str)
    )
