"""Nodes that join the outputs of others."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

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
    pad: Annotated[
        bool,
        Meta(
            description="Whether rows are padded at their ends to the largest size on every other axis."
        ),
    ] = False
    pad_mode: Annotated[
        Literal["constant", "reflect", "replicate", "circular"],
        Meta(description="What is padded with; `constant` is `pad_value`."),
    ] = "constant"
    pad_value: Annotated[
        float, Meta(description="What is padded with, of the mode `constant`.", examples=[-1.0])
    ] = 0.0

    later: ClassVar[frozenset[str]] = frozenset({"pad", "pad_mode", "pad_value"})
