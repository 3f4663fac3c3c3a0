"""The programs of the harness, compiled once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.tools import Tools, build, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return build(tmp_path_factory.mktemp("tools"), broken=True)


@pytest.fixture
def scratch() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield folder
