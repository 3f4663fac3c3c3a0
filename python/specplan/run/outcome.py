"""What a run leaves behind in the process that ran it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from specplan.run.state import State
    from specplan.store.layout import RunFolder
    from specplan.store.run_file import RunFile


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The folder that was written, how the run ended, and the state to go on from."""

    folder: RunFolder
    run_file: RunFile
    state: State
