"""P15: recording never changes the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.training import SPECS, compare

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SPECS)
def test_weights_do_not_depend_on_recording(name: str, tmp_path: Path) -> None:
    assert compare(name, tmp_path) is None
