"""Where the labelled objects of a program are registered, so that an experiment can find them."""

from __future__ import annotations

import os
import warnings
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, cast, get_args

from specplan.components.reference import LABEL
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

RegistrationPolicy = Literal["raise", "overwrite", "overwrite_warn", "rename", "no_register"]
Namespace = Literal["node", "graph"]
Member = TypeVar("Member")

POLICY_VARIABLE = "SPECPLAN_REGISTRATION_POLICY"

_POLICIES = get_args(RegistrationPolicy)


class Labelled(Protocol):
    """What can be registered."""

    @property
    def label(self) -> str: ...


class ExperimentContext:
    """The FeatureSets, nodes and graph that belong together, by label.

    FeatureSets and nodes share one set of labels, because references name both. A new object is
    registered in the active context; making an `Experiment` activates its context.

    Args:
        registration_policy: what a label that is taken means for a new object. "raise", or "error", is an
            error; "overwrite" takes the place of the other, and "overwrite_warn" warns of that; "rename"
            gives the new one a number; "no_register" leaves all new objects unregistered. By default what
            $SPECPLAN_REGISTRATION_POLICY says, else "raise".

    Raises:
        ValueError: there is no such policy.
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
        if policy == "no_register":
            return label
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
                if policy == "overwrite_warn":
                    warnings.warn(f"another `{label}` of the context is replaced", stacklevel=4)
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

    @contextmanager
    def undone_on_failure(self) -> Iterator[ExperimentContext]:
        """Forget what the block registered, and replace nothing, if it raises."""
        before = dict(self._members)
        try:
            yield self
        except BaseException:
            self._members = before
            raise

    @contextmanager
    def use_policy(self, policy: str) -> Iterator[ExperimentContext]:
        """Have another policy until the block is left.

        Raises:
            ValueError: there is no such policy.
        """
        before, self.registration_policy = self.registration_policy, checked_policy(policy)
        try:
            yield self
        finally:
            self.registration_policy = before

    def dont_register(self) -> AbstractContextManager[ExperimentContext]:
        """Register nothing until the block is left."""
        return self.use_policy("no_register")

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
    """The policy named `policy`; for None what the environment says, else "raise".

    Raises:
        ValueError: there is no such policy.
    """
    if policy is None:
        policy = os.environ.get(POLICY_VARIABLE, "raise")
    if policy == "error":
        return "raise"
    if policy in _POLICIES:
        return cast("RegistrationPolicy", policy)
    raise ValueError(f"registration_policy {policy!r} is unknown; it is one of {quoted(_POLICIES)}")


def checked_label(label: str) -> str:
    """`label`, if a spec could carry it; with `_` in place of spaces, which is warned of.

    Raises:
        TypeError: it is not a string.
        ValueError: it has characters that a label cannot have.
    """
    if not isinstance(label, str):
        raise TypeError(f"a label is a str, not {type(label).__name__}")
    joined = label.replace(" ", "_")
    if joined != label and LABEL.fullmatch(joined):
        warnings.warn(f"{label!r} is labelled `{joined}`: labels have no spaces", stacklevel=4)
        return joined
    if not LABEL.fullmatch(label):
        raise ValueError(
            f"{label!r} cannot be a label: letters, digits, `_` and `-`, and no digit or `-` first"
        )
    return label


# A module variable and not a ContextVar: notebooks may run each cell in a context of its own.
_active = ExperimentContext()
