"""The calls of an experiment: each runs as a plan, on one state that goes on from call to call."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.data.feature_set import FeatureSet
from specplan.objects.callback_states import States, read_states, states_of, take_up
from specplan.objects.checkpoints import Checkpoints
from specplan.objects.experiment_callback import (
    ExperimentCallback,
    ExperimentCallbacks,
    checked_callback,
)
from specplan.objects.experiment_file import (
    CHECKPOINTS,
    Parts,
    extract_checkpoints,
    extract_run,
    read_history,
)
from specplan.objects.group_results import group_results_of
from specplan.objects.history import ExperimentRun
from specplan.objects.history_entries import run_from
from specplan.objects.live import Live, fresh, live_of
from specplan.objects.mapping import compile_objects, named, spec_of
from specplan.objects.phase_group import PhaseGroup, entries_by_path
from specplan.objects.phase_results import results_of
from specplan.objects.raised import caught_as_raised
from specplan.objects.state_entries import read_snapshot, state_bytes, state_from_bytes
from specplan.objects.stopped_run import Stopped, begins_again, stopped_run
from specplan.plan.model import Fit
from specplan.run.hooks import Subjects, joined
from specplan.store.run_file import Status

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from specplan.archive.archive import Archive
    from specplan.objects.call import Call, Results
    from specplan.objects.experiment import Experiment
    from specplan.objects.graph import ModelGraph
    from specplan.objects.phase import Phase
    from specplan.objects.progress import DisplayOptions, Watched
    from specplan.objects.storage import Storage
    from specplan.plan.model import Compiled, Plan
    from specplan.run.context import Context
    from specplan.run.state import Snapshot
    from specplan.track.executed import Executed


class Calls:
    """Runs what is called, and keeps what that leaves behind.

    Attributes:
        storage: where runs are stored.
        history: one entry for each call, failed ones included.
        checkpoints: those that were asked for, and those at boundaries of phases and groups.
        callbacks: what is called at these boundaries, in order.
        live: the state of the graph; None before the first call.
    """

    def __init__(self, experiment: Experiment, storage: Storage) -> None:
        self.storage = storage
        self.history: list[ExperimentRun] = []
        self.checkpoints = Checkpoints(experiment.label, self.history, self.callback_states)
        self.callbacks: list[ExperimentCallback] = []
        self.live: Live | None = None
        self._experiment = experiment
        self._previewing = False

    def add_callback(self, callback: ExperimentCallback) -> None:
        """Register a callback, after those of the same or a lower `execution_order`."""
        self.callbacks.append(checked_callback(callback))
        self.callbacks.sort(key=lambda each: each.execution_order)

    def spec(self, phases: Sequence[Phase], entries: list[dict[str, Any]]) -> dict[str, Any]:
        """The spec of a call.

        Raises:
            ValueError: there is no graph or no phase, or a phase does not fit the graph.
        """
        graph = self._graph()
        if not phases:
            raise ValueError(f"Experiment `{self._experiment.label}`: there is no phase to run")
        for phase in phases:
            phase.check_graph(graph)
        own = self._experiment
        return spec_of(own.label, graph, phases, entries, seed=own.seed, about=own.about)

    def recorded(
        self, call: Call[Results], options: DisplayOptions, stopped: Stopped | None = None
    ) -> Results:
        """Run what is called, or go on with a run of it, and add to the history however that ends."""
        from specplan.objects.progress import Watched, check_options

        check_options(options)
        watched = Watched(options)
        subjects = Subjects(
            experiment=self._experiment,
            entries=call.by_path,
            results_of=lambda path, context: self._results_at(call.by_path[path], path, context),
        )
        callbacks = ExperimentCallbacks(self.callbacks, subjects, whole=call.whole)
        started = datetime.now(UTC)
        error: BaseException | None = None
        executed = self._experiment.run.executed(is_kept=not self._previewing)
        try:
            with caught_as_raised():
                self._execute(call, watched, callbacks, executed, stopped)
        except BaseException as raised:
            error = raised
            raise
        finally:
            run = None if watched.folder is None else self.storage.opened(watched.folder)
            if run is not None and executed.is_kept_elsewhere:
                self.storage.forget(run)
            results = None if run is None else call.results_of(run)
            self.history.append(
                ExperimentRun(
                    label=call.label,
                    status=Status.after(error),
                    started_at=started,
                    ended_at=datetime.now(UTC),
                    results=results,
                    execution_meta=() if run is None else run.phases,
                    metadata={} if run is None else {"run": run.id, "plan": run.run_file.plan_id},
                    run=run,
                    error=None if error is None else f"{type(error).__name__}: {error}",
                )
            )
            if error is not None:
                callbacks.failed(error)
        assert results is not None, "a run that completes has a folder"
        return results

    def resumed(
        self, call: Call[Results], options: DisplayOptions, *, allow_changes: bool
    ) -> Results:
        """Go on with the newest run of what is called, if that was stopped; otherwise run it."""
        graph, root = self._graph(), self.storage.root()
        spec = self.spec(call.phases, call.entries)
        plan = compile_objects(spec, graph, call.phases, fitted=graph.nodes).plan
        has_weights = bool(self._live_of(graph).state.nodes)
        folder = stopped_run(root / self._experiment.full_name, plan.id)
        if folder is None or begins_again(folder, has_weights=has_weights):
            return self.recorded(call, options)
        calls, before, self.live = len(self.history), self.live, fresh(graph)
        try:
            return self.recorded(call, options, Stopped(folder, allow_changes))
        except BaseException:
            if len(self.history) == calls or self.history[-1].run is None:
                self.live = before  # it did not even begin
            raise

    def previewed(self, call: Call[Results], options: DisplayOptions) -> Results:
        """Run what is called, then put everything back as it was, however that ends."""
        from specplan.run.numerics import generators_kept

        before, runs, callbacks = self._live_of(self._graph()), len(self.history), self.callbacks
        self.callbacks = []
        snapshot = before.state.capture() if before.state.nodes else None
        states = states_of(call.by_path)
        self._previewing = True
        try:
            with self.storage.in_memory(), self.checkpoints.disabled(), generators_kept():
                return self.recorded(call, options)
        finally:
            self._previewing = False
            self.callbacks = callbacks
            del self.history[runs:]
            take_up(states, call.by_path)
            if snapshot is None:
                # Nodes of a fresh state are built by the call and would keep what it did to them.
                self.live = None
            else:
                before.state.restore(snapshot)

    def built(self) -> Live:
        """The state of the graph with all of its nodes, which the first run would build otherwise.

        Raises:
            ValueError: there is no graph.
        """
        live = self._live_of(self._graph())
        live.build(self._experiment.seed)
        return live

    def go_back(self, snapshot: Snapshot) -> None:
        """Make a snapshot the state of the graph, and of the modules of the program that are its nodes."""
        live = self.built()
        live.go_back(snapshot)
        live.give_back()

    def get_state(self) -> dict[str, Any]:
        """What calls have changed, as `Experiment.get_state` gives it."""
        is_made = self._experiment.model_graph is not None
        return {
            "model": state_bytes(self.built().state.capture()) if is_made else None,
            "history": list(self.history),
            "checkpoints": dict(self.checkpoints.registry),
            "callbacks": self.callback_states(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Bring back what `get_state` gave."""
        if state["model"] is not None:
            self.go_back(state_from_bytes(state["model"], self.built().state))
        self.take_up(state.get("callbacks", {}))
        self.history[:] = state["history"]
        self.checkpoints.registry = dict(state["checkpoints"])

    def parts(self, config: dict[str, Any]) -> Parts:
        """What is saved of an experiment of this config."""
        is_made = self._experiment.model_graph is not None
        return Parts(
            config=config,
            feature_sets=self._experiment.ctx.members(FeatureSet),
            snapshot=self.built().state.capture() if is_made else None,
            history=self.history,
            checkpoints=self.checkpoints.available(),
            callbacks=self.callback_states(),
        )

    def callback_states(self) -> States:
        """The states of all callbacks."""
        return states_of(entries_by_path(self._experiment.execution_plan), self.callbacks)

    def take_up(self, states: States) -> None:
        """Give callbacks their states."""
        take_up(states, entries_by_path(self._experiment.execution_plan), self.callbacks)

    def take(
        self,
        archive: Archive,
        results_dir: str | os.PathLike[str] | None,
        checkpoint_dir: str | os.PathLike[str] | None,
        *,
        overwrite: bool,
    ) -> None:
        """Take the state, the history and the checkpoints of an archive."""
        graph = self._experiment.model_graph
        if graph is not None:
            self.go_back(read_snapshot(archive, self.built().state))
            graph.build()
        self.take_up(read_states(archive))
        if checkpoint_dir is not None:
            extract_checkpoints(archive, Path(checkpoint_dir), overwrite=overwrite)
            self.checkpoints.directory = Path(checkpoint_dir)
        elif archive.below(CHECKPOINTS):
            warnings.warn(
                f"checkpoints stay in `{archive.path}`; checkpoint_dir=... extracts them",
                stacklevel=3,
            )
        with nullcontext() if results_dir is not None else self.storage.in_memory():
            root = self.storage.root()
            self.history += [
                run_from(each, lambda run: self.storage.opened(extract_run(archive, run, root)))
                for each in read_history(archive)
            ]

    def _graph(self) -> ModelGraph:
        graph = self._experiment.model_graph
        if graph is None:
            raise ValueError(
                f"the context of Experiment `{self._experiment.label}` has no ModelGraph; make the graph "
                "after the Experiment, or use Experiment.from_active_context for what was made before"
            )
        return graph

    def _live_of(self, graph: ModelGraph) -> Live:
        """The state of `graph`; that of its file, or a fresh one, if it replaced another graph."""
        if self.live is None or self.live.graph is not graph:
            self.live = live_of(graph, seed=self._experiment.seed)
        return self.live

    def _execute(
        self,
        call: Call[Any],
        watched: Watched,
        callbacks: ExperimentCallbacks,
        executed: Executed,
        stopped: Stopped | None,
    ) -> None:
        spec = self.spec(call.phases, call.entries)
        graph = self._graph()
        live = self._live_of(graph)
        fitted = set(live.state.fitted) if stopped is None else graph.nodes
        compiled = compile_objects(spec, graph, call.phases, fitted=fitted)
        saving = self.checkpoints.hooks(call.by_path, whole=call.whole)
        try:
            self._start(
                compiled,
                stopped,
                display=watched,
                state=live.state,
                hooks=joined([executed.hooks, callbacks.hooks(), saving]),
                subjects=callbacks.subjects,
            )
            if not self._previewing:
                _freeze_fitted(graph, compiled.plan)
        finally:
            executed.close()
            if not self._previewing:
                live.give_back()

    def _start(self, compiled: Compiled, stopped: Stopped | None, **shared: Any) -> None:
        from specplan.run.resume import resume_run
        from specplan.run.run import run_plan

        if stopped is None:
            run_plan(
                named(compiled, self._experiment.full_name),
                root=self.storage.root(),
                elsewhere=self.storage.elsewhere(),
                **shared,
            )
        else:
            resume_run(
                stopped.folder,
                allow_changes=stopped.allow_changes,
                tables=compiled.tables,
                live=compiled.live,
                **shared,
            )

    def _results_at(self, entry: Phase | PhaseGroup, path: str, context: Context) -> object:
        """The results of a phase or group of the run that is going on."""
        context.recorder.sync()
        run = self.storage.opened(context.journal.folder.path)
        if isinstance(entry, PhaseGroup):
            return group_results_of(run, entry.label, f"{path}.")
        return results_of(run, path)


def _freeze_fitted(graph: ModelGraph, plan: Plan) -> None:
    """Freeze the nodes that fit phases have fitted and are to leave as they are."""
    for phase in plan.phases:
        if isinstance(phase, Fit) and phase.freeze_after_fit:
            graph.freeze(phase.fitted)
