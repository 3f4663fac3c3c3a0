"""Which nodes a phase needs, which of them learn, and what has been fitted before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from specplan.plan.passes.components import is_sklearn, learns_in_batches
from specplan.plan.passes.order import reachable
from specplan.plan.passes.own_component import LiveObject, OwnCode, is_estimator
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from specplan.plan.model import Guard
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.graph import Wired
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import NodeSpec

Backend = Literal["torch", "sklearn", "merge", "unknown"]
"""`unknown` where a fault hides it."""
Fits = tuple[dict[str, list[frozenset["Guard"]]], dict[str, str]]
"""By node: the conditions under which it is fitted; the phase that froze it."""


class Activity:
    """Follows the nodes through the phases, which must be asked for in order.

    Attributes:
        knows_all_fits: whether a node that no phase fitted is known to be unfitted.
        used: nodes that compute in any phase so far.
    """

    def __init__(self, context: Context, resolved: Resolved, wired: Wired) -> None:
        self._context = context
        self._wired = wired
        self._backends: dict[str, Backend] = {}
        self._partial: set[str] = set()
        for label, node in context.spec.graph.nodes.items():
            path: Path = ("graph", "nodes", label, "model")
            model = resolved.get(path) or resolved.get(("graph", "nodes", label, "merge"))
            if context.damaged(path):
                self._backends[label] = "unknown"
            else:
                self._backends[label] = _backend(node, model)
            if learns_in_batches(model):
                self._partial.add(label)
        self.knows_all_fits = not context.damaged(("plan",))
        self._crossed: dict[str, tuple[str, ...]] = {
            label: () if self._backends[label] == "sklearn" or self._is_apart(label) else before
            for label, before in wired.upstream.items()
        }
        # For each node the guards of the phases that fit it: it is fitted wherever one of them is run.
        self._fitted: dict[str, list[frozenset[Guard]]] = {
            label: [frozenset()] for label in context.fitted
        }
        self._frozen: dict[str, str] = {}
        self.used: set[str] = set()

    def _is_apart(self, label: str) -> bool:
        """Whether a node is trained by its own optimizer, so that no gradient leaves it."""
        graph = self._context.spec.graph
        return graph.optimizer is None and graph.nodes[label].optimizer is not None

    def needed(self, labels: Iterable[str]) -> tuple[str, ...]:
        """`labels` and all that they read, in order; without nodes of a cycle."""
        found = reachable(self._wired.upstream, labels)
        return tuple(label for label in self._wired.order if label in found)

    def sinks(self, nodes: tuple[str, ...]) -> set[str]:
        """Those of `nodes` that no other of them reads."""
        read = {before for label in nodes for before in self._wired.upstream[label]}
        return set(nodes) - read

    def models(self, backend: Backend, among: Iterable[str]) -> tuple[str, ...]:
        """The nodes of one backend."""
        return tuple(label for label in among if self._backends[label] == backend)

    def trainable(
        self,
        losses: Collection[str],
        active: tuple[str, ...] | None,
        path: Path,
        learning: Collection[str] = (),
        *,
        complete: bool = True,
    ) -> tuple[str, ...]:
        """The torch nodes that a train phase changes: those of `active` that its losses reach.

        `learning` are the scikit-learn nodes that learn from its batches; the losses are not `complete`
        where a fault hides some.
        """
        reached = self.reached(losses)
        ordered = tuple(label for label in self._wired.order if label in reached)
        trained = self.models("torch", ordered)
        if active is None:
            nodes = self._context.spec.graph.nodes
            left = tuple(label for label in trained if not nodes[label].frozen)
            if trained and not left and not self.models("unknown", ordered):
                verb = "are" if len(trained) > 1 else "is"
                message = f"{quoted(trained)} {verb} frozen: there is nothing to train"
                hint = "remove `frozen`, or list what is to be trained here in `active`"
                also = [(("graph", "nodes", label, "frozen"), "frozen here") for label in trained]
                self._context.error("SP607", message, path, hint=hint, also=also)
            if not learning:
                self._check_something_trains(trained, ordered, path)
            return left
        for index, label in enumerate(active):
            place = (*path, "active", index)
            if self._backends[label] == "sklearn" and label not in learning:
                message = f"{label} has no partial_fit: it cannot be active in a train phase"
                if self._learns_in_batches(label):
                    message = f"{label} is fitted at once (`training_mode: batch_fit`)"
                self._context.error("SP606", message, place, hint="fit it in a fit phase")
            elif self._backends[label] == "torch" and label not in reached and complete:
                self._refuse_unreached(label, losses, place)
        return tuple(label for label in trained if label in active)

    def learning_in_batches(
        self, losses: Collection[str], active: tuple[str, ...] | None
    ) -> tuple[str, ...]:
        """The scikit-learn nodes that a train phase fits batch by batch.

        Those of `active`; without it those that its losses judge and that no fit phase froze.
        """
        chosen = losses if active is None else active
        return tuple(
            label
            for label in self.models("sklearn", self._wired.order)
            if label in chosen
            and self._learns_in_batches(label)
            and self._context.spec.graph.nodes[label].training_mode != "batch_fit"
            and (active is not None or not (self._is_frozen(label)))
        )

    def _is_frozen(self, label: str) -> bool:
        return label in self._frozen or self._context.spec.graph.nodes[label].frozen

    def _learns_in_batches(self, label: str) -> bool:
        return label in self._partial

    def _refuse_unreached(self, label: str, losses: Collection[str], place: Path) -> None:
        message = f"no loss of this phase reaches {label}, so it cannot be trained here"
        read = reachable(self._wired.upstream, losses)
        between = next(
            (
                other
                for other in self.models("sklearn", self._wired.order)
                if other in read and label in reachable(self._wired.upstream, [other])
            ),
            None,
        )
        if between is None:
            self._context.error("SP607", message, place)
            return
        message = f"no gradient reaches {label}: {between} of scikit-learn is on the way"
        also = [(("graph", "nodes", between), "gradients end here")]
        self._context.error("SP607", message, place, also=also)

    def _check_something_trains(
        self, trained: tuple[str, ...], reached: tuple[str, ...], path: Path
    ) -> None:
        if trained or not reached or self.models("unknown", reached):
            return
        fitted = self.models("sklearn", reached)
        frozen = [label for label in fitted if label in self._partial and self._is_frozen(label)]
        if frozen:
            verb = "are" if len(frozen) > 1 else "is"
            message = f"{quoted(frozen)} {verb} frozen: there is nothing to train"
            hint = "list what is to be trained here in `active`"
            self._context.error("SP607", message, (*path, "losses"), hint=hint)
        elif fitted:
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
        self.used.update(nodes)
        computing = self.models("sklearn", nodes)
        conditions = frozenset(guards)
        reading = [label for label in computing if label not in fitting]
        # A loss that no gradient can lower is the fault, not what it reads.
        if self.knows_all_fits and not self._context.reported((*path, "losses")):
            self._check_fits(reading, conditions, path)
        for label in computing:
            # One that was told of is not told of again.
            fit = conditions if label in fitting else frozenset()
            if label in fitting or not self._is_fitted(label, conditions):
                self._fitted.setdefault(label, []).append(fit)

    def _check_fits(self, reading: list[str], conditions: frozenset[Guard], path: Path) -> None:
        unfitted = [label for label in reading if not self._fitted.get(label)]
        unsure = [
            label
            for label in reading
            if label not in unfitted and not self._is_fitted(label, conditions)
        ]
        if unfitted:
            names, them = _listed(unfitted)
            message = f"this phase reads {names} before any fit phase fits {them}"
            hint = f"put a fit phase for {names} before"
            self._context.error("SP703", message, path, hint=hint)
        if unsure:
            names, _ = _listed(unsure)
            message = f"this phase reads {names}, which only phases fit that may be skipped"
            hint = "give this phase the same `when`, or put both into a group that has it"
            self._context.error("SP714", message, path, hint=hint)

    def _is_fitted(self, label: str, conditions: frozenset[Guard]) -> bool:
        return any(conditions.issuperset(fit) for fit in self._fitted.get(label, ()))

    def known_fits(self) -> Fits:
        """What is fitted and frozen by now, to `go_back` to."""
        return {label: list(fits) for label, fits in self._fitted.items()}, dict(self._frozen)

    def go_back(self, known: Fits) -> None:
        """Forget what was fitted and frozen since."""
        fitted, frozen = known
        self._fitted = {label: list(fits) for label, fits in fitted.items()}
        self._frozen = dict(frozen)

    def reached(self, labels: Iterable[str]) -> set[str]:
        """The nodes to which gradients flow from the outputs of `labels`, theirs included."""
        return reachable(self._crossed, labels)


def _listed(labels: list[str]) -> tuple[str, str]:
    """Nodes in a sentence, and the pronoun for them."""
    return (quoted(labels), "them") if len(labels) > 1 else (labels[0], "it")


def _backend(node: NodeSpec, model: object) -> Backend:
    if node.model is None:
        is_module = isinstance(model, OwnCode) and model.signature.form == "class"
        return "torch" if is_module else "merge"
    estimates = isinstance(model, LiveObject) and is_estimator(model.value)
    return "sklearn" if estimates or is_sklearn(node.model) else "torch"
