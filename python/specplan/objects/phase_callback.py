"""What can happen inside a phase, and how a spec writes it."""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec

from specplan.components.callback import EarlyStopping, LearningRate, ReduceOnPlateau
from specplan.run.callback import Callback
from specplan.run.callbacks import check_hooks
from specplan.spec.arguments import written

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


class Between(Protocol):
    """What happens between the epochs of a train phase and is no `Callback`."""

    @property
    def label(self) -> str: ...

    def spec(self) -> dict[str, Any]:
        """It as an entry of `callbacks` in a spec."""


Declared = EarlyStopping | LearningRate | ReduceOnPlateau
"""Those whose class is the declaration itself."""
PhaseCallback = Callback | Declared | Between


def check_callback(callback: PhaseCallback) -> None:
    """Check what can be checked of a callback without its phase.

    Raises:
        TypeError: a hook wants what it cannot be given.
        ValueError: a value is not allowed.
    """
    if isinstance(callback, Callback):
        check_hooks(callback)
    elif isinstance(callback, Declared):
        # A declaration checks what is read and not what is called.
        use = str(callback.__struct_config__.tag)
        written("callback", use, msgspec.structs.asdict(callback))


def label_of(callback: PhaseCallback) -> str:
    """The label, which is unique in a phase."""
    if isinstance(callback, Declared):
        return type(callback).__name__
    return callback.label


def live_name(phase: str, callback: Callback) -> str:
    """The name under which a spec binds the callback of a phase."""
    return f"{phase}-{_NOT_IN_NAMES.sub('_', callback.label)}"


def spec_of_callback(phase: str, callback: PhaseCallback) -> dict[str, Any]:
    """The callback of a phase as an entry of `callbacks` in a spec."""
    if isinstance(callback, Callback):
        return {"use": f"live:{live_name(phase, callback)}"}
    if isinstance(callback, LearningRate | ReduceOnPlateau):
        rate: dict[str, Any] = msgspec.to_builtins(callback)
        return rate
    if isinstance(callback, EarlyStopping):
        # What no epoch is known to produce, a callback may give; without it nothing improves.
        component: dict[str, Any] = msgspec.to_builtins(callback)
        return {**component, "required": False}
    return callback.spec()
