"""Pass: what one phase computes, trains, fits, evaluates and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components.sampler import DEFAULT_ROLE
from specplan.plan.model import Eval, Fit, Record, Train
from specplan.plan.passes.callbacks import own_callbacks
from specplan.plan.passes.evaluations import evaluations
from specplan.plan.passes.feeds import Feeds
from specplan.plan.passes.meetings import meet, refuse_roles
from specplan.plan.passes.monitors import early_stopping
from specplan.plan.passes.objectives import Chosen
from specplan.plan.passes.outline import Measured, Outline
from specplan.plan.passes.rates import check_momentum, learning_rate, plateau
from specplan.plan.passes.updates import check_accumulation, optimizers
from specplan.spec.model import EvalSpec, FitSpec, TrainSpec
from specplan.spec.suggestion import Suggestion
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from specplan.plan.model import Fold, Phase
    from specplan.plan.passes.activity import Activity
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.feeds import Fed
    from specplan.plan.passes.graph import Wired
    from specplan.plan.passes.meetings import Meetings
    from specplan.plan.passes.objectives import Objectives
    from specplan.plan.passes.unroll import Step
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import PhaseSpec

_SAMPLE_ID_DTYPE = "int64"
_ALL_ROWS = frozenset(("all", "full", "everything", "whole"))
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
        folds: Mapping[str, Mapping[str, Fold]],
    ) -> None:
        self.context = context
        self.resolved = parts.resolved
        self.data = parts.data
        self.wired = parts.wired
        self.objectives = parts.objectives
        self.activity = activity
        self.step = step
        self.spec = spec
        self.folds = folds
        self.path = step.place
        self.label = step.path
        self.measured: list[Measured] = []
        self.read: tuple[tuple[str, str | None], ...] = ()
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
        if not isinstance(self.spec, TrainSpec):
            refuse_roles(self, losses, (*self.path, "losses"))
            refuse_roles(self, metrics, (*self.path, "metrics"))
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
                hint = (
                    self._in_other_section(section, label)
                    or self._of_component(section, label, known)
                    or did_you_mean(label, known)
                )
                self.context.error("SP301", message, place, hint=hint)
                complete = False
            elif label in chosen:
                message = f"`{label}` is listed twice"
                self.context.error("SP304", message, place, hint="remove one of the two")
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

    def _in_other_section(self, section: str, label: str) -> str | None:
        """The hint for a loss where a metric is wanted, or a metric where a loss is."""
        others = self.objectives.metrics if section == "losses" else self.objectives.losses
        if label not in others:
            return None
        if section == "metrics":
            return f"`{label}` is a loss: name it in `losses`"
        place = "`metrics`"
        if isinstance(self.spec, TrainSpec):
            place = "`metrics` of the callback `evaluation`"
        return f"`{label}` is a metric: name it in {place}"

    def _of_component(self, section: str, label: str, known: Iterable[str]) -> str | None:
        """The hint where a loss or metric is called as its component is, and not by its label."""
        named = [one for one in known if self.context.written((section, one, "use")) == label]
        if len(named) != 1 or label in named:
            return None
        return Suggestion(
            f"it is called by its label: did you mean `{named[0]}`?", text=named[0], replaces=label
        )

    def rows(self, feature_set: str, split: str | None, path: Path) -> int | None:
        """Rows of a split, or of all; None where they are not known."""
        known = self.data[feature_set]
        if split is None:
            return known.rows
        cut = self.step.cuts.get(feature_set)
        sizes = known.splits if cut is None else cut.sizes
        uncertain = self.step.uncertain or self.context.undivided(feature_set)
        if split not in sizes and uncertain:
            return None
        if split not in sizes:
            place: Path = ("data", feature_set)
            also = [((*place, "splits"), "its splits")] if known.splits else [(place, "it")]
            names = quoted(sizes) or "no splits"
            message = f"split `{split}` is not defined; {feature_set} has {names}"
            hint = did_you_mean(split, sizes)
            if split in _ALL_ROWS:
                hint = "leave `split` out to read all rows"
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
                message = f"`{label}` is listed twice"
                self.context.error("SP304", message, place, hint="remove one of the two")
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

    def source(self, nodes: tuple[str, ...]) -> str | None:
        """The one FeatureSet that a phase reads."""
        names = self.wired.feature_sets(nodes)
        if len(names) > 1:
            message = f"this phase reads several FeatureSets: {quoted(names)}"
            hint = "list nodes of one FeatureSet in `active`, or their losses only"
            if isinstance(self.spec, TrainSpec):
                hint = "say with `inputs` which rows of each of them which node reads"
            self.context.error("SP307", message, self.path, hint=hint)
            return None
        if not names and len(self.data) == 1 and not self.context.damaged(("data",)):
            # A node's input is faulty, but the split can still be checked.
            names = list(self.data)
        return names[0] if names else None

    def _paired_sources(self, nodes: tuple[str, ...]) -> tuple[str, ...]:
        """The FeatureSets that an eval phase reads row by row; none where rows do not pair."""
        names = self.wired.feature_sets(nodes)
        if len(names) < 2:
            found = self.source(nodes)
            return () if found is None else (found,)
        place = (*self.path, "split" if self.spec.split is not None else "label")
        rows = {name: self.rows(name, self.spec.split, place) for name in names}
        if len(set(rows.values())) == 1:
            return tuple(names)
        if None not in rows.values():
            said = ", ".join(f"{name} {count}" for name, count in rows.items())
            message = (
                f"this phase reads several FeatureSets row by row, and they differ in rows: {said}"
            )
            hint = "list nodes of one FeatureSet in `active`, or their losses only"
            self.context.error("SP307", message, self.path, hint=hint)
        return ()

    def _warn_of_leak(self, source: str, split: str | None) -> None:
        """Warn of a phase that learns from the rows that its fold leaves out."""
        cut = self.step.cuts.get(source)
        if cut is None or (split is not None and split not in cut.pooled):
            return
        if split is None and len(self.data[cut.feature_set].splits) > 1:
            # Of splits that there are anyway, `warn_of_evaluation` says so where they are measured.
            return
        read = "all rows" if split is None else f"split `{split}`"
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
            "records": self.records(source, nodes, recorded) if keeps else (),
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
            read=self.read,
            nodes=nodes,
            learning=learning,
            losses=losses,
            metrics=metrics,
            measured=tuple(self.measured),
            undone=next((each.path for each in self.step.passes if each.kind != "pass"), None),
        )

    def records(
        self, source: str, nodes: tuple[str, ...], recorded: set[str]
    ) -> tuple[Record, ...]:
        """What is recorded of a step: the numbers of the rows, and what some nodes give and should give."""
        records = [_sample_ids(source)]
        for label in nodes:
            if label not in recorded:
                continue
            records += self._records_of(label, DEFAULT_ROLE)
        return tuple(records)

    def _records_of(self, label: str, role: str) -> Iterator[Record]:
        node = self.wired.nodes[label]
        yield Record(node=label, role=role, field="outputs", dtype=node.dtype, shape=node.shape)
        if node.target is not None:
            dtype, shape = node.target.dtype, node.target.shape
            yield Record(node=label, role=role, field="targets", dtype=dtype, shape=shape)

    def _train(
        self, spec: TrainSpec, losses: Chosen, active: tuple[str, ...] | None
    ) -> Phase | None:
        nodes = self.activity.needed({*losses.reads, *(active or ())})
        fits = self.activity.learning_in_batches(losses.outputs, active)
        trainable = self.activity.trainable(
            losses.outputs, active, self.path, fits, complete=losses.complete
        )
        if losses.complete:
            self._check_active((*trainable, *fits), "to train")
        self._check_weights(losses)
        self.activity.check_fitted(nodes, fits, self.path, self.step.guards)
        reading = Feeds(self, spec, nodes)
        source = reading.source()
        self.read = reading.read(source)
        for data, split in self.read:
            self._warn_of_leak(data, split)
        fed = reading.fed(source)
        met = None if fed is None else meet(self, fed, nodes, losses)
        rows = None if fed is None else fed.feeds[0].rows
        recorded = set(nodes) if spec.record_nodes == "all" else losses.carriers
        common = self._common(source, rows, nodes, losses, Chosen(), recorded)
        between = evaluations(self, spec, losses, source)
        self._outline(source, nodes, losses, Chosen(), learning=(*trainable, *fits))
        stopping = early_stopping(self, spec, losses)
        updating = optimizers(self, trainable, fits)
        if fed is None or met is None or common is None or between is None or updating is None:
            return None
        if not trainable and not fits:
            return None
        check_accumulation(self, spec, trainable, fed.steps)
        rate = learning_rate(self, spec, spec.epochs * -(-fed.steps // spec.accumulate))
        check_momentum(self, spec, updating)
        first = fed.feeds[0]
        records = self._fed_records(fed, met, nodes, recorded)
        read = {"data": first.data, "split": first.split, "records": records}
        return Train(
            **{**common, **read},
            steps=fed.steps,
            epochs=spec.epochs,
            sampler=first.sampler,
            trainable=trainable,
            fits=fits,
            **updating,
            accumulate=spec.accumulate,
            evaluations=between,
            early_stopping=stopping,
            learning_rate=rate,
            plateau=plateau(self, spec, losses),
            feeds=fed.feeds if len(fed.feeds) > 1 else (),
            schedule=fed.schedule,
        )

    def _fed_records(
        self, fed: Fed, met: Meetings, nodes: tuple[str, ...], recorded: set[str]
    ) -> tuple[Record, ...]:
        """What a train phase records: the row numbers of each feed, then nodes in each of their roles."""
        if self.spec.record == "none":
            return ()
        sources = [feed.data for feed in fed.feeds]
        records = [
            # Feeds of one FeatureSet are told apart by their nodes.
            Record(
                node=feed.data if sources.count(feed.data) == 1 else feed.nodes[0],
                role=role,
                field="sample_id",
                dtype=_SAMPLE_ID_DTYPE,
                shape=(),
            )
            for feed in fed.feeds
            for role in feed.sampler.roles or (DEFAULT_ROLE,)
        ]
        for label in nodes:
            if label in recorded:
                # A node has no role where its input could not be read.
                for role in met.roles.get(label, ()):
                    records += self._records_of(label, role)
        return tuple(records)

    def _check_weights(self, losses: Chosen) -> None:
        weights = [self.context.spec.losses[label].weight for label in losses.labels]
        if not losses.complete or not weights or any(weights):
            return
        message = "the losses of this phase have weight 0: there is nothing to learn from"
        also = [(("losses", label, "weight"), "the weight") for label in losses.labels]
        self.context.error("SP612", message, (*self.path, "losses"), also=also)

    def _eval(
        self, spec: EvalSpec, losses: Chosen, metrics: Chosen, active: tuple[str, ...] | None
    ) -> Phase | None:
        if active == () and not (losses.reads or metrics.reads):
            self._check_active((), "to evaluate")
        wanted = {*losses.reads, *metrics.reads, *(active or ())} or set(self.wired.order)
        nodes = self.activity.needed(wanted)
        self.activity.check_fitted(nodes, (), self.path, self.step.guards)
        recorded = losses.carriers | metrics.carriers | self.activity.sinks(nodes)
        if spec.record_nodes == "all":
            recorded = set(nodes)
        sources = self._paired_sources(nodes)
        source = sources[0] if sources else None
        self.read = tuple((each, spec.split) for each in sources)
        self.measured.append(Measured(path=self.path, split=spec.split, nodes=nodes))
        self._outline(source, nodes, losses, metrics)
        rows = self._rows(source)
        common = self._common(source, rows, nodes, losses, metrics, recorded)
        if common is None:
            return None
        steps = -(-common["rows"] // (spec.batch_size or common["rows"]))
        if common["records"]:
            common["records"] = (*map(_sample_ids, sources), *common["records"][1:])
        return Eval(**common, steps=steps, batch_size=spec.batch_size, joined=sources[1:])

    def _fit(
        self, spec: FitSpec, losses: Chosen, metrics: Chosen, active: tuple[str, ...] | None
    ) -> Phase | None:
        read = losses.reads | metrics.reads
        scope = self.activity.needed(self.wired.order if active is None else active)
        fitted = self.activity.fitted(
            scope, active, self.path, label=self.label, freeze=spec.freeze_after_fit
        )
        self._check_active(fitted, "to fit")
        if not fitted:
            # What this phase was to fit is not known.
            self.activity.knows_all_fits = False
        nodes = self.activity.needed({*fitted, *read})
        self.activity.check_fitted(nodes, fitted, self.path, self.step.guards)
        recorded = losses.carriers | metrics.carriers
        source = self.source(nodes)
        if source is not None:
            self._warn_of_leak(source, self.spec.split)
        self._outline(source, nodes, losses, metrics, learning=fitted)
        rows = self._rows(source)
        common = self._common(source, rows, nodes, losses, metrics, recorded)
        if common is None or not fitted:
            return None
        return Fit(**common, steps=1, fitted=fitted, freeze_after_fit=spec.freeze_after_fit)


def _sample_ids(source: str) -> Record:
    return Record(node=source, field="sample_id", dtype=_SAMPLE_ID_DTYPE, shape=())
