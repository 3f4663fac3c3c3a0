"""A compiled plan in the hands of a Python program."""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.objects.raised import caught_as_raised
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.plan import model
    from specplan.plan.model import Compiled
    from specplan.results.open import Run
    from specplan.run.display import Display
    from specplan.spec.diagnostics import Diagnostic


class Plan:
    """Everything that a run needs, resolved and frozen. Made by `specplan.compile`."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan file.

        Raises:
            PlanError: it is no plan, is newer than this program, or was changed by hand.
        """
        from specplan.plan.canonical import read_plan

        return cls(read_plan(Path(path)))

    @property
    def id(self) -> str:
        """Hash of what the plan means: `b3:` and 64 hexadecimal digits."""
        return self._compiled.plan.id

    @property
    def model(self) -> model.Plan:
        """The plan as data."""
        return self._compiled.plan

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the compiler found odd but not wrong."""
        return self._compiled.warnings

    def explain(self) -> str:
        """The plan as text for people."""
        from specplan.plan.explain import explain

        return explain(self._compiled.plan)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan file; its relative paths start at the file's folder.

        Warns of objects of this program (SP407): the file can be read and compared, not run.
        """
        from specplan.plan.canonical import write_plan
        from specplan.plan.own_code import live_components

        objects = [f"live:{name}" for name in live_components(self.model)]
        if objects:
            message = f"SP407: the plan is not portable: it needs the objects {quoted(objects)} of this program"
            warnings.warn(message, stacklevel=2)
        write_plan(self._compiled, Path(path))

    def run(
        self, root: str | os.PathLike[str] | None = None, display: Display | None = None
    ) -> Run:
        """Run the plan from fresh weights and return what it recorded.

        Args:
            root: folder of all runs; by default $SPECPLAN_HOME, then the plan's `results.dir`, then
                ./runs.
            display: told how the run goes; by default nobody is.

        Raises:
            DataError: a data file is missing, or not the one that was compiled.
            RunError: an exception ended the run; it is the cause, and `except` catches it by its own class too.
        """
        from specplan.results.open import open_run
        from specplan.run.display import Silent
        from specplan.run.run import run_plan
        from specplan.store.root import runs_root

        compiled = self._compiled
        where = runs_root(
            None if root is None else Path(root),
            folder=compiled.folder,
            results=compiled.plan.results.dir,
        )
        with caught_as_raised():
            outcome = run_plan(
                compiled, root=where, display=Silent() if display is None else display
            )
        return open_run(outcome.folder.path)

    def __repr__(self) -> str:
        phases = [phase.path for phase in self.model.phases]
        return f"Plan({self.model.experiment.id}, {self.id[:15]}…, phases={phases})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.explain())}</pre>"


def compile(  # noqa: A001 -- it is called specplan.compile
    spec: str | os.PathLike[str] | Mapping[str, Any],
    *,
    overrides: Iterable[str] = (),
    tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    live: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Plan:
    """Compile a spec to a plan.

    Args:
        spec: path of a JSON or YAML spec; or a spec as a mapping, whose relative paths start at the
            current folder.
        overrides: `KEY=VALUE`, values that replace those of the spec: `plan.train.epochs=5`.
        tables: columns of `memory` sources, by the name under which the spec calls them.
        live: objects of the program, by the name under which a mapping calls them: `live:NAME`. Torch
            modules and classes of them as models; functions as losses, metrics and optimizers.
        strict: whether warnings are errors; otherwise they are in `warnings` of the plan.

    Raises:
        SpecError: with everything that is wrong.
        TypeError: `spec` is neither a path nor a mapping, or `overrides` are no list of texts.
    """
    from specplan.plan.compile import compile_mapping, compile_path
    from specplan.spec.arguments import checked_list
    from specplan.spec.composition import Composition

    texts = checked_list("overrides", overrides)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"an override is a text `KEY=VALUE`, not {type(text).__name__}")
    composition = Composition(overrides=tuple(texts))
    if isinstance(spec, str | os.PathLike):
        return Plan(compile_path(spec, composition, strict=strict))
    if not isinstance(spec, Mapping):
        raise TypeError(f"a spec is the path of a file or a mapping, not {type(spec).__name__}")
    return Plan(
        compile_mapping(spec, composition=composition, tables=tables, live=live, strict=strict)
    )


def resume(
    run: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    live: Mapping[str, Any] | None = None,
    allow_changes: bool = False,
    display: Display | None = None,
) -> Run:
    """Go on with a run that was stopped or killed, in its own folder; a complete one is left alone.

    It ends with the bits that it would have had without the interruption.

    Args:
        run: a run folder; or, below `root`, `<experiment>/<run>`, a run id, or an experiment, which
            means its newest run.
        root: folder of all runs; by default $SPECPLAN_HOME, then ./runs.
        tables: columns of `memory` sources, as they were given to `specplan.compile`.
        live: objects of the program, as they were given to `specplan.compile`.
        allow_changes: go on though versions, threads or values of the data are not what they were.
        display: told how the run goes; by default nobody is.

    Raises:
        RunError: there is no such run, another process runs it, or it cannot go on with the same bits.
        DataError: a data file is missing, or not the one that was compiled.
    """
    from specplan.results.locate import find_run
    from specplan.results.open import open_run
    from specplan.run.display import Silent
    from specplan.run.resume import resume_run
    from specplan.store.root import runs_root

    folder = find_run(Path(run), runs_root(None if root is None else Path(root)))
    with caught_as_raised():
        resume_run(
            folder,
            display=Silent() if display is None else display,
            tables=tables,
            live=live,
            allow_changes=allow_changes,
        )
    return open_run(folder.path)


def open(  # noqa: A001 -- it is called specplan.open
    run: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None
) -> Run:
    """Open a run for reading.

    Args:
        run: a run folder, or an archive of a run; or, below `root`, `<experiment>/<run>`, a run id, or an
            experiment, which means its newest run.
        root: folder of all runs; by default $SPECPLAN_HOME, then ./runs.

    Raises:
        RunError: there is no such run.
        ArchiveError: the archive is damaged, or none of a run.
    """
    from specplan.results.open import open_run

    return open_run(Path(run), root=None if root is None else Path(root))
