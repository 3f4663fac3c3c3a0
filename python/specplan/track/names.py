"""Names of experiments and runs, which are paths below the folder of all runs."""

from __future__ import annotations

import re

from blake3 import blake3

from specplan.archive.names import DEEPEST, experiment_fault, run_fault
from specplan.spec.model import LONGEST_NAME

_SHOWN = 80
_DIGITS = 16


def check_experiment(name: str, what: str = "an experiment") -> None:
    """Raise ValueError where no experiment can have the name."""
    _refuse(name, what, experiment_fault(name))


def check_run(name: str) -> None:
    """Raise ValueError where no run can have the name."""
    _refuse(name, "a run", run_fault(name))


def as_experiment(name: str) -> str:
    """A name of another tool as an experiment may have it."""
    return "/".join(as_part(part) for part in name.split("/", DEEPEST - 1))


def as_part(name: str) -> str:
    """A name of another tool as a folder may have it. Of a long one the end is a digest of all of it."""
    part = re.sub(r"[^\w. -]|^\.", "_", name) or "_"
    content = part.encode()
    if len(content) <= LONGEST_NAME:
        return part
    begin = content[: LONGEST_NAME - _DIGITS - 1].decode(errors="ignore")
    return f"{begin}-{blake3(name.encode(errors='surrogatepass')).hexdigest()[:_DIGITS]}"


def _refuse(name: str, what: str, fault: str | None) -> None:
    if fault is not None:
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        raise ValueError(f"{shown!r} cannot be the name of {what}: {fault}")
