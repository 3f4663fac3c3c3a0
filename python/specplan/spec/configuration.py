"""Classes whose instances a YAML file fills: `@configuration`."""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

from specplan.spec.model import DirtyGitAction

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@overload
def configuration(cls: type[T], /) -> type[T]: ...


@overload
def configuration() -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(kw_only_default=True, field_specifiers=(dataclasses.field,))
def configuration(cls: type[T] | None = None, /) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a class of annotated fields a configuration, which is made with keywords only.

    `@configuration` and `@configuration()` are the same.

    Fields may be numbers, strings, booleans, paths, enums, lists, tuples, sets, mappings, other
    configurations, and `None` or unions of these. A field without a default has to be given. A
    default that can be changed, such as a list, is copied for each instance. A comment `#:` above a
    field documents it.

        @configuration
        class Configuration(ConfigurationBase):
            #: Learning rate at the start
            learning_rate: float = 1e-3
    """
    if cls is None:
        return configuration
    for name in inspect.get_annotations(cls):
        default = cls.__dict__.get(name)
        if type(default).__hash__ is None:
            setattr(cls, name, dataclasses.field(default_factory=_copies(default)))
    return dataclasses.dataclass(kw_only=True)(cls)


def documentation(cls: type[Any]) -> dict[str, str]:
    """The comments `#:` above the fields of a class and of its parents, by field."""
    told: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        if not inspect.get_annotations(owner):
            continue
        try:
            lines = inspect.getsource(owner).splitlines()
        except (OSError, TypeError):
            continue  # a class that was made without a file has no comments
        comment: list[str] = []
        for line in map(str.strip, lines):
            if line.startswith("#:"):
                comment.append(line.removeprefix("#:").strip())
            elif comment:
                told[line.partition(":")[0].strip()] = " ".join(comment)
                comment = []
    return told


def _copies(default: Any) -> Callable[[], Any]:
    return functools.partial(copy.deepcopy, default)


class RunMode(enum.StrEnum):
    """How far an experiment is carried.

    `DRY_RUN` checks everything, the configuration against its class as well, and writes nothing;
    `GENERATE_ONLY` writes the plan beside the YAML file; `PREPARE` makes the folder of the run, with
    spec, plan and environment. The function is called in `NORMAL` only.
    """

    NORMAL = "normal"
    DRY_RUN = "dry_run"
    GENERATE_ONLY = "generate_only"
    PREPARE = "prepare"


@configuration
class ConfigurationBase:
    """What the YAML file of every experiment may say. Parent of the class that says the rest.

    Attributes:
        id: names the folder of the runs; by default the stem of the file.
        file: the Python file with the function `run`, relative to the YAML file, with or without
            `.py`; module: a module instead.
        pythonpath: folders in which modules are looked for, relative to the YAML file.
        imports: YAML files that this one is laid over; parent: one such file, as older versions
            wrote it.
        pre_experiment: Python file or module that runs before the experiment is imported.
        paper: reference of the paper that the experiment belongs to.
        add_timestamp: whether the id gets `-YYYYMMDD-HHMMSS` when a run begins.
        dirty_git: what happens when the repository has uncommitted changes.
        grid_search: values to try, by the place of each in the configuration; `generate_grid` makes
            configurations of them.
    """

    id: str = ""
    file: str = "experiment"
    module: str | None = None
    pythonpath: list[str] | None = None
    imports: list[str] = []
    parent: str | None = None
    pre_experiment: str | None = None
    title: str = ""
    subtitle: str = ""
    description: str = ""
    paper: str = ""
    add_timestamp: bool = False
    dirty_git: DirtyGitAction = DirtyGitAction.WARN
    grid_search: dict[str, Any] | None = None


BASE_FIELDS = frozenset(field.name for field in dataclasses.fields(ConfigurationBase))
BASE_KEYS = BASE_FIELDS - {"grid_search"}
"""What the command reads of a file; the rest is for the function."""
