"""Nodes that no phase trains, losses that train nothing, and rows that are never read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.components.component import Component
from specplan.components.sampler import Simple
from specplan.plan.passes.order import reachable
from specplan.spec.model import TrainSpec
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.plan.passes.activity import Activity
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.outline import Outline
    from specplan.plan.passes.phase import Parts
    from specplan.plan.passes.schedule import Schedule
    from specplan.spec.diagnostics import Path


def warn_of_training(context: Context, parts: Parts, schedule: Schedule) -> None:
    """Warn of what learns nothing."""
    _Training(context, parts, schedule).warn()


class _Training:
    """What the train and fit phases of a plan do to its nodes."""

    def __init__(self, context: Context, parts: Parts, schedule: Schedule) -> None:
        self.context = context
        self.parts = parts
        self.activity: Activity = schedule.activity
        self.outlines = schedule.outlines
        self.trains = [item for item in self.outlines if isinstance(item.spec, TrainSpec)]

        self._by_loss: dict[str, set[str]] = {}
        self._below: dict[str, set[str]] = {}

    def warn(self) -> None:
        self._warn_of_optimizer()
        untrained = self._untrained()
        self._warn_of_untrained(untrained)
        self._warn_of_losses(untrained)
        self._warn_of_rows_left_out()

    def _warn_of_optimizer(self) -> None:
        graph: Path = ("graph",)
        owners = [graph, *((*graph, "nodes", label) for label in self.context.spec.graph.nodes)]
        for owner in owners if self.trains else ():
            optimizer = self.parts.resolved.get((*owner, "optimizer"))
            if isinstance(optimizer, Component) and getattr(optimizer, "lr", 1) == 0:
                whose = "a weight" if owner == graph else f"the weights of {owner[-1]}"
                message = f"`lr` is 0, so no train phase changes {whose}"
                self.context.warning("SP614", message, (*owner, "optimizer", "lr"))

    def _warn_of_rows_left_out(self) -> None:
        for outline in self.trains:
            sampler = self.parts.resolved.get((*outline.path, "sampler"))
            if not isinstance(sampler, Simple) or not sampler.drop_last or outline.source is None:
                continue
            data, split = self.parts.data[outline.source], outline.split
            rows = data.rows if split is None else data.splits.get(split)
            left = (rows or 0) % sampler.batch_size
            if left and not (sampler.shuffle and sampler.reshuffle):
                message = (
                    f"`drop_last` leaves the same {left} of {rows} rows out of every epoch: "
                    "they are never learned from"
                )
                place = (*outline.path, "sampler", "drop_last")
                hint = "`shuffle: true` leaves out others in each epoch"
                if sampler.shuffle:
                    hint = "without `reshuffle: false` each epoch leaves out others"
                self.context.warning("SP620", message, place, hint=hint)

    def _warn_of_losses(self, untrained: list[str]) -> None:
        negative: set[str] = set()
        for outline in self.trains:
            for index, label in enumerate(outline.losses.labels):
                weight = self.context.spec.losses[label].weight
                if weight < 0 and label not in negative:
                    negative.add(label)
                    message = f"loss {label} has weight {weight:g}: training makes it larger"
                    self.context.warning("SP613", message, ("losses", label, "weight"))
                reached = self._reached(label)
                useless = weight != 0 and reached.isdisjoint(outline.learning)
                if useless and reached.isdisjoint(untrained):
                    message = f"loss {label} reaches no node that this phase trains"
                    hint = "leave it out, or list a node that it reaches in `active`"
                    if not self.activity.models("torch", reached):
                        hint = "leave it out; an eval phase measures without training"
                    place = (*outline.path, "losses", index)
                    self.context.warning("SP656", message, place, hint=hint)

    def _reached(self, loss: str) -> set[str]:
        """The nodes to which gradients of a loss flow."""
        if loss not in self._by_loss:
            outputs = self.parts.objectives.outputs["losses", loss]
            self._by_loss[loss] = self.activity.reached(outputs)
        return self._by_loss[loss]

    def _weighty(self, outline: Outline) -> set[str]:
        """The nodes that losses of a train phase reach with a weight."""
        losses = self.context.spec.losses
        weighty = (label for label in outline.losses.labels if losses[label].weight != 0)
        return set().union(*map(self._reached, weighty))

    def _read_by(self, label: str) -> set[str]:
        """A node and all that it reads, directly or through others."""
        if label not in self._below:
            self._below[label] = reachable(self.parts.wired.upstream, [label])
        return self._below[label]

    def _untrained(self) -> list[str]:
        """The torch nodes that compute and that no phase trains."""
        used = [label for label in self.parts.wired.order if label in self.activity.used]
        learned = {
            label
            for outline in self.trains
            for label in self._weighty(outline).intersection(outline.learning)
        }
        return [label for label in self.activity.models("torch", used) if label not in learned]

    def _warn_of_untrained(self, never: list[str]) -> None:
        if never and not self.trains:
            message = f"{_untrained_message(never)}: there is no train phase"
            self._warn("SP608", message, never[0], hint="add a train phase")
            return
        # Nodes that are left out for the same reason are told of together.
        reasons: dict[tuple[str, Path], list[str]] = {}
        for label in never:
            reasons.setdefault(self._reason(label), []).append(label)
        for (reason, place), labels in reasons.items():
            self._warn_of_one_reason(reason, place, labels)

    def _reason(self, label: str) -> tuple[str, Path]:
        """Why no phase trains a node, and the place that explains it."""
        for outline in self.trains:
            if label in outline.learning:
                loss = next(loss for loss in outline.losses.labels if label in self._reached(loss))
                return "weight", ("losses", loss, "weight")
        frozen = self.context.spec.graph.nodes[label].frozen
        for outline in self.trains:
            if label in self.activity.reached(outline.losses.outputs):
                if frozen and outline.spec.active is None:
                    return "frozen", ("graph", "nodes", label, "frozen")
                return "active", (*outline.path, "active")
        for outline in self.trains:
            if label in outline.nodes:
                for other in self.activity.models("sklearn", outline.nodes):
                    if label in self._read_by(other):
                        return "crossing", ("graph", "nodes", other)
        return "unreached", ()

    def _warn_of_one_reason(self, reason: str, place: Path, labels: list[str]) -> None:
        several = len(labels) > 1
        them, their = ("them", "their") if several else ("it", "its")
        untrained = _untrained_message(labels)
        also = [(place, "left out here" if reason == "active" else "the weight")]
        match reason:
            case "weight":
                message = f"{untrained}: the losses that reach {them} have weight 0"
                self._warn("SP608", message, labels[0], also=also)
            case "active":
                message = f"{untrained}: `active` leaves {them} out"
                hint = f"list {them} in `active`, or train {them} in a phase before"
                self._warn("SP608", message, labels[0], hint=hint, also=also)
            case "frozen":
                message = f"{untrained}: `frozen` keeps it so"
                hint = f"list {them} in `active` of a train phase, or remove `frozen`"
                also = [(place, "frozen here")]
                if self.context.spec.graph.nodes[labels[0]].optimizer is not None:
                    own = ("graph", "nodes", labels[0], "optimizer")
                    also.append((own, "an optimizer that changes nothing"))
                self._warn("SP608", message, labels[0], hint=hint, also=also)
            case "crossing":
                message = f"{untrained}: no gradient passes {place[-1]} of scikit-learn"
                hint = f"train {them} in a phase before, with a loss of {their} own"
                also = [(place, "gradients end here")]
                self._warn("SP609", message, labels[0], hint=hint, also=also)
            case _:
                message = f"{untrained}: no loss of a train phase reaches {them}"
                self._warn("SP608", message, labels[0], hint="name such a loss in a train phase")

    def _warn(
        self,
        code: str,
        message: str,
        label: str,
        *,
        hint: str | None = None,
        also: Sequence[tuple[Path, str]] = (),
    ) -> None:
        place = ("graph", "nodes", label)
        self.context.warning(code, message, place, hint=hint, also=also, key=True)


def _untrained_message(labels: list[str]) -> str:
    if len(labels) > 1:
        return f"{quoted(labels)} are never trained and keep random weights"
    return f"{labels[0]} is never trained and keeps random weights"
