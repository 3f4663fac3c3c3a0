"""Pass: what one phase computes, trains, fits, evaluates and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components.component import Component
from specplan.components.sampler import Simple
from specplan.plan.model import Eval, Fit, Record, Sampler, Train
from specplan.plan.passes.callbacks import early_stopping, evaluations, own_callbacks
from specplan.plan.passes.components import as_plan
from specplan.plan.passes.objectives import Chosen
from specplan.plan.passes.outline import Measured, Outline
from specplan.plan.passes.own_component import UsersOwn
from specplan.plan.streams import written_seed_of
from specplan.spec.model import EvalSpec, FitSpec, TrainSpec
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from specplan.plan.model import Phase
    from specplan.plan.passes.activity import Activity
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.graph import Wired
    from specplan.plan.passes.objectives import Objectives
    from specplan.plan.passes.unroll import Step
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import PhaseSpec

_SAMPLE_ID_DTYPE = "int64"
_NOUNS = {"losses": "loss", "metrics": "metric"}
_TOTALS = {TrainSpec: "train_loss", EvalSpec: "eval_loss", FitSpec: "fit_loss"}


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the passes before this one found."""

    resolved: Resolved
    data: dict[str, FeatureSet]
    wired: Wired
    objectives: Objectives


class PhaseScheduler:
    """Schedules one phase; whatever is missing because of a fault makes the phase None."""

    def __init__(
        self,
        context: Context,
        parts: Parts,
        activity: Activity,
        step: Step,
        spec: PhaseSpec,
    ) -> None:
        self.context = context
        self.resolved = parts.resolved
        self.data = parts.data
        self.wired = parts.wired
        self.objectives = parts.objectives
        self.activity = activity
        self.step = step
        self.spec = spec
        self.path = step.place
        self.label = step.path
        self.measured: list[Measured] = []
        self.outline: Outline

    def phase(self) -> Phase | None:
        """The phase as the plan writes it."""
        losses = self.choose("losses", self.spec.losses, (*self.path, "losses"))
        metrics = (
            Chosen()
            if isinstance(self.spec, TrainSpec)
            else self.choose("metrics", self.spec.metrics, (*self.path, "metrics"))
        )
        self._check_names(losses, metrics)
        active = self._active()
        match self.spec:
            case TrainSpec():
                return self._train(self.spec, losses, active)
            case EvalSpec():
                return self._eval(self.spec, losses, metrics, active)
            case FitSpec():
                return self._fit(self.spec, losses, metrics, active)

    def choose(self, section: str, labels: tuple[str, ...], path: Path) -> Chosen:
        """The objectives that a list names."""
        known = self.objectives.losses if section == "losses" else self.objectives.metrics
        chosen: dict[str, Any] = {}
        complete = True
        for index, label in enumerate(labels):
            place = (*path, index)
            if label not in known and self.context.lost((section, label)):
                complete = False
            elif label not in known:
                message = (
                    f"there is no {_NOUNS[section]} `{label}`; known: {quoted(known) or 'none'}"
                )
                self.context.error("SP301", message, place, hint=did_you_mean(label, known))
                complete = False
            elif label in chosen:
                self.context.error("SP304", f"`{label}` is listed twice", place)
            else:
                chosen[label] = known[label]
        return Chosen(
            objectives=tuple(item for item in chosen.values() if item is not None),
            labels=tuple(chosen),
            reads=frozenset(
                node for label in chosen for node in self.objectives.reads[section, label]
            ),
            outputs=frozenset(
                node for label in chosen for node in self.objectives.outputs[section, label]
            ),
            complete=complete and None not in chosen.values(),
        )

    def rows(self, feature_set: str, split: str | None, path: Path) -> int | None:
        """Rows of a split, or of all; None where they are not known."""
        known = self.data[feature_set]
        if split is None:
            return known.rows
        cut = self.step.cuts.get(feature_set)
        sizes = known.splits if cut is None else cut.sizes
        uncertain = self.step.uncertain or self.context.damaged(("data", feature_set, "splits"))
        if split not in sizes and uncertain:
            return None
        if split not in sizes:
            place: Path = ("data", feature_set)
            also = [((*place, "splits"), "its splits")] if known.splits else [(place, "it")]
            names = quoted(sizes) or "no splits"
            message = f"split `{split}` is not defined; {feature_set} has {names}"
            hint = did_you_mean(split, sizes)
            self.context.error("SP303", message, path, hint=hint, also=also)
            return None
        return sizes[split]

    def _active(self) -> tuple[str, ...] | None:
        if self.spec.active is None:
            return None
        nodes = self.context.spec.graph.nodes
        for index, label in enumerate(self.spec.active):
            if label not in nodes and not self.context.lost(("graph", "nodes", label)):
                message = f"there is no node `{label}`; known: {quoted(nodes)}"
                place = (*self.path, "active", index)
                self.context.error("SP301", message, place, hint=did_you_mean(label, nodes))
                self.activity.knows_all_fits = False
            elif label in self.spec.active[:index]:
                place = (*self.path, "active", index)
                self.context.error("SP304", f"`{label}` is listed twice", place)
        return tuple(label for label in self.spec.active if label in nodes)

    def _check_active(self, chosen: tuple[str, ...], purpose: str) -> None:
        place = (*self.path, "active")
        if chosen or self.spec.active is None or self.context.reported(place):
            return
        # A node of a cycle is in no order; the cycle is the fault.
        ordered = set(self.wired.order).issuperset(self.spec.active)
        if ordered and not self.context.damaged(("graph",)):
            self.context.error("SP607", f"`active` leaves nothing {purpose}", place)

    def _check_names(self, losses: Chosen, metrics: Chosen) -> None:
        total = (_TOTALS[type(self.spec)],) if losses.labels else ()
        for section, labels, others in (
            ("losses", losses.labels, (*total, *metrics.labels)),
            ("metrics", metrics.labels, total),
        ):
            for label in labels:
                if label in others:
                    message = f"this phase would record two series called `{label}`"
                    hint = f"rename the {_NOUNS[section]}"
                    self.context.error("SP304", message, (*self.path, section), hint=hint)

    def _source(self, nodes: tuple[str, ...]) -> str | None:
        """The one FeatureSet that a phase reads."""
        names = self.wired.feature_sets(nodes)
        if len(names) > 1:
            message = f"this phase reads several FeatureSets: {quoted(names)}"
            hint = "list nodes of one FeatureSet in `active`, or their losses only"
            self.context.error("SP307", message, self.path, hint=hint)
            return None
        if not names and len(self.data) == 1 and not self.context.damaged(("data",)):
            # A node's input is faulty, but the split can still be checked.
            names = list(self.data)
        return names[0] if names else None

    def _warn_of_leak(self, source: str | None) -> None:
        """Warn of a phase that learns from the rows that its fold leaves out."""
        cut = self.step.cuts.get(source) if source is not None else None
        if cut is None or (self.spec.split is not None and self.spec.split not in cut.pooled):
            return
        if self.spec.split is None and len(self.data[cut.feature_set].splits) > 1:
            # Of splits that there are anyway, `warn_of_evaluation` says so where they are measured.
            return
        read = "all rows" if self.spec.split is None else f"split `{self.spec.split}`"
        message = f"this phase learns from {read}, also from those that `{cut.names[1]}` leaves out"
        key = "label" if self.spec.split is None else "split"
        hint = f"learn from `{cut.names[0]}`"
        self.context.warning("SP717", message, (*self.path, key), hint=hint)

    def _rows(self, source: str | None) -> int | None:
        return self.rows(source, self.spec.split, (*self.path, "split")) if source else None

    def _common(
        self,
        source: str | None,
        rows: int | None,
        nodes: tuple[str, ...],
        losses: Chosen,
        metrics: Chosen,
        recorded: set[str],
    ) -> dict[str, Any] | None:
        """The fields that every phase has, but `steps`."""
        callbacks = own_callbacks(self, self.spec)
        known = self.wired.nodes.keys() >= set(nodes)
        if source is None or rows is None or not (losses.complete and metrics.complete and known):
            return None
        keeps = self.spec.record != "none"
        return {
            "path": self.label,
            "data": source,
            "split": self.spec.split,
            "rows": rows,
            "nodes": nodes,
            "losses": losses.objectives,
            "metrics": metrics.objectives,
            "record": self.spec.record,
            "records": self._records(source, nodes, recorded) if keeps else (),
            "passes": self.step.passes,
            "guards": self.step.guards,
            "callbacks": callbacks,
        }

    def _outline(
        self,
        source: str | None,
        nodes: tuple[str, ...],
        losses: Chosen,
        metrics: Chosen,
        learning: tuple[str, ...] = (),
    ) -> None:
        self.outline = Outline(
            path=self.path,
            label=self.label,
            spec=self.spec,
            source=source,
            nodes=nodes,
            learning=learning,
            losses=losses,
            metrics=metrics,
            measured=tuple(self.measured),
        )

    def _records(
        self, source: str, nodes: tuple[str, ...], recorded: set[str]
    ) -> tuple[Record, ...]:
        records = [Record(node=source, field="sample_id", dtype=_SAMPLE_ID_DTYPE, shape=())]
        for label in nodes:
            if label not in recorded:
                continue
            node = self.wired.nodes[label]
            records.append(Record(node=label, field="outputs", dtype=node.dtype, shape=node.shape))
            if node.target is not None:
                target = node.target
                records.append(
                    Record(node=label, field="targets", dtype=target.dtype, shape=target.shape)
                )
        return tuple(records)

    def _train(
        self, spec: TrainSpec, losses: Chosen, active: tuple[str, ...] | None
    ) -> Phase | None:
        nodes = self.activity.needed({*losses.reads, *(active or ())})
        trainable = self.activity.trainable(losses.outputs, active, self.path)
        self._check_active(trainable, "to train")
        self._check_weights(losses)
        self.activity.check_fitted(nodes, (), self.path, self.step.guards)
        source = self._source(nodes)
        self._warn_of_leak(source)
        rows = self._rows(source)
        common = self._common(source, rows, nodes, losses, Chosen(), losses.carriers)
        between = evaluations(self, spec, losses, source)
        self._outline(source, nodes, losses, Chosen(), learning=trainable)
        stopping = early_stopping(self, spec, losses)
        optimizer = self._optimizer()
        sampler = self.resolved.get((*self.path, "sampler"))
        if not isinstance(sampler, Simple) or rows is None:
            return None
        steps = self._steps(sampler, rows)
        if common is None or between is None or optimizer is None:
            return None
        if not trainable or not steps:
            return None
        return Train(
            **common,
            steps=steps,
            epochs=spec.epochs,
            sampler=self._sampler(sampler),
            trainable=trainable,
            optimizer=as_plan(optimizer),
            evaluations=between,
            early_stopping=stopping,
        )

    def _check_weights(self, losses: Chosen) -> None:
        weights = [self.context.spec.losses[label].weight for label in losses.labels]
        if not losses.complete or not weights or any(weights):
            return
        message = "the losses of this phase have weight 0: there is nothing to learn from"
        also = [(("losses", label, "weight"), "the weight") for label in losses.labels]
        self.context.error("SP612", message, (*self.path, "losses"), also=also)

    def _optimizer(self) -> Component | UsersOwn | None:
        place = ("graph", "optimizer")
        if self.context.spec.graph.optimizer is None and not self.context.lost(place):
            message = "a train phase needs an optimizer: `graph` has none"
            hint = "such as `optimizer: {use: adam, lr: 1e-3}` in `graph`"
            self.context.error("SP204", message, self.path, hint=hint)
            return None
        optimizer = self.resolved.get(place)
        return optimizer if isinstance(optimizer, Component | UsersOwn) else None

    def _steps(self, sampler: Simple, rows: int) -> int:
        if not sampler.drop_last:
            if sampler.batch_size > rows:
                message = (
                    f"batch_size {sampler.batch_size} is more than the {rows} rows of an epoch"
                )
                place = (*self.path, "sampler", "batch_size")
                self.context.warning("SP706", message, place, hint="each epoch is one step")
            return -(-rows // sampler.batch_size)
        steps = rows // sampler.batch_size
        if steps == 0:
            message = (
                f"batch_size {sampler.batch_size} with drop_last leaves no batch for {rows} rows"
            )
            self.context.error("SP702", message, (*self.path, "sampler", "batch_size"))
        return steps

    def _sampler(self, sampler: Simple) -> Sampler:
        seed = sampler.seed
        if seed is None:
            seed = written_seed_of(self.context.spec.run.seed, f"phase/{self.label}/sampler")
        return Sampler(component=as_plan(msgspec.structs.replace(sampler, seed=seed)), seed=seed)

    def _eval(
        self, spec: EvalSpec, losses: Chosen, metrics: Chosen, active: tuple[str, ...] | None
    ) -> Phase | None:
        wanted = {*losses.reads, *metrics.reads, *(active or ())} or set(self.wired.order)
        nodes = self.activity.needed(wanted)
        self.activity.check_fitted(nodes, (), self.path, self.step.guards)
        recorded = losses.carriers | metrics.carriers | self.activity.sinks(nodes)
        source = self._source(nodes)
        self.measured.append(Measured(path=self.path, split=spec.split, nodes=nodes))
        self._outline(source, nodes, losses, metrics)
        rows = self._rows(source)
        common = self._common(source, rows, nodes, losses, metrics, recorded)
        if common is None:
            return None
        steps = -(-common["rows"] // (spec.batch_size or common["rows"]))
        return Eval(**common, steps=steps, batch_size=spec.batch_size)

    def _fit(
        self, spec: FitSpec, losses: Chosen, metrics: Chosen, active: tuple[str, ...] | None
    ) -> Phase | None:
        read = losses.reads | metrics.reads
        scope = self.activity.needed(self.wired.order if active is None else active)
        fitted = self.activity.fitted(
            scope, active, self.path, label=self.label, freeze=spec.freeze_after_fit
        )
        self._check_active(fitted, "to fit")
        nodes = self.activity.needed({*fitted, *read})
        self.activity.check_fitted(nodes, fitted, self.path, self.step.guards)
        recorded = losses.carriers | metrics.carriers
        source = self._source(nodes)
        self._warn_of_leak(source)
        self._outline(source, nodes, losses, metrics, learning=fitted)
        rows = self._rows(source)
        common = self._common(source, rows, nodes, losses, metrics, recorded)
        if common is None or not fitted:
            return None
        return Fit(**common, steps=1, fitted=fitted, freeze_after_fit=spec.freeze_after_fit)
