"""Where the labelled objects of a program are registered, so that an experiment can find them."""

from __future__ import annotations

import re
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, get_args

from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

RegistrationPolicy = Literal["raise", "overwrite", "rename"]
Namespace = Literal["node", "graph"]
Member = TypeVar("Member")

_POLICIES = get_args(RegistrationPolicy)
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Labelled(Protocol):
    """What can be registered."""

    @property
    def label(self) -> str: ...


class ExperimentContext:
    """The FeatureSets, nodes and graph that belong together, by label.

    FeatureSets and nodes share one set of labels, because references name both. A new object is
    registered in the active context; making an `Experiment` activates its context.

    Raises:
        ValueError: the registration policy is not "raise", "overwrite" or "rename".
    """

    def __init__(self, registration_policy: str | None = None) -> None:
        self._members: dict[tuple[Namespace, str], Labelled] = {}
        self._experiment: weakref.ref[Labelled] | None = None
        self.registration_policy: RegistrationPolicy = checked_policy(registration_policy)

    @property
    def experiment(self) -> Labelled | None:
        """The Experiment that was made on it last, as long as the program holds it."""
        return None if self._experiment is None else self._experiment()

    @experiment.setter
    def experiment(self, experiment: Labelled) -> None:
        self._experiment = weakref.ref(experiment)

    def register(
        self,
        namespace: Namespace,
        label: str,
        member: Labelled,
        *,
        policy: RegistrationPolicy | None = None,
    ) -> str:
        """Register `member` and return the label that it has from now on; `policy` is for this once.

        Raises:
            ValueError: the label is taken and the policy is "raise".
        """
        policy = policy or self.registration_policy
        if (namespace, label) in self._members:
            if policy == "raise":
                raise ValueError(
                    f"`{label}` is already the label of a {type(self._members[namespace, label]).__name__} "
                    "of this context; choose another label, or make the Experiment with "
                    'registration_policy="overwrite" or "rename"'
                )
            if policy == "rename":
                label = self._next_free(namespace, label)
            else:
                del self._members[namespace, label]
        self._members[namespace, label] = member
        return label

    def members(self, kind: type[Member]) -> list[Member]:
        """Everything registered of one class, in the order of registration."""
        return [member for member in self._members.values() if isinstance(member, kind)]

    def labels(self) -> list[str]:
        """Labels of everything registered, in the order of registration."""
        return [label for _, label in self._members]

    @contextmanager
    def temporary(self) -> Iterator[ExperimentContext]:
        """Work in this context, and forget it when the block is left.

        What is registered, the policy and the active context are put back.
        """
        members, policy, active = dict(self._members), self.registration_policy, active_context()
        self.activate()
        try:
            yield self
        finally:
            self._members, self.registration_policy = members, policy
            active.activate()

    def activate(self) -> None:
        """From now on, register new objects here."""
        global _active  # noqa: PLW0603 -- the one thing that is active is global
        _active = self

    def _next_free(self, namespace: Namespace, label: str) -> str:
        number = 2
        while (namespace, f"{label}_{number}") in self._members:
            number += 1
        return f"{label}_{number}"

    def __repr__(self) -> str:
        members = ", ".join(
            f"{type(member).__name__} {label!r}" for (_, label), member in self._members.items()
        )
        return f"ExperimentContext({members or 'empty'}; policy {self.registration_policy!r})"


def active_context() -> ExperimentContext:
    """The context in which new objects are registered."""
    return _active


def checked_policy(policy: str | None) -> RegistrationPolicy:
    """The policy named `policy`; "raise" for None.

    Raises:
        ValueError: there is no such policy.
    """
    match policy:
        case None:
            return "raise"
        case "raise" | "overwrite" | "rename":
            return policy
    raise ValueError(f"registration_policy {policy!r} is unknown; it is one of {quoted(_POLICIES)}")


def checked_label(label: str) -> str:
    """`label`, if a spec could carry it.

    Raises:
        TypeError: it is not a string.
        ValueError: it has characters that a label cannot have.
    """
    if not isinstance(label, str):
        raise TypeError(f"a label is a str, not {type(label).__name__}")
    if not _LABEL.fullmatch(label):
        raise ValueError(
            f"{label!r} cannot be a label: letters, digits, `_` and `-`, and no digit or `-` first"
        )
    return label


# A module variable and not a ContextVar: notebooks may run each cell in a context of its own.
_active = ExperimentContext()
