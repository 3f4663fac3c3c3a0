"""How long code of the user's may go on, as who started its process says."""

from __future__ import annotations

import os
import time

DEADLINE = "SPECPLAN_DEADLINE"
"""The variable of the environment that says when a job is asked to end, in seconds since 1970."""
GRACE = "SPECPLAN_GRACE_SECONDS"
"""The variable that says how long a job that is asked to end may take for it."""
_OF_SLURM = "SLURM_JOB_END_TIME"


def remaining_time() -> float | None:
    """Seconds until this process is asked to end; None where nothing limits it."""
    ends = [float(os.environ[name]) for name in (DEADLINE, _OF_SLURM) if name in os.environ]
    return max(min(ends) - time.time(), 0.0) if ends else None


def grace_seconds() -> float | None:
    """Seconds from the signal that asks to end to the one that kills; None where nobody says it."""
    return float(os.environ[GRACE]) if GRACE in os.environ else None
