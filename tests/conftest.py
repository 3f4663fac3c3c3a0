"""Which tests run, and that none of them touches the settings of who runs them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ASKED_FOR = {
    "gpu": "a CUDA device",
    "editor": "language servers, which `make editors` installs",
}
"""Markers of tests that need what few machines have, and run only where `-m` names them."""

LEFT_OUT = pytest.StashKey[dict[str, int]]()


@pytest.fixture(autouse=True)
def _own_settings(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust that is given in a test, and what it finds out about models, ends with it."""
    folder: Path = tmp_path_factory.mktemp("settings")
    monkeypatch.setenv("SPECPLAN_CONFIG", str(folder / "config"))
    monkeypatch.setenv("SPECPLAN_CACHE", str(folder / "cache"))


def pytest_configure() -> None:
    """Take SIGINT as a terminal gives it: in the background a shell has it ignored, which children inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what nobody asked for; refuse names of tests that change from process to process."""
    for item in items:
        parameters = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        if any(isinstance(value, (set, frozenset)) for value in parameters.values()):
            # pytest-xdist refuses to start where two processes name one test differently.
            raise pytest.UsageError(f"{item.nodeid}: a parameter is a set, whose order is not one")
    config.stash[LEFT_OUT] = counts = {}
    for marker in ASKED_FOR:
        left_out = [item for item in items if item.get_closest_marker(marker)]
        if marker not in config.option.markexpr and left_out:
            counts[marker] = len(left_out)
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> list[str]:
    """Say why tests were left out."""
    del items
    return [
        f"{count} tests need {ASKED_FOR[marker]}: -m {marker} runs them"
        for marker, count in config.stash.get(LEFT_OUT, {}).items()
    ]
