"""Nodes that no phase trains, losses that train nothing, and phases in an order that undoes their work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.components.component import Component
from specplan.plan.passes.order import reachable
from specplan.spec.model import FitSpec, TrainSpec
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
    """Warn of what learns nothing, or the wrong thing."""
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
        self._warn_of_stale_nodes()
        self._warn_of_untrained_sources()
        self._warn_of_early_evaluation()
        self._warn_of_given_answers()

    def _warn_of_given_answers(self) -> None:
        """Nodes that read the column that they learn to give, where it is one of the targets."""
        nodes, data = self.context.spec.graph.nodes, self.context.spec.data
        readers: dict[str, list[tuple[str, Path]]] = {}
        for label, node in nodes.items():
            path: Path = ("graph", "nodes", label, "input")
            if isinstance(node.input, str):
                readers.setdefault(node.input, []).append((label, path))
            else:
                for index, text in enumerate(node.input):
                    readers.setdefault(text, []).append((label, (*path, index)))
        told: set[Path] = set()
        for label, node in nodes.items():
            if node.target is None or node.target not in readers:
                continue
            owner, _, column = node.target.partition(".")
            if column not in data[owner].targets:
                continue
            for other, place in readers[node.target]:
                if other in self._read_by(label) and place not in told:
                    told.add(place)
                    who = "it" if label == other else f"{other} before it"
                    message = f"{label} learns to give `{node.target}`, and {who} reads that"
                    also = [(("graph", "nodes", label, "target"), "the target")]
                    self.context.warning("SP619", message, place, also=also)
                    break

    def _warn_of_optimizer(self) -> None:
        optimizer = self.parts.resolved.get(("graph", "optimizer"))
        if self.trains and isinstance(optimizer, Component) and getattr(optimizer, "lr", 1) == 0:
            message = "`lr` is 0, so no train phase changes a weight"
            self.context.warning("SP614", message, ("graph", "optimizer", "lr"))

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
        for outline in self.trains:
            if label in self.activity.reached(outline.losses.outputs):
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

    def _warn_of_stale_nodes(self) -> None:
        """Nodes that learned from what others gave, and are used after those have changed."""
        learned: dict[str, Outline] = {}
        stale: dict[str, tuple[Outline, Outline]] = {}
        alternating: set[str] = set()
        told: set[tuple[Path, Path]] = set()
        for outline in self.outlines:
            for label in outline.learning:
                learned[label] = outline
                if stale.pop(label, None) is not None:
                    alternating.add(label)
            for label in self._outdated(outline):
                if label in learned:
                    stale.setdefault(label, (learned[label], outline))
            used = {*outline.nodes, *(name for item in outline.measured for name in item.nodes)}
            for label in self.parts.wired.order:
                if label not in used or label not in stale:
                    continue
                places = stale[label][0].path, stale[label][1].path
                fitted = isinstance(stale[label][0].spec, FitSpec)
                if places not in told and (fitted or label not in alternating):
                    told.add(places)
                    self._warn_of_stale_node(label, *stale[label])

    def _warn_of_untrained_sources(self) -> None:
        """Train phases that learn from what nodes give before another phase trains these."""
        trained_at: dict[str, list[int]] = {}
        for index, outline in enumerate(self.outlines):
            for label in outline.learning:
                trained_at.setdefault(label, []).append(index)
        for index, outline in enumerate(self.outlines):
            if not isinstance(outline.spec, TrainSpec):
                continue
            for label in self.activity.models("torch", outline.nodes):
                later = trained_at.get(label, [-1])[0]
                # Nodes that learn once more after that may well have been trained in turns.
                again = any(trained_at[name][-1] >= later for name in outline.learning)
                if later > index and not again:
                    change = self.outlines[later]
                    message = (
                        f"this phase trains {quoted(outline.learning)} with the outputs of "
                        f"`{label}`, which `{change.label}` trains after it"
                    )
                    also = [(change.place, f"trains `{label}`")]
                    hint = f"put it after `{change.label}`"
                    self.context.warning("SP610", message, outline.place, hint=hint, also=also)
                    break

    def _outdated(self, outline: Outline) -> list[str]:
        """Nodes that read what a phase changes, unless they learn in it or its gradients pass them."""
        changed = set(outline.learning)
        if not changed:
            return []
        wired, minding = self.parts.wired, {*changed, *self.activity.models("torch", outline.nodes)}
        outdated: list[str] = []
        for label in wired.order:
            if not changed.isdisjoint(wired.upstream[label]):
                changed.add(label)
                if label not in minding:
                    outdated.append(label)
        return outdated

    def _warn_of_stale_node(self, label: str, phase: Outline, change: Outline) -> None:
        changed = quoted(name for name in change.learning if name in self._read_by(label))
        learns = "fits" if isinstance(phase.spec, FitSpec) else "trains"
        changes = "fits" if isinstance(change.spec, FitSpec) else "trains"
        message = (
            f"this phase {learns} {label} on the outputs of {changed}, "
            f"which `{change.label}` {changes} after it"
        )
        hint = f"put it after `{change.label}`"
        also = [(change.place, f"{changes} {changed}")]
        self.context.warning("SP610", message, phase.place, hint=hint, also=also)

    def _warn_of_early_evaluation(self) -> None:
        """Splits on which a node is evaluated before it is trained, and not after."""
        first_trained: dict[str, int] = {}
        last_measured: dict[tuple[str, str | None], int] = {}
        for index, outline in enumerate(self.outlines):
            for label in outline.learning:
                first_trained.setdefault(label, index)
            for item in outline.measured:
                last_measured.update({(label, item.split): index for label in item.nodes})
        told: set[int] = set()
        for (label, split), index in last_measured.items():
            trained = first_trained.get(label, -1)
            if index >= trained or index in told or not self.activity.models("torch", [label]):
                continue
            outline, change = self.outlines[index], self.outlines[trained]
            if not outline.losses.labels and not outline.metrics.labels:
                continue
            told.add(index)
            rows = "" if split is None else f" on `{split}`"
            message = (
                f"this phase evaluates {label}{rows} before `{change.label}` trains it, "
                "and nothing does so after"
            )
            also = [(change.place, f"trains {label}")]
            hint = f"put it after `{change.label}`"
            self.context.warning("SP611", message, outline.place, hint=hint, also=also)


def _untrained_message(labels: list[str]) -> str:
    if len(labels) > 1:
        return f"{quoted(labels)} are never trained and keep random weights"
    return f"{labels[0]} is never trained and keeps random weights"
