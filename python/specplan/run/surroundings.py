"""What decides the bits of a run besides its plan and its data, then and now."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.run.device import CPU
from specplan.run.environment import (
    DECIDING_VARIABLES,
    SET_BY_IMPORTS,
    chosen,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_MACHINE = ("system", "machine", "cpu", "cpus", "gpus")


class Changed(msgspec.Struct, frozen=True):
    """Something that is not as it was; None where it is not there."""

    then: Any
    now: Any


class EnvironmentChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is not as it was when a run began.

    Attributes:
        version_changes: packages, and Python, that have another version.
        missing: packages that are not installed any more, with the version that they had.
        extra: packages that are installed now and were not then.
        other: what else may decide results: the machine, and variables of the environment for threads and libraries.
    """

    version_changes: dict[str, Changed]
    missing: dict[str, str]
    extra: dict[str, str]
    other: dict[str, Changed]

    def __bool__(self) -> bool:
        return bool(self.version_changes or self.missing or self.extra or self.other)


def surroundings(device: str = CPU) -> dict[str, str]:
    """Versions, threads, instruction sets and the device that are in force in this process, by name."""
    found = {**versions(), "machine": platform.machine()}
    if "torch" in sys.modules:
        import torch

        found["threads"] = str(torch.get_num_threads())
        found["CPU capability"] = torch.backends.cpu.get_cpu_capability()
        if device.startswith("cuda"):
            found["device"] = f"{device}, {torch.cuda.get_device_name(device)}"
        elif device != CPU:
            found["device"] = device
    return found


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not as it was, one line each."""
    return [told(name, changed) for name, changed in _changed(then, now).items()]


def told(name: str, changed: Changed) -> str:
    """One thing that is not as it was, as a line."""
    then, now = ("none" if value is None else value for value in (changed.then, changed.now))
    return f"{name}: {then} then, {now} now"


def environment_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> EnvironmentChanges:
    """Compare two environments, as runs have them in environment.json.

    A run of an early version told of few packages; only those are compared then.
    """
    before, after = (_packages(environment) for environment in (then, now))
    if "packages" not in then:
        after = {name: version for name, version in after.items() if name in before}
    changed = _changed(before, after)
    known = [key for key in _OF_MACHINE if key in then.get("host", {})]
    machines = [{key: environment["host"].get(key) for key in known} for environment in (then, now)]
    variables = [_deciding(environment) for environment in (then, now)]
    return EnvironmentChanges(
        version_changes={name: each for name, each in changed.items() if each.then and each.now},
        missing={name: each.then for name, each in changed.items() if each.now is None},
        extra={name: each.now for name, each in changed.items() if each.then is None},
        other=_changed(*machines) | (_changed(*variables) if "variables" in then else {}),
    )


def _deciding(environment: Mapping[str, Any]) -> dict[str, str]:
    found = chosen(environment.get("variables", {}), DECIDING_VARIABLES)
    return {name: value for name, value in found.items() if name not in SET_BY_IMPORTS}


def _packages(environment: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {**environment.get("versions", {}), **environment.get("packages", {})}
    return found


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Changed]:
    return {
        name: Changed(then.get(name), now.get(name))
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    }
