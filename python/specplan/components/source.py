"""Where the rows of a FeatureSet come from."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from specplan.components.component import Component, Positive

Shapes = Annotated[
    dict[str, tuple[Positive, ...]],
    Meta(
        description="Shape of one row of a list column, where the file only says how long it is.",
        examples=[{"image": [1, 8, 8]}],
    ),
]


class ParquetFile(Component, frozen=True, tag="parquet"):
    """A Parquet file: one column for each key, one row for each sample."""

    path: Annotated[
        str,
        Meta(
            description="Path of the file, relative to the file that names it.",
            examples=["data/sensor.parquet"],
        ),
    ]
    shapes: Shapes = {}


class ArrowFile(Component, frozen=True, tag="arrow"):
    """An Arrow IPC file (Feather version 2)."""

    path: Annotated[
        str,
        Meta(
            description="Path of the file, relative to the file that names it.",
            examples=["data/sensor.arrow"],
        ),
    ]
    shapes: Shapes = {}


class MemoryTable(Component, frozen=True, tag="memory"):
    """Columns that a Python program holds. A plan that names one runs only in that program."""

    name: Annotated[
        str,
        Meta(
            description="Name under which the program binds the columns.", examples=["SensorData"]
        ),
    ]
