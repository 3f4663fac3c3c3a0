"""Experiments that are named by a prefix: `owner/project/path.../name`."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.results.locate import runs_of
from specplan.results.status import read_run_file
from specplan.spec.wording import choices
from specplan.store.layout import experiment_folder
from specplan.store.run_file import Status
from specplan.track.executed import Executed
from specplan.track.files import Files
from specplan.track.names import check_parts
from specplan.track.notes import Logs
from specplan.track.parameters import Parameters
from specplan.track.rows import Metrics
from specplan.track.run import TrackedRun
from specplan.track.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from specplan.store.layout import RunFolder
    from specplan.track.background import Background
    from specplan.track.destination import Destination

DEFAULT_ROOT = ".dash"
VARIABLES = ("DASH_PREFIX", "ML_DASH_PREFIX")
"""Environment variables that name a prefix where none is given; the first that is set counts."""
PROJECT_FILES = ("pyproject.toml", "requirements.txt", "setup.py", "setup.cfg")
NOT_STARTED = "the experiment has not started: use `with experiment.run as exp:`, or call `experiment.run.start()`"
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
        check_parts("an experiment", filled)
        parts = filled.split("/")
        owner = parts[0] if len(parts) > 1 else None
        project = parts[1] if len(parts) > 1 else None
        return cls(filled, owner, project, tuple(parts[2:-1]), parts[-1])


class Tracking:
    """What a program keeps of one experiment beside phases: log, params, metrics and files of its run.

    The same prefix again is the next session of its newest run. Everything may be used from several
    threads, once the run has started.

    Args:
        destination: where runs go.
        experiment: name of the experiment, of one or more parts.
        readme: what it is for.
        tags: words to find it by.
    """

    def __init__(
        self,
        destination: Destination,
        experiment: str,
        *,
        readme: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> None:
        self.root = destination.root
        self._destination = destination
        self._background: Background | None = None
        self.experiment = experiment
        self._readme = readme or ""
        self._tags = dict(tags or {})
        self._run: TrackedRun | None = None
        self._executed: list[Executed] = []
        self._newest: TrackedRun | None = None
        self._lock = threading.Lock()
        self.logs = Logs(self.active)
        self.params = Parameters(self.active)
        self.metrics = Metrics(self.active)
        self.files = Files("", self.active)
        self.tracks = Tracks(self.active)

    def renamed(self, experiment: str) -> Tracking:
        """The same for an experiment of another name."""
        return Tracking(self._destination, experiment, readme=self._readme, tags=self._tags)

    def active(self) -> TrackedRun:
        """The run that is open.

        Raises:
            RuntimeError: none is.
        """
        if (run := self.run) is None:
            raise RuntimeError(NOT_STARTED)
        return run

    @property
    def run(self) -> TrackedRun | None:
        """The run that was begun and not ended; else the one of the plan that is executed. None where none is."""
        if self._run is not None:
            return self._run
        executed = self._executed[-1:]  # another thread may close it
        return executed[0].run if executed else None

    @property
    def status(self) -> Status:
        """How the newest run stands; created before the first."""
        run = self.run or self._newest
        return Status.CREATED if run is None else run.status

    def begin(self) -> TrackedRun:
        """Begin the next session of the newest run of this name, or the first run.

        Raises:
            RunError: the run is damaged, or another process writes it.
        """
        with self._lock:
            newest = self._newest_folder()
            if newest is None and self._destination.fetch(self.experiment):
                newest = self._newest_folder()
            if newest is not None:
                self._run = TrackedRun.go_on(newest)
            else:
                self._run = TrackedRun.start(
                    self.root, self.experiment, description=self._readme, tags=self._tags
                )
            self._newest = self._run
            self._background = self._destination.follow(self._run.folder)
            return self._run

    def executed(
        self, begun: Callable[[TrackedRun, str | None], None], *, is_kept: bool
    ) -> Executed:
        """The run of a plan that is about to be executed; see `Executed`. One that is not kept leaves no trace."""

        def kept(run: TrackedRun, plan: str | None) -> None:
            self._newest = run
            begun(run, plan)

        destination = self._destination if is_kept else None
        return Executed(kept if is_kept else begun, self._executed, destination)

    def flush(self) -> None:
        """Wait until everything that was logged is on file, and at the server if that answers."""
        self.active().sync()
        sent = [self._background, *(each.background for each in self._executed)]
        for background in sent:
            if background is not None:
                background.flush()

    def end(self, status: Status, error: BaseException | None = None) -> None:
        """End the open run; what was gathered is on file, and at the server if that answers."""
        with self._lock:
            run, self._run = self._run, None
            if run is not None:
                run.end(status, error)
                background, self._background = self._background, None
                if self._destination.settle(run.folder, background):
                    # What cannot be removed is only found again, and the server has it.
                    shutil.rmtree(run.folder.path, ignore_errors=True)

    def _newest_folder(self) -> RunFolder | None:
        """The newest run of this name that has no phases: those of plans are over when they end."""
        for folder in reversed(list(runs_of(experiment_folder(self.root, self.experiment)))):
            if not read_run_file(folder).phases and _has_no_phases(folder):
                return folder
        return None


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


def _has_no_phases(folder: RunFolder) -> bool:
    from specplan.plan.canonical import read_plan

    return not read_plan(folder.plan_file).plan.phases


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
