"""When an experiment or a train phase puts its state aside by itself, and what it has kept."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from specplan.archive.names import name_fault
from specplan.spec.arguments import checked_int, checked_list
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from specplan.run.state import Snapshot

Mode = Literal["memory", "disk"]
Level = Literal["experiment", "train phase"]
Key = int | str

SUFFIX = ".ckpt.mml"

_HOOKS: Mapping[Level, tuple[str, ...]] = {
    "experiment": (
        *("phase_start", "phase_end", "group_start", "group_end"),
        *("experiment_start", "experiment_end"),
    ),
    "train phase": (
        *("phase_start", "phase_end", "epoch_start", "epoch_end", "batch_start", "batch_end"),
    ),
}
_PLACEHOLDERS: Mapping[Level, tuple[str, ...]] = {
    "experiment": ("label",),
    "train phase": ("phase", "epoch", "batch"),
}
_NAMES = {
    "experiment": "{label}",
    "phase": "{phase}_{epoch}",
    "epoch": "{phase}_epoch{epoch}",
    "batch": "{phase}_epoch{epoch}_batch{batch}",
}


class Checkpointing:
    """Puts the state aside at boundaries of a run, in memory or in files `<name>.ckpt.mml`.

    Args:
        mode: "memory" or "disk"; an experiment has only "disk".
        save_on: one boundary or several. An experiment has phase_start, phase_end, group_start,
            group_end, experiment_start and experiment_end; a train phase phase_start, phase_end,
            epoch_start, epoch_end, batch_start and batch_end.
        every_n: each boundary is taken every so many times that it comes.
        directory: where the files go; by default the checkpoint directory of the experiment, and in it
            for a train phase a folder of its label.
        name_template: name of a file, with {label} for an experiment, and {phase}, {epoch} and {batch}
            for a train phase, where the last two are `start` or `end` at a boundary that has none.
        max_to_keep: how many are kept, the newest; by default all of them.
        overwrite: whether a file of the same name is replaced; otherwise it ends the run.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there is no such mode, boundary or placeholder, or a number is below 1.
    """

    def __init__(
        self,
        *,
        mode: Mode = "memory",
        save_on: str | Sequence[str] = "epoch_end",
        every_n: int = 1,
        directory: str | os.PathLike[str] | None = None,
        name_template: str | None = None,
        max_to_keep: int | None = None,
        overwrite: bool = True,
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode is {quoted(get_args(Mode))}, not {mode!r}")
        self.mode = mode
        self.save_on = _checked_hooks(save_on)
        self.every_n = checked_int("every_n", every_n, least=1)
        self.directory = None if directory is None else Path(directory)
        self.name_template = _checked_template(name_template)
        self.max_to_keep = (
            None if max_to_keep is None else checked_int("max_to_keep", max_to_keep, least=1)
        )
        self.overwrite = overwrite
        self._counts: dict[str, int] = {}
        self._kept: dict[Key, Snapshot | Path] = {}
        warn_of_files(self.directory)

    def check_level(self, level: Level) -> None:
        """Raise ValueError for what an experiment, or a train phase, does not have."""
        if level == "experiment" and self.mode != "disk":
            raise ValueError(
                'checkpointing of an experiment has only mode="disk": a state for each boundary would '
                "be too much for the memory"
            )
        for hook in self.save_on:
            if hook not in _HOOKS[level]:
                raise ValueError(
                    f"save_on: the {level} has no `{hook}`; it has: {choices(hook, _HOOKS[level])}"
                )
        for placeholder in _placeholders(self.name_template or ""):
            if placeholder not in _PLACEHOLDERS[level]:
                raise ValueError(
                    f"name_template: the {level} has no {{{placeholder}}}; "
                    f"it has: {choices(placeholder, _PLACEHOLDERS[level])}"
                )

    def reset(self) -> None:
        """Begin to count anew, and forget what was kept. Files stay."""
        self._counts.clear()
        self._kept.clear()

    def progress(self) -> dict[str, Any]:
        """How far it has counted, and its files: what another process goes on with."""
        files = [[key, str(kept)] for key, kept in self._kept.items() if isinstance(kept, Path)]
        return {"counts": dict(self._counts), "files": files}

    def go_on(self, progress: Mapping[str, Any]) -> None:
        """Be where the process before was."""
        self._counts = dict(progress["counts"])
        self._kept = {key: Path(path) for key, path in progress["files"]}

    def is_due(self, hook: str) -> bool:
        """Count a boundary; True if a state is put aside at it."""
        if hook not in self.save_on:
            return False
        self._counts[hook] = self._counts.get(hook, 0) + 1
        return self._counts[hook] % self.every_n == 0

    def name(self, hook: str, **values: object) -> str:
        """Name of what is put aside at a boundary."""
        scope, _, edge = hook.partition("_")
        default = _NAMES["experiment" if "label" in values else scope]
        return (self.name_template or default).format(**{"epoch": edge, "batch": edge, **values})

    def keep(self, key: Key, kept: Snapshot | Path) -> list[Path]:
        """Remember a snapshot or file; returns the files that were deleted for it."""
        self._kept.pop(key, None)
        self._kept[key] = kept
        deleted: list[Path] = []
        while self.max_to_keep is not None and len(self._kept) > self.max_to_keep:
            oldest = self._kept.pop(next(iter(self._kept)))
            if isinstance(oldest, Path) and oldest not in self._kept.values():
                oldest.unlink(missing_ok=True)
                deleted.append(oldest)
        return deleted

    @property
    def saved_keys(self) -> list[Key]:
        """What is kept, oldest first: epochs by number, batches as `epoch.batch`, others by name."""
        return list(self._kept)

    def has_key(self, key: Key) -> bool:
        """Whether there is one of this key."""
        return key in self._kept

    def get_state(self, key: Key) -> Snapshot | None:
        """The state in memory that `key` means; None where there is none."""
        kept = self._kept.get(key)
        return None if isinstance(kept, Path) else kept

    def get_path(self, key: Key) -> Path | None:
        """The file that `key` means; None where there is none."""
        kept = self._kept.get(key)
        return kept if isinstance(kept, Path) else None

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain values."""
        return {
            "mode": self.mode,
            "save_on": list(self.save_on),
            "every_n": self.every_n,
            "directory": None if self.directory is None else str(self.directory),
            "name_template": self.name_template,
            "max_to_keep": self.max_to_keep,
            "overwrite": self.overwrite,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Checkpointing:
        """What `get_config` was asked of."""
        return cls(**config)

    def __repr__(self) -> str:
        given = {name: value for name, value in self.get_config().items() if value is not None}
        return f"Checkpointing({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def checked_checkpointing(checkpointing: object, level: Level) -> Checkpointing | None:
    """The checkpointing, if it is one that an experiment, or a train phase, can have.

    Raises:
        TypeError: it is none.
        ValueError: it has a mode, boundary or placeholder that there is not.
    """
    if checkpointing is None:
        return None
    if not isinstance(checkpointing, Checkpointing):
        raise TypeError(f"checkpointing is a Checkpointing, not {type(checkpointing).__name__}")
    checkpointing.check_level(level)
    return checkpointing


def warn_of_files(directory: Path | None) -> None:
    """Warn of a directory that has checkpoints already."""
    found = list(directory.glob(f"*{SUFFIX}")) if directory is not None else []
    if found:
        warnings.warn(
            f"`{directory}` has {len(found)} checkpoints already; those of other names stay there",
            stacklevel=3,
        )


def _checked_hooks(save_on: str | Sequence[str]) -> tuple[str, ...]:
    hooks = [save_on] if isinstance(save_on, str) else checked_list("save_on", save_on)
    known = tuple(dict.fromkeys(hook for level in _HOOKS.values() for hook in level))
    for hook in hooks:
        if hook not in known:
            raise ValueError(f"save_on: there is no {hook!r}; known: {choices(str(hook), known)}")
    if not hooks:
        raise ValueError("save_on names at least one boundary")
    return tuple(dict.fromkeys(hooks))


def _checked_template(template: str | None) -> str | None:
    if template is None:
        return None
    if not isinstance(template, str):
        raise TypeError(f"name_template is a str, not {type(template).__name__}")
    known = tuple(name for names in _PLACEHOLDERS.values() for name in names)
    for placeholder in _placeholders(template):
        if placeholder not in known:
            raise ValueError(
                f"name_template has no {{{placeholder}}}; it can have: {choices(placeholder, known)}"
            )
    plain = re.sub(r"\{\w+\}", "x", template)
    if set("{}/") & set(plain) or name_fault(plain):
        raise ValueError(f"name_template {template!r} cannot be the name of a file")
    return template


def _placeholders(template: str) -> list[str]:
    return re.findall(r"\{(\w*)\}", template)
