"""The command, called in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import run_mlx

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


@pytest.fixture(scope="session")
def mlx() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command: `mlx(*arguments, folder=None, **environment)`."""
    return run_mlx
