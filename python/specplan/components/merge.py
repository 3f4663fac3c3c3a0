"""Nodes that join the outputs of others."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from specplan.components.component import Component


class Concat(Component, frozen=True, tag="concat"):
    """Concatenate the inputs along one axis of a row."""

    axis: Annotated[
        int,
        Meta(
            description="Axis of one row, the batch axis not counted; negative from the end.",
            examples=[0],
        ),
    ] = -1
