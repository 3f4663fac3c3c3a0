"""What every Experiment has beside its phases: `.run`, `.log`, `.params`, `.metrics` and `.files`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from specplan.base.redaction import redacted, redacted_text
from specplan.spec.wording import did_you_mean
from specplan.store.root import runs_root
from specplan.store.run_file import Status
from specplan.track.bindrs import Bindrs
from specplan.track.destination import Destination
from specplan.track.lifecycle import RunController
from specplan.track.prefix import (
    RUN,
    Prefix,
    as_tags,
    prefix_of_environment,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from specplan.track.files import Files
    from specplan.track.logs import Logs
    from specplan.track.metrics import Metrics
    from specplan.track.parameters import Parameters
    from specplan.track.tracks import Tracks


class Tracked:
    """An experiment with a run of its own, which a program begins, writes to and ends.

    Attributes:
        run: begins and ends it; called, it executes the execution plan.
        readme: what the experiment is for.
        tags: words to find it by, with values where they have some.
        bindrs: what it belongs to; called with a name, the files that do.
        metadata: values beside it.
    """

    run: RunController

    def _track(
        self,
        name: Prefix | str,
        *,
        readme: str | None,
        tags: Sequence[str] | Mapping[str, str | None] | None,
        bindrs: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
        dash_url: str | bool | None,
        dash_root: str | os.PathLike[str] | None,
        execute: Callable[..., Any],
    ) -> None:
        is_prefix = isinstance(name, Prefix)
        self._name = name
        self.readme = readme
        self.tags = as_tags(tags)
        self.bindrs = Bindrs(bindrs or (), lambda: self.files)
        self.metadata = dict(metadata or {})
        place = (
            Destination.of(dash_root=dash_root, dash_url=dash_url)
            if is_prefix
            else Destination(runs_root())
        )
        self.run = RunController(self, place, execute)

    @property
    def prefix(self) -> str | None:
        """`owner/project/path.../name`; None for an experiment with only a label."""
        return self._name.text if isinstance(self._name, Prefix) else None

    @property
    def owner(self) -> str | None:
        """The first part of the prefix."""
        return self._name.owner if isinstance(self._name, Prefix) else None

    @property
    def project(self) -> str | None:
        """The second part of the prefix."""
        return self._name.project if isinstance(self._name, Prefix) else None

    @property
    def name(self) -> str:
        """The last part of the prefix, or the label."""
        return self._name.name if isinstance(self._name, Prefix) else self._name

    @property
    def full_name(self) -> str:
        """What its runs are called: the prefix, or the label."""
        return self._name.text if isinstance(self._name, Prefix) else self._name

    def rename(self, prefix: str) -> None:
        """Take another prefix before the first run.

        Raises:
            RuntimeError: a run has begun.
            ValueError: it cannot be a prefix.
        """
        if self.run.status is not Status.CREATED:
            raise RuntimeError("Cannot change the prefix of an experiment whose run has started")
        self._name = Prefix.of(prefix, name=self.name)

    @property
    def id(self) -> str | None:
        """The id of the run that is open; None where none is."""
        return None if self.run.current is None else self.run.current.id

    @property
    def log(self) -> Callable[..., None]:
        """`log(message, level="info", metadata=None, **fields)`: keep and print a message."""
        return self.run.logs.log

    @property
    def logs(self) -> Logs:
        """The log of the run, with a method for each level."""
        return self.run.logs

    @property
    def params(self) -> Parameters:
        """The parameters of the run."""
        return self.run.params

    @property
    def metrics(self) -> Metrics:
        """The metrics of the run, by name."""
        return self.run.metrics

    @property
    def files(self) -> Files:
        """The files of the run, by folder."""
        return self.run.files

    @property
    def tracks(self) -> Tracks:
        """The tracks of the run, by topic."""
        return self.run.tracks

    @property
    def run_folder(self) -> Path | None:
        """The folder of the run that is open; None where none is."""
        return None if self.run.current is None else self.run.current.folder.path

    @property
    def about(self) -> dict[str, Any]:
        """What the spec of its plan says of it beside its name, without secrets."""
        said = {"description": redacted_text(self.readme or ""), "tags": redacted(self.tags)}
        return {name: value for name, value in said.items() if value}

    def flush(self) -> None:
        """Wait until everything that was logged is on file, and at the server if that answers."""
        self.run.flush()


def tracked_name(label: str | None, prefix: str | None) -> Prefix | str:
    """What an experiment is called: a prefix where its name has a `/`, else a label.

    Without both, what the environment or `RUN` says.

    Raises:
        TypeError: nothing says it, both are given, or it is no text.
    """
    for name, text in (("label", label), ("prefix", prefix)):
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name} of an Experiment is a str, not {type(text).__name__}")
    if label is not None and prefix is not None:
        raise TypeError("an Experiment has a label or a prefix, not both")
    given = prefix or label or prefix_of_environment() or RUN.prefix
    if given is None:
        raise TypeError(
            "an Experiment needs a label or a prefix `owner/project/name`, or the environment variable "
            "DASH_PREFIX"
        )
    is_label = prefix is None and given == label and "/" not in given
    return given if is_label else Prefix.of(given)


def take_run_params(params: Mapping[str, Any], known: Sequence[str]) -> None:
    """Give params to RUN; one that looks like a misspelt argument is an error.

    Raises:
        TypeError: there is no such argument, and there is one nearly of that name.
    """
    for name in params:
        if near := did_you_mean(name, known):
            _unexpected(name, near)
    RUN.params |= params


def _unexpected(name: str, hint: str) -> NoReturn:
    raise TypeError(f"Experiment has no argument `{name}`\nhint: {hint}")
