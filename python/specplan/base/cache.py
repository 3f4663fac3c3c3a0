"""Where what can be found out again is kept."""

from __future__ import annotations

import os
from pathlib import Path

CACHE = "SPECPLAN_CACHE"


def cache_folder() -> Path:
    """The folder of what was found out and can be found out again, or is kept for a while."""
    own = os.environ.get(CACHE)
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(own) if own else Path(caches) / "specplan").expanduser()
