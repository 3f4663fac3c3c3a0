"""Experiments that are named by a prefix: `owner/project/path.../name`."""

from __future__ import annotations

import getpass
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.spec.wording import choices
from specplan.track.names import check_experiment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


DEFAULT_ROOT = ".dash"
VARIABLES = ("DASH_PREFIX", "ML_DASH_PREFIX")
"""Environment variables that name a prefix where none is given; the first that is set counts."""
PROJECT_FILES = ("pyproject.toml", "requirements.txt", "setup.py", "setup.cfg")
_TEMPLATE = re.compile(r"\{([A-Za-z_.]+)(?::([^{}]*))?\}")


class Prefix(msgspec.Struct, frozen=True):
    """The name of an experiment, by its parts.

    Attributes:
        owner: None for a prefix of one part.
        project: that of two parts is its name as well.
        path: what is between project and name.
    """

    text: str
    owner: str | None
    project: str | None
    path: tuple[str, ...]
    name: str

    @property
    def folder(self) -> Path:
        """The folder of the experiment's folder, below the root of all runs."""
        return Path(self.text).parent

    @property
    def label(self) -> str:
        """The name, with `_` for what a label cannot have."""
        label = re.sub(r"[^A-Za-z0-9_-]", "_", self.name)
        return label if re.match(r"[A-Za-z_]", label) else f"_{label}"

    @classmethod
    def of(cls, text: str, *, name: str | None = None) -> Prefix:
        """Take a prefix apart; variables in braces are filled in.

        Args:
            text: the prefix.
            name: what `{EXP.name}` means, where it means something.

        Raises:
            TypeError: it is no text.
            ValueError: a part is empty or leaves the folder, or there is no such variable.
        """
        if not isinstance(text, str):
            raise TypeError(f"a prefix is a str, not {type(text).__name__}")
        filled = _filled(text, name).strip("/")
        check_experiment(filled)
        parts = filled.split("/")
        owner = parts[0] if len(parts) > 1 else None
        project = parts[1] if len(parts) > 1 else None
        return cls(filled, owner, project, tuple(parts[2:-1]), parts[-1])


def prefix_of_environment() -> str | None:
    """The prefix that the environment names."""
    for name in VARIABLES:
        if found := os.environ.get(name):
            return found
    return None


class RunNamespace:
    """Where a program says which experiment it is: `RUN.entry = __file__` makes a prefix of its path.

    Attributes:
        prefix: template of the prefix that experiments without one get.
    """

    def __init__(self) -> None:
        self.prefix: str | None = None
        self.params: dict[str, Any] = {}
        self._entry: Path | None = None

    @property
    def entry(self) -> Path | None:
        """The file of the program. Its path below the project, without its suffix, becomes the prefix."""
        return self._entry

    @entry.setter
    def entry(self, file: str | os.PathLike[str]) -> None:
        path = Path(file).resolve()
        project = project_of(path)
        inside = path.relative_to(project).with_suffix("")
        self._entry = path
        self.prefix = "/".join([_part(getpass.getuser()), _part(project.name), *inside.parts])


RUN = RunNamespace()


def project_of(path: Path) -> Path:
    """The folder of the project around a file: the nearest that has one of `PROJECT_FILES`, else its own."""
    for folder in path.parents:
        if any((folder / name).exists() for name in PROJECT_FILES):
            return folder
    return path.parent


def _part(name: str) -> str:
    return name.lstrip(".") or "project"


def _filled(template: str, own_name: str | None) -> str:
    now = datetime.now(UTC)
    known = {
        "now": now,
        "EXP.id": f"{now:%Y%m%d-%H%M%S}",
        "EXP.date": f"{now:%Y%m%d}",
        "EXP.datetime": f"{now:%Y%m%d.%H%M%S}",
        "RUN.user": getpass.getuser,
        **({} if own_name is None else {"EXP.name": own_name}),
    }

    def value(match: re.Match[str]) -> str:
        name, form = match.groups()
        if name not in known:
            raise ValueError(
                f"no variable `{name}` for the prefix {template!r}; known: {choices(name, known)}"
            )
        found = known[name]
        found = found() if callable(found) else found
        return format(found, form or ("%Y%m%d-%H%M%S" if name == "now" else ""))

    return _TEMPLATE.sub(value, template)


def as_tags(tags: Sequence[str] | Mapping[str, str | None] | None) -> dict[str, str | None]:
    """Tags as a spec has them: words of a list have no value, `k=v` has one."""
    if tags is None:
        return {}
    if isinstance(tags, str):
        raise TypeError("tags are a list of texts, or a mapping")
    if hasattr(tags, "items"):
        return dict(tags.items())
    pairs = (str(tag).partition("=") for tag in tags)
    return {name: value if equals else None for name, equals, value in pairs}
