"""The checkpoints of an experiment: those that a program asks for, and those at boundaries of a run."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.archive.names import name_fault
from specplan.objects.checkpoint_file import About, read_checkpoint, write_checkpoint
from specplan.objects.checkpointing import SUFFIX, Checkpointing, warn_of_files
from specplan.objects.train_phase import TrainPhase
from specplan.run.hooks import Hooks, PhaseHooks
from specplan.spec.wording import choices

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sized

    from specplan.objects.callback_states import States
    from specplan.objects.phase import Phase
    from specplan.objects.phase_group import PhaseGroup
    from specplan.plan import model
    from specplan.run.context import Context
    from specplan.run.state import Snapshot, State

_AUTOMATIC = "checkpointing by itself"
"""What its counts are called beside states of callbacks, whose labels have no spaces."""


class Checkpoints:
    """Where the checkpoints of an experiment are, and what writes them.

    Attributes:
        automatic: at which boundaries of phases and groups one is written; None for none.
        directory: where they go.
        registry: the file of each name, in the order in which they were saved.
    """

    def __init__(self, experiment: str, history: Sized, callbacks: Callable[[], States]) -> None:
        self.automatic: Checkpointing | None = None
        self.directory: Path | None = None
        self.registry: dict[str, Path] = {}
        self._experiment = experiment
        self._history = history
        self._callbacks = callbacks
        self._disabled = 0

    def attach(self, checkpointing: Checkpointing | None) -> None:
        """Write at the boundaries of `checkpointing` from now on; its directory becomes this one."""
        self.automatic = checkpointing
        if checkpointing is not None and checkpointing.directory is not None:
            self.directory = checkpointing.directory

    def set_directory(self, path: str | os.PathLike[str]) -> None:
        """Write here from now on. Checkpoints that are there are available, and warned of."""
        self.directory = Path(path)
        warn_of_files(self.directory)

    def available(self) -> dict[str, Path]:
        """The file of each name: those that were saved, and those in the directory."""
        there = sorted(self.directory.glob(f"*{SUFFIX}")) if self.directory is not None else []
        found = {path.name.removesuffix(SUFFIX): path for path in there}
        saved = {name: path for name, path in self.registry.items() if path.is_file()}
        return {**saved, **{name: path for name, path in found.items() if name not in saved}}

    def path_of(self, name: str | os.PathLike[str]) -> Path:
        """The file that a name or path means.

        Raises:
            ValueError: there is no checkpoint of this name, and no file at this path.
        """
        available = self.available()
        if isinstance(name, str) and name in available:
            return available[name]
        if Path(name).is_file():
            return Path(name)
        known = choices(str(name), available)
        raise ValueError(f"there is no checkpoint `{name}`; available: {known}")

    def save(
        self, name: str, state: State, *, overwrite: bool, meta: Mapping[str, Any] | None
    ) -> Path:
        """Write a checkpoint that the program asks for.

        Raises:
            RuntimeError: no directory is set.
            ValueError: the name is taken, or cannot be that of a file.
        """
        directory = self._known_directory(self.directory)
        if "/" in name or name_fault(name):
            raise ValueError(f"{name!r} cannot be the name of a checkpoint")
        if name in self.available() and not overwrite:
            raise ValueError(f"there is a checkpoint `{name}` already; overwrite=True replaces it")
        about = About(
            name=name,
            experiment=self._experiment,
            history=len(self._history),
            meta=dict(meta or {}),
        )
        path = directory / f"{name}{SUFFIX}"
        self._write(path, about, state.capture(), overwrite=overwrite)
        return path

    def read(self, name: str | os.PathLike[str], state: State) -> tuple[About, Snapshot, States]:
        """What a checkpoint says of itself, its snapshot for a state whose nodes are built, and its callbacks."""
        return read_checkpoint(self.path_of(name), state)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Write none at boundaries meanwhile, of phases either."""
        self._disabled += 1
        try:
            yield
        finally:
            self._disabled -= 1

    def hooks(self, entries: Mapping[str, Phase | PhaseGroup], *, whole: bool) -> Hooks:
        """What a call that runs `entries`, which are found by path, has called at its boundaries.

        Raises:
            RuntimeError: files are to be written, and no directory is set.
        """
        if self._disabled:
            return Hooks()
        phases = {
            path: (entry, entry.checkpointing)
            for path, entry in entries.items()
            if isinstance(entry, TrainPhase) and entry.checkpointing is not None
        }
        for phase, checkpointing in phases.values():
            if checkpointing.mode == "disk":
                self._directory_of(phase, checkpointing)
        inside = partial(self._inside, phases)
        at = Hooks(inside=(inside,) if phases else ())
        return (
            at if self.automatic is None else self._at_boundaries(self.automatic, at, whole=whole)
        )

    def _at_boundaries(self, automatic: Checkpointing, at: Hooks, *, whole: bool) -> Hooks:
        directory = self._known_directory(automatic.directory or self.directory)
        automatic.reset()

        def save(hook: str, label: str, context: Context) -> None:
            if automatic.is_due(hook):
                name = automatic.name(hook, label=label)
                self._save_at(automatic, directory, name, name, hook, {"label": label}, context)

        def around(hook: str) -> tuple[Callable[[Context], None], ...]:
            def save_once(context: Context) -> None:
                if hook == "experiment_end" or context.begins:
                    save(hook, self._experiment, context)

            return (save_once,) if whole else ()

        def group(hook: str) -> tuple[Callable[[str, Context], None], ...]:
            return (lambda path, context: save(hook, _label(path), context),)

        def phase(hook: str) -> tuple[Callable[[model.Phase, Context], None], ...]:
            return (lambda phase, context: save(hook, _label(phase.path), context),)

        return Hooks(
            run_started=around("experiment_start"),
            run_ended=around("experiment_end"),
            group_started=group("group_start"),
            group_ended=group("group_end"),
            phase_started=phase("phase_start"),
            phase_ended=phase("phase_end"),
            inside=at.inside,
            states=(lambda: {_AUTOMATIC: automatic.progress()},),
            resumed=(partial(_go_on, automatic, _AUTOMATIC),),
        )

    def _inside(
        self,
        phases: Mapping[str, tuple[TrainPhase, Checkpointing]],
        planned: model.Phase,
        context: Context,
    ) -> PhaseHooks:
        if planned.path not in phases:
            return PhaseHooks()
        phase, checkpointing = phases[planned.path]
        directory = (
            self._directory_of(phase, checkpointing) if checkpointing.mode == "disk" else None
        )
        checkpointing.reset()
        starts = not context.checkpoints.goes_on
        name_of_progress = f"{_AUTOMATIC} of {planned.path}"

        def save(hook: str, key: int | str | None = None, **place: int) -> None:
            if checkpointing.is_due(hook):
                name = checkpointing.name(hook, phase=phase.label, **place)
                at: dict[str, str | int] = {"phase": planned.path, **place}
                key = name if key is None else key
                self._save_at(checkpointing, directory, name, key, hook, at, context)

        def ended(_values: Mapping[str, float]) -> dict[str, float]:
            save("phase_end")
            return {}

        def epoch_ended(epoch: int, _values: Mapping[str, float]) -> dict[str, float]:
            save("epoch_end", epoch, epoch=epoch)
            return {}

        def at_batch(hook: str) -> tuple[Callable[[int, int, object], None], ...]:
            if hook not in checkpointing.save_on:
                return ()
            return (
                lambda epoch, batch, _: save(hook, f"{epoch}.{batch}", epoch=epoch, batch=batch),
            )

        return PhaseHooks(
            started=(lambda: save("phase_start"),) if starts else (),
            epoch_started=(lambda epoch: save("epoch_start", epoch, epoch=epoch),),
            epoch_ended=(epoch_ended,),
            batch_started=at_batch("batch_start"),
            batch_ended=at_batch("batch_end"),
            ended=(ended,),
            states=(lambda: {name_of_progress: checkpointing.progress()},),
            resumed=(partial(_go_on, checkpointing, name_of_progress),),
        )

    def _save_at(
        self,
        checkpointing: Checkpointing,
        directory: Path | None,
        name: str,
        key: int | str,
        hook: str,
        at: Mapping[str, str | int],
        context: Context,
    ) -> None:
        snapshot = context.state.capture()
        if directory is None:
            checkpointing.keep(key, snapshot)
            return
        about = About(
            name=name,
            experiment=self._experiment,
            hook=hook,
            at=dict(at),
            history=len(self._history),
        )
        path = directory / f"{name}{SUFFIX}"
        self._write(path, about, snapshot, overwrite=checkpointing.overwrite)
        deleted = checkpointing.keep(key, path)
        self.registry = {each: kept for each, kept in self.registry.items() if kept not in deleted}

    def _write(self, path: Path, about: About, snapshot: Snapshot, *, overwrite: bool) -> None:
        write_checkpoint(path, about, snapshot, self._callbacks(), overwrite=overwrite)
        self.registry.pop(about.name, None)
        self.registry[about.name] = path

    def _directory_of(self, phase: TrainPhase, checkpointing: Checkpointing) -> Path:
        if checkpointing.directory is not None:
            return checkpointing.directory
        return self._known_directory(self.directory) / phase.label

    def _known_directory(self, directory: Path | None) -> Path:
        if directory is None:
            raise RuntimeError(
                f"Experiment `{self._experiment}` has no directory for checkpoints; "
                "set one with set_checkpoint_dir(...), or load the experiment with checkpoint_dir=..."
            )
        return directory


def _go_on(
    checkpointing: Checkpointing, name: str, states: Mapping[str, dict[str, Any] | None]
) -> None:
    if progress := states.get(name):
        checkpointing.go_on(progress)


def _label(path: str) -> str:
    return path.rpartition(".")[2]
