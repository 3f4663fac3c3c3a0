"""Which nodes a phase needs, which of them learn, and what has been fitted before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from specplan.plan.passes.components import is_sklearn
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specplan.plan.model import Guard
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.graph import Wired
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import NodeSpec

Backend = Literal["torch", "sklearn", "merge", "unknown"]
"""`unknown` where a fault hides it."""
Fits = tuple[dict[str, list[frozenset["Guard"]]], dict[str, str]]
"""By node: the conditions under which it is fitted; the phase that froze it."""


class Activity:
    """Follows the nodes through the phases, which must be asked for in order."""

    def __init__(self, context: Context, wired: Wired) -> None:
        self._context = context
        self._wired = wired
        self._backends: dict[str, Backend] = {
            label: "unknown"
            if context.damaged(("graph", "nodes", label, "model"))
            else _backend(node)
            for label, node in context.spec.graph.nodes.items()
        }
        self.knows_all_fits = not context.damaged(("plan",))
        # For each node the guards of the phases that fit it: it is fitted wherever one of them is run.
        self._fitted: dict[str, list[frozenset[Guard]]] = {
            label: [frozenset()] for label in context.fitted
        }
        self._frozen: dict[str, str] = {}
        self._used: set[str] = set()

    def needed(self, labels: Iterable[str]) -> tuple[str, ...]:
        """`labels` and all that they read, in order; without nodes of a cycle."""
        found = self._upstream(labels, through=("torch", "sklearn", "merge", "unknown"))
        return tuple(label for label in self._wired.order if label in found)

    def sinks(self, nodes: tuple[str, ...]) -> set[str]:
        """Those of `nodes` that no other of them reads."""
        read = {before for label in nodes for before in self._wired.upstream[label]}
        return set(nodes) - read

    def models(self, backend: Backend, among: Iterable[str]) -> tuple[str, ...]:
        """The nodes of one backend."""
        return tuple(label for label in among if self._backends[label] == backend)

    def trainable(
        self, losses: Iterable[str], active: tuple[str, ...] | None, path: Path
    ) -> tuple[str, ...]:
        """The torch nodes that a train phase changes: those of `active` that its losses reach."""
        reached = self._upstream(losses, through=("torch", "merge", "unknown"))
        ordered = tuple(label for label in self._wired.order if label in reached)
        trained = self.models("torch", ordered)
        if active is None:
            self._check_something_trains(trained, ordered, path)
            return trained
        for index, label in enumerate(active):
            place = (*path, "active", index)
            if self._backends[label] == "sklearn":
                message = f"{label} is a scikit-learn node, it cannot be active in a train phase"
                self._context.error("SP606", message, place, hint="fit it in a fit phase")
            elif self._backends[label] == "torch" and label not in reached:
                message = f"no loss of this phase reaches {label}, so it cannot be trained here"
                self._context.error("SP607", message, place)
        return tuple(label for label in trained if label in active)

    def _check_something_trains(
        self, trained: tuple[str, ...], reached: tuple[str, ...], path: Path
    ) -> None:
        if trained or not reached or self.models("unknown", reached):
            return
        fitted = self.models("sklearn", reached)
        if fitted:
            message = f"{quoted(fitted)} of scikit-learn cannot be trained by gradients"
            hint = "use a fit phase"
            self._context.error("SP606", message, (*path, "losses"), hint=hint)
        else:
            message = f"the losses reach only {quoted(reached)}, which have no parameters to train"
            self._context.error("SP607", message, (*path, "losses"))

    def fitted(
        self,
        scope: tuple[str, ...],
        active: tuple[str, ...] | None,
        path: Path,
        *,
        label: str,
        freeze: bool,
    ) -> tuple[str, ...]:
        """The scikit-learn nodes that a fit phase fits: `active`, or all of `scope` not frozen yet."""
        for index, name in enumerate(active or ()):
            place = (*path, "active", index)
            if self._backends[name] == "torch":
                message = f"{name} is a torch node, a fit phase cannot fit it"
                self._context.error("SP607", message, place, hint="train it in a train phase")
            elif name in self._frozen:
                message = f"{name} was frozen by the fit phase `{self._frozen[name]}`"
                hint = "say `freeze_after_fit: false` there"
                self._context.error("SP607", message, place, hint=hint)
        candidates = self.models("sklearn", scope)
        chosen = tuple(
            name
            for name in candidates
            if name not in self._frozen and (active is None or name in active)
        )
        complete = not self._context.damaged(("graph",))
        if not chosen and active is None and complete:
            message = "there is nothing to fit: no scikit-learn node is left that is not frozen"
            self._context.error("SP607", message, path)
        if freeze:
            self._frozen |= dict.fromkeys(chosen, label)
        return chosen

    def check_fitted(
        self,
        nodes: tuple[str, ...],
        fitting: tuple[str, ...],
        path: Path,
        guards: tuple[Guard, ...] = (),
    ) -> None:
        """Report nodes that compute before any phase fits them, and remember those that are fitted.

        `guards` are those of the phase: what it reads must be fitted wherever it is run.
        """
        self._used.update(nodes)
        conditions = frozenset(guards)
        for label in self.models("sklearn", nodes):
            fits = self._fitted.setdefault(label, [])
            if label in fitting:
                fits.append(conditions)
            elif self.knows_all_fits and not fits:
                message = f"this phase reads {label} before any fit phase fits it"
                self._context.error(
                    "SP703", message, path, hint=f"put a fit phase for {label} before"
                )
                fits.append(frozenset())
            elif self.knows_all_fits and not any(conditions.issuperset(fit) for fit in fits):
                message = f"this phase reads {label}, which only phases fit that may be skipped"
                hint = "give this phase the same `when`, or put both into a group that has it"
                self._context.error("SP714", message, path, hint=hint)
                fits.append(frozenset())

    def known_fits(self) -> Fits:
        """What is fitted and frozen by now, to `go_back` to."""
        return {label: list(fits) for label, fits in self._fitted.items()}, dict(self._frozen)

    def go_back(self, known: Fits) -> None:
        """Forget what was fitted and frozen since."""
        fitted, frozen = known
        self._fitted = {label: list(fits) for label, fits in fitted.items()}
        self._frozen = dict(frozen)

    def warn_of_unused(self, data: dict[str, FeatureSet]) -> None:
        """Warn of nodes that no phase needs, and of FeatureSets and columns that no node reads."""
        for label in self._wired.order:
            if label not in self._used:
                path: Path = ("graph", "nodes", label)
                self._context.warning("SP306", f"node {label} is used by no phase", path)
        read: set[tuple[str, str]] = set()
        for node in self._wired.nodes.values():
            for value in (*node.inputs, *((node.target,) if node.target else ())):
                owner = value.value.partition(".")[0]
                read.update((owner, column) for column in value.columns)
        if len(self._wired.nodes) == len(self._backends):
            self._warn_of_unread(data, read)

    def _warn_of_unread(self, data: dict[str, FeatureSet], read: set[tuple[str, str]]) -> None:
        owners = {owner for owner, _ in read}
        for label in data:
            if label not in owners:
                message = f"no node reads FeatureSet {label}"
                self._context.warning("SP306", message, ("data", label))
                continue
            spec = self._context.spec.data[label]
            for domain, columns in (("features", spec.features), ("targets", spec.targets)):
                for index, column in enumerate(columns):
                    known = data[label].columns[column] is not None
                    if known and (label, column) not in read:
                        place: Path = ("data", label, domain, index)
                        message = f"no node reads column `{column}` of {label}"
                        self._context.warning("SP306", message, place)

    def _upstream(self, labels: Iterable[str], through: tuple[Backend, ...]) -> set[str]:
        found: set[str] = set()
        waiting = [label for label in labels if label in self._wired.upstream]
        while waiting:
            label = waiting.pop()
            if label in found:
                continue
            found.add(label)
            if self._backends[label] in through:
                waiting += self._wired.upstream[label]
        return found


def _backend(node: NodeSpec) -> Backend:
    if node.model is None:
        return "merge"
    return "sklearn" if is_sklearn(node.model) else "torch"
