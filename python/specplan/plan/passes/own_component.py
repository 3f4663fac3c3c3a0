"""Components that are the user's own, as the passes hand them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from specplan.code.signature import Signature
    from specplan.code.source import Source
    from specplan.plan.model import Component


class OwnCode(msgspec.Struct, frozen=True, kw_only=True):
    """A component of the user's.

    Attributes:
        given: the arguments that the spec gives, as the plan writes them.
        component: as the plan writes it, with the defaults that are literals.
    """

    source: Source
    signature: Signature
    given: dict[str, Any]
    component: Component


def is_estimator(value: object) -> bool:
    """Whether an object is an estimator of scikit-learn. Imports nothing: who has one has imported it."""
    bases = ((base.__module__, base.__name__) for base in type(value).__mro__)
    return ("sklearn.base", "BaseEstimator") in bases


class LiveObject(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An object of the program that compiles, bound under a name.

    Attributes:
        component: as the plan writes it.
    """

    value: Any
    component: Component


UsersOwn = OwnCode | LiveObject
