"""The base of every declaration, and the words for common parameters."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta


class Component(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="use"
):
    """Declared parameters of one component. Subclasses are final.

    Attributes:
        later: parameters that it got when there were plans already. Plans leave them out where they have
            their default, which says what the component did before.
    """

    later: ClassVar[frozenset[str]] = frozenset()


Positive = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[float, Meta(ge=0)]
Probability = Annotated[float, Meta(ge=0, lt=1)]
