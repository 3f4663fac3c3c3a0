"""Where the command `mlx` begins: before anything takes long to import."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType


def main() -> NoReturn:
    """Import the command and run it. Ctrl-C while it is imported ends the process without a traceback."""
    # What is imported stays. To look through it for garbage, again and again, takes an eighth of a short command.
    gc.disable()
    as_usual = signal.signal(signal.SIGINT, _leave)
    from specplan.cli import main as command

    signal.signal(signal.SIGINT, as_usual)
    command.main()


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    # Nothing was begun that had to be cleaned up, and a KeyboardInterrupt inside an import is told as
    # a fault of the module that happened to be imported.
    os._exit(128 + number)
