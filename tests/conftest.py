"""Which tests run, and that none of them touches the settings of who runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LEFT_OUT = pytest.StashKey[int]()


@pytest.fixture(autouse=True)
def _own_settings(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust that is given in a test, and what it finds out about models, ends with it."""
    folder: Path = tmp_path_factory.mktemp("settings")
    monkeypatch.setenv("SPECPLAN_CONFIG", str(folder / "config"))
    monkeypatch.setenv("SPECPLAN_CACHE", str(folder / "cache"))


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
