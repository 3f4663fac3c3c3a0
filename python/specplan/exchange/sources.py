"""Runs of other tools, by the name of the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.exchange.from_jsonl import runs_of_jsonl
from specplan.exchange.from_mlflow import runs_of_mlflow
from specplan.exchange.from_tensorboard import runs_of_tensorboard
from specplan.exchange.from_wandb import runs_of_wandb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from specplan.track.portable import Portable

SOURCES: Mapping[str, Callable[[str], Iterator[Portable]]] = {
    "mlflow": runs_of_mlflow,
    "tensorboard": runs_of_tensorboard,
    "wandb": runs_of_wandb,
    "jsonl": runs_of_jsonl,
}
"""What reads the runs at a path. The files of a run are there until the next one is asked for."""
