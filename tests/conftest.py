"""Which tests run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that need a CUDA device run only where they are asked for: `pytest -m gpu`."""
    if "gpu" in config.option.markexpr:
        return
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    config.stash[LEFT_OUT] = len(on_gpu)
    if on_gpu:
        config.hook.pytest_deselected(items=on_gpu)
        items[:] = [item for item in items if item not in on_gpu]


def pytest_report_collectionfinish(config: pytest.Config, items: Sequence[pytest.Item]) -> str:
    """Say why tests were left out."""
    del items
    count = config.stash.get(LEFT_OUT, 0)
    return f"{count} tests need a CUDA device: -m gpu runs them" if count else ""
