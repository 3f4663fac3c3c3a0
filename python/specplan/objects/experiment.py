"""The orchestrator: runs phases of one graph, one after the other, on one state."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from specplan.data.context import ExperimentContext, active_context, checked_label, checked_policy
from specplan.data.feature_set import FeatureSet
from specplan.objects.call import (
    call_of_folds,
    call_of_group,
    call_of_phase,
    call_of_plan,
)
from specplan.objects.calls import Calls
from specplan.objects.checkpointing import Checkpointing, checked_checkpointing
from specplan.objects.drawing import draw_experiment
from specplan.objects.experiment_config import (
    check_comes_back,
    config_of,
    experiment_of,
    ids_of,
    safe_config,
    take_ids,
)
from specplan.objects.experiment_file import loading, save_parts
from specplan.objects.experiment_spec import experiment_from, experiment_of_file
from specplan.objects.graph import ModelGraph
from specplan.objects.history import ExperimentRun, History
from specplan.objects.phase_group import PhaseGroup, entries_spec, with_groups
from specplan.objects.spec_file import write_spec
from specplan.objects.storage import Storage
from specplan.spec.arguments import checked_int, checked_list
from specplan.spec.wording import quoted
from specplan.track.prefix import DEFAULT_ROOT, Prefix
from specplan.track.tracked import Tracked, take_run_params, tracked_name

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from specplan.base.drawing import Drawing
    from specplan.objects.experiment_callback import (
        ExperimentCallback,
    )
    from specplan.objects.group_results import PhaseGroupResults
    from specplan.objects.phase import Phase
    from specplan.objects.phase_results import PhaseResults
    from specplan.objects.progress import DisplayOptions
    from specplan.objects.results_config import ResultsConfig
    from specplan.run.state import Snapshot, State


class Experiment(Tracked):
    """Runs phases of the graph in its context; weights and optimizer go on from call to call.

    Every call builds a spec, compiles it to a plan and runs that, as the command does.

    Args:
        label: name of the experiment.
        registration_policy: what a label that is taken means for a new object: "raise" (the
            default), "overwrite", "rename", or another that `ExperimentContext` has.
        ctx: where objects are registered; by default a new context. It becomes the active one.
        seed: seed of everything that has none of its own, such as the weights.
        prefix: `owner/project/path.../name` in place of a label, whose last part becomes the label; a
            label with a `/` is one. Without both, $DASH_PREFIX says it. See `run`, `log`, `params`,
            `metrics` and `files`.
        readme: what the experiment is for; `description` says the same.
        tags: words to find it by, with values where they have some.
        bindrs: what it belongs to.
        metadata: values beside it.
        dash_url: address of a server to which the runs of an experiment with a prefix are sent while they go
            on (docs/serve.md); True means $DASH_URL.
        dash_root: folder of these runs; None for runs that are kept at the server only.
        run_params: parameters of every run.
        checkpointing: at which boundaries of a run the state is saved to a file.
        callbacks: what is called before and after phases and groups.
        results_config: where results are stored; by default below $SPECPLAN_HOME, and where that is
            not set, in a temporary folder that goes when the results do.

    Raises:
        TypeError: an argument is of another type.
        ValueError: the label or policy is not valid, or the folder of the results holds something else
            than runs of this experiment.
    """

    def __init__(  # noqa: PLR0913 -- two documented constructors in one
        self,
        label: str | None = None,
        registration_policy: str | None = None,
        ctx: ExperimentContext | None = None,
        checkpointing: Checkpointing | None = None,
        callbacks: Sequence[ExperimentCallback] | None = None,
        results_config: ResultsConfig | None = None,
        *,
        seed: int = 42,
        prefix: str | None = None,
        readme: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | Mapping[str, str | None] | None = None,
        bindrs: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        dash_url: str | bool | None = None,
        dash_root: str | os.PathLike[str] | None = DEFAULT_ROOT,
        **run_params: Any,
    ) -> None:
        if ctx is not None and not isinstance(ctx, ExperimentContext):
            raise TypeError(f"ctx is an ExperimentContext, not {type(ctx).__name__}")
        take_run_params(run_params, known=_ARGUMENTS)
        name = tracked_name(label, prefix)
        label = name.label if isinstance(name, Prefix) else name
        self.label = checked_label(label)
        self._track(
            name,
            readme=description if readme is None else readme,
            tags=tags,
            bindrs=bindrs,
            metadata=metadata,
            dash_url=dash_url,
            dash_root=dash_root,
            execute=self.execute,
        )
        self._calls = Calls(self, Storage(self, results_config))
        self.seed = checked_int("the seed of an experiment", seed)
        self.set_checkpointing(checkpointing)
        self._ctx = ExperimentContext() if ctx is None else ctx
        if registration_policy is not None:
            self._ctx.registration_policy = checked_policy(registration_policy)
        self._ctx.activate()
        self._ctx.experiment = self
        self._execution_plan = PhaseGroup(self.label)
        for callback in checked_list(f"Experiment `{label}`: callbacks", callbacks or ()):
            self.add_callback(callback)

    @classmethod
    def from_active_context(
        cls,
        label: str,
        registration_policy: str | None = None,
        checkpointing: Checkpointing | None = None,
        callbacks: Sequence[ExperimentCallback] | None = None,
        results_config: ResultsConfig | None = None,
        overwrite: bool = False,  # noqa: FBT001, FBT002 -- as documented
        *,
        seed: int = 42,
    ) -> Experiment:
        """Make an experiment on the active context, with all that is registered there.

        The arguments but `overwrite` are those of `Experiment`.

        Args:
            label: name of the experiment.
            registration_policy: "overwrite" is an `overwrite`, too.
            checkpointing: at which boundaries of a run the state is saved.
            callbacks: what is called before and after phases and groups.
            results_config: where results are stored.
            overwrite: whether it takes the place of an experiment that the context has. The graph starts
                afresh, also one that was loaded.
            seed: seed of everything that has none of its own.

        Raises:
            ValueError: the context has an experiment, which is not to be replaced.
        """
        context = active_context()
        if overwrite:
            for graph in context.members(ModelGraph):
                graph.restored = None
        elif context.experiment is not None and registration_policy != "overwrite":
            raise ValueError(
                f"the active context has the Experiment `{context.experiment.label}` already; "
                "overwrite=True takes its place, and the graph starts afresh"
            )
        return cls(
            label,
            registration_policy,
            context,
            checkpointing,
            callbacks,
            results_config,
            seed=seed,
        )

    @property
    def ctx(self) -> ExperimentContext:
        """Where the objects of this experiment are registered."""
        return self._ctx

    @property
    def model_graph(self) -> ModelGraph | None:
        """The graph that was registered last."""
        graphs = self._ctx.members(ModelGraph)
        return graphs[-1] if graphs else None

    @property
    def execution_plan(self) -> PhaseGroup:
        """The phases that `run` executes, in order."""
        return self._execution_plan

    def set_execution_plan(
        self,
        phases: PhaseGroup | Iterable[Phase | PhaseGroup],
        overwrite: bool = False,  # noqa: FBT001, FBT002 -- as documented
    ) -> None:
        """Make phases and groups, or the entries of a group, what `run` executes.

        Raises:
            TypeError: an entry is neither a phase nor a group.
            ValueError: there is a plan already and `overwrite` is not set, or two labels are equal.
        """
        if len(self._execution_plan) and not overwrite:
            raise ValueError(
                f"Experiment `{self.label}` has an execution plan of "
                f"{quoted(entry.label for entry in self._execution_plan.all)}; "
                "replace it with overwrite=True"
            )
        entries = phases.all if isinstance(phases, PhaseGroup) else phases
        made = PhaseGroup(self.label, entries)
        # The group stays the same one: programs hold on to it.
        self._execution_plan.clear()
        for entry in made.all:
            if isinstance(entry, PhaseGroup):
                self._execution_plan.add_group(entry)
            else:
                self._execution_plan.add_phase(entry)

    @property
    def results_config(self) -> ResultsConfig | None:
        """Where results are stored, as it was given."""
        return self._calls.storage.config

    @property
    def history(self) -> History:
        """One entry for each call that ran phases, failed ones included. A copy."""
        return History(self._calls.history)

    @property
    def last_run(self) -> ExperimentRun | None:
        """The newest entry of the history."""
        return self._calls.history[-1] if self._calls.history else None

    @property
    def exp_callbacks(self) -> list[ExperimentCallback]:
        """The registered callbacks, in the order in which they are called."""
        return list(self._calls.callbacks)

    def add_callback(self, callback: ExperimentCallback) -> None:
        """Register a callback, after those of the same or a lower `execution_order`.

        Raises:
            TypeError: it is no ExperimentCallback, or one of its hooks wants what it cannot be given.
        """
        self._calls.add_callback(callback)

    @property
    def checkpointing(self) -> Checkpointing | None:
        """At which boundaries the state is saved; None for none."""
        return self._calls.checkpoints.automatic

    def set_checkpointing(self, checkpointing: Checkpointing | None) -> None:
        """Save the state at other boundaries from now on, or at none.

        Raises:
            TypeError: it is no Checkpointing.
            ValueError: it is in memory, or has a boundary or placeholder that an experiment has not.
        """
        self._calls.checkpoints.attach(checked_checkpointing(checkpointing, "experiment"))

    def set_checkpoint_dir(self, path: str | os.PathLike[str]) -> None:
        """Save checkpoints in this folder from now on. Those that are there already are warned of."""
        self._calls.checkpoints.set_directory(path)

    @property
    def available_checkpoints(self) -> dict[str, Path]:
        """The file of each checkpoint by name: those that were saved, then others in the folder."""
        return self._calls.checkpoints.available()

    def save_checkpoint(
        self,
        name: str,
        overwrite: bool = False,  # noqa: FBT001, FBT002 -- as documented
        meta: Mapping[str, Any] | None = None,
    ) -> Path:
        """Save weights, estimators, optimizer and generators to `<name>.ckpt.mml`; returns its path.

        Args:
            name: under which `restore_checkpoint` finds it.
            overwrite: whether a checkpoint of this name is replaced.
            meta: plain values to keep with it.

        Raises:
            RuntimeError: no directory is set.
            ValueError: the name is taken or cannot be that of a file, or there is no graph.
            RunError: a node or the optimizer holds what cannot be stored without pickle.
        """
        state = self._calls.built().state
        return self._calls.checkpoints.save(name, state, overwrite=overwrite, meta=meta)

    def restore_checkpoint(self, name: str | os.PathLike[str]) -> None:
        """Go back to a checkpoint, of a name or at a path; so does the history, as far as it is known.

        One of the graph alone says nothing of the history.

        Raises:
            ValueError: there is no such checkpoint.
            ArchiveError, StoreError: it is damaged.
            RunError: its nodes are not those of the graph.
        """
        calls = self._calls
        calls.checkpoints.path_of(name)
        about, snapshot, states = calls.checkpoints.read(name, calls.built().state)
        calls.go_back(snapshot)
        if about.graph is None:
            calls.take_up(states)
            del calls.history[about.history :]

    def disable_checkpointing(self) -> AbstractContextManager[None]:
        """Save nothing at boundaries meanwhile, those inside of phases included."""
        return self._calls.checkpoints.disabled()

    @property
    def featureset(self) -> FeatureSet | None:
        """The FeatureSet that was registered last."""
        feature_sets = self._ctx.members(FeatureSet)
        return feature_sets[-1] if feature_sets else None

    @classmethod
    def from_spec(
        cls,
        spec: Mapping[str, Any],
        featuresets: Sequence[FeatureSet] = (),
        *,
        live: Mapping[str, Any] | None = None,
    ) -> Experiment:
        """The objects that mean a spec such as `to_spec` gives, in a context of their own.

        Args:
            spec: its values, with every default written out.
            featuresets: those that the spec names.
            live: objects of the program that the spec calls `live:NAME`, by name.

        Raises:
            ValueError: a FeatureSet or an object is missing, or the spec says what no object does.
        """
        return experiment_from(cls, spec, featuresets, live or {})

    @classmethod
    def from_yaml(
        cls,
        path: str | os.PathLike[str],
        featuresets: Sequence[FeatureSet] | None = None,
        *,
        live: Mapping[str, Any] | None = None,
    ) -> Experiment:
        """The objects that mean the spec in a file, in a context of their own; see `from_spec`.

        Args:
            path: what `to_yaml` wrote, or a file that lists nodes and phases under `experiment:`.
            featuresets: those that the spec names; by default all of the active context.
            live: objects of the program that the spec calls `live:NAME`, by name; classes and functions
                that a file of the second kind names, by their dotted paths.

        Raises:
            SpecError: the file is missing, or holds no spec; with the line of every fault.
            ValueError: a FeatureSet or an object is missing, a default is not written out, or the spec says
                what no object does.
        """
        return experiment_of_file(cls, path, featuresets, live or {})

    def to_yaml(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:  # noqa: FBT001, FBT002 -- as documented
        """Write the spec of `run` as YAML, without weights and rows; returns its path.

        Raises:
            FileExistsError: it is there already, and is not to be overwritten.
            ValueError: there is no graph, or the execution plan has no phases.
        """
        return write_spec(self.to_spec(), path, overwrite=overwrite)

    def get_config(self) -> dict[str, Any]:
        """The structure as plain values: label, policy, spec of graph and phases, checkpointing.

        Objects of the program, such as torch modules and callbacks, are their class and arguments, or the
        reason why they cannot be stored. Rows, weights and runs are not part of it.

        Raises:
            ValueError: two different losses have one label.
        """
        return config_of(self)

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        allow_packaged_code: bool = False,  # noqa: FBT001, FBT002 -- as documented
    ) -> Experiment:
        """An experiment of this structure on the active context, with the FeatureSets that it has.

        A graph of the same description that is registered there is taken; otherwise it is made anew.

        Args:
            config: what `get_config` gave.
            allow_packaged_code: whether modules that the config names may be imported.

        Raises:
            ArchiveError: an object cannot be made again.
            ValueError: a FeatureSet is missing.
        """
        return experiment_of(cls, config, allow_import=allow_packaged_code)

    def get_state(self) -> dict[str, Any]:
        """What calls have changed: `context` (ids by label), `model` (a checkpoint), `history`, `checkpoints`, `callbacks`.

        Raises:
            RunError: a node or the optimizer holds what cannot be stored without pickle.
        """
        return {"context": ids_of(self), **self._calls.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Bring back what `get_state` gave, of this experiment or one of the same structure.

        Raises:
            RunError: its nodes are not those of the graph.
        """
        self._calls.set_state(state)
        take_ids(self, state["context"])

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = False,  # noqa: FBT001, FBT002 -- as documented
        include_featuresets: bool = True,  # noqa: FBT001, FBT002 -- as documented
    ) -> Path:
        """Write everything to one file, `<filepath>.exp.mml`; returns its path.

        Args:
            filepath: where.
            overwrite: whether a file that is there is replaced.
            include_featuresets: whether the rows of the FeatureSets are in it; otherwise `load` is given them.

        Raises:
            FileExistsError: it is there already.
            ValueError: an object, a scaler or a phase cannot be stored without pickle; and why.
            RunError: a fitted estimator cannot.
        """
        config = self.get_config()
        check_comes_back(self, config)
        parts = self._calls.parts(config)
        return save_parts(parts, filepath, overwrite=overwrite, rows=include_featuresets)

    @classmethod
    def load(
        cls,
        filepath: str | os.PathLike[str],
        featuresets: Sequence[FeatureSet | str | os.PathLike[str]] | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        results_dir: str | os.PathLike[str] | None = None,
        allow_packaged_code: bool = False,  # noqa: FBT001, FBT002 -- as documented
        overwrite: bool = False,  # noqa: FBT001, FBT002 -- as documented
    ) -> Experiment:
        """Read what `save` wrote, into a context of its own.

        Nothing that is in the file is run. Directories that the file names are not written to: results
        and checkpoints go where `results_dir` and `checkpoint_dir` say. Without the first, the
        history is read from a temporary folder that goes when the results do; without the second,
        checkpoints stay in the file.

        Args:
            filepath: the file.
            featuresets: FeatureSets, or paths of such, in place of those that were saved without rows.
            checkpoint_dir: where checkpoints are extracted to.
            results_dir: where runs are extracted to, and new ones are made.
            allow_packaged_code: whether modules that the file names may be imported; otherwise only
                classes of modules that the program has imported are used.
            overwrite: whether the new context becomes the active one although objects of the active one
                have the same labels, which is warned of; and whether other checkpoints in
                `checkpoint_dir` are replaced.

        Raises:
            FileNotFoundError: there is no such file.
            FileExistsError: another run or checkpoint of the same name is where one is extracted to.
            ArchiveError: it is damaged, unsafe or no experiment, or needs code that is not imported.
            ValueError: a FeatureSet is missing, or is not the one that it was saved with.
        """
        with loading(Path(filepath), featuresets or (), overwrite=overwrite) as (archive, config):
            experiment = cls.from_config(
                safe_config(config, results_dir, checkpoint_dir), allow_packaged_code
            )
            calls = experiment._calls  # noqa: SLF001 -- its own
            calls.take(archive, results_dir, checkpoint_dir, overwrite=overwrite)
        return experiment

    def visualize(self) -> Drawing:
        """The graph and the execution plan as a picture."""
        return self._drawing().shown()

    def to_mermaid(self) -> str:
        """The graph and the execution plan as a Mermaid flowchart."""
        return self._drawing().to_mermaid()

    def to_svg(self) -> str:
        """The graph and the execution plan as an SVG element."""
        return self._drawing().to_svg()

    def _drawing(self) -> Drawing:
        return draw_experiment(self.model_graph, list(with_groups(self._execution_plan)))

    def to_spec(self) -> dict[str, Any]:
        """The spec of `run`, as plain values. Its FeatureSets are named, their rows are not in it.

        Raises:
            ValueError: there is no graph, or the execution plan has no phases.
        """
        return self._calls.spec(self._execution_plan.flatten(), entries_spec(self._execution_plan))

    def execute(self, **display: Unpack[DisplayOptions]) -> PhaseGroupResults:
        """Run the execution plan; `run()` does the same.

        Raises:
            SpecError: what was built does not fit together.
            RunError: an exception ended the run; it is the cause, and `except` catches it by its own class too.
        """
        return self._calls.recorded(call_of_plan(self._execution_plan), display)

    def run_phase(self, phase: Phase, **display: Unpack[DisplayOptions]) -> PhaseResults:
        """Run one phase, whether or not it is in the execution plan.

        Raises:
            SpecError: what was built does not fit together.
            RunError: an exception ended the run; it is the cause, and `except` catches it by its own class too.
        """
        return self._calls.recorded(call_of_phase("run_phase", phase), display)

    def run_group(self, group: PhaseGroup, **display: Unpack[DisplayOptions]) -> PhaseGroupResults:
        """Run the phases of a group, whether or not it is in the execution plan.

        Raises:
            SpecError: what was built does not fit together.
            RunError: an exception ended the run; it is the cause, and `except` catches it by its own class too.
        """
        return self._calls.recorded(call_of_group("run_group", group), display)

    @overload
    def resume(
        self,
        entry: PhaseGroup | None = None,
        *,
        allow_changes: bool = False,
        **display: Unpack[DisplayOptions],
    ) -> PhaseGroupResults: ...

    @overload
    def resume(
        self,
        entry: Phase,
        *,
        allow_changes: bool = False,
        **display: Unpack[DisplayOptions],
    ) -> PhaseResults: ...

    def resume(
        self,
        entry: Phase | PhaseGroup | None = None,
        *,
        allow_changes: bool = False,
        **display: Unpack[DisplayOptions],
    ) -> PhaseResults | PhaseGroupResults:
        """Go on with what another process of this program was stopped or killed in; otherwise run it.

        The newest run of the same plan in the folder of the results is looked for. If it was not brought to
        its end it goes on in its folder, and ends with the bits that it would have had: weights, optimizer,
        metrics, recorded tensors, and what callbacks keep. The history gets one entry for it. A call that
        followed others and had no checkpoint yet begins again, with the weights that there are: those of
        `load` or `restore_checkpoint`.

        Args:
            entry: the phase or group that was called; by default the execution plan.
            allow_changes: go on though versions, threads or values of the data are not what they were.
            display: as `run` takes it.

        Raises:
            RunError: another process runs it; it began with weights that are not stored, and there are none;
                or it cannot go on with the same bits.
            The errors of `run`.
        """
        resumed = partial(self._calls.resumed, options=display, allow_changes=allow_changes)
        if entry is None:
            return resumed(call_of_plan(self._execution_plan))
        if isinstance(entry, PhaseGroup):
            return resumed(call_of_group("resume", entry))
        return resumed(call_of_phase("resume", entry))

    def preview_phase(self, phase: Phase, **display: Unpack[DisplayOptions]) -> PhaseResults:
        """Run one phase, then put everything back as it was. Adds nothing to the history.

        Callbacks of the experiment are not called.
        """
        return self._calls.previewed(call_of_phase("preview_phase", phase), display)

    def preview_run(self, **display: Unpack[DisplayOptions]) -> PhaseGroupResults:
        """Run the execution plan, then put everything back. Adds nothing to the history.

        Callbacks of the experiment are not called.
        """
        return self._calls.previewed(call_of_plan(self._execution_plan), display)

    def preview_group(
        self, group: PhaseGroup, **display: Unpack[DisplayOptions]
    ) -> PhaseGroupResults:
        """Run the phases of a group, then put everything back. Adds nothing to the history.

        Callbacks of the experiment are not called.
        """
        return self._calls.previewed(call_of_group("preview_group", group), display)

    def preview_folds(
        self, group: PhaseGroup, folds: Mapping[str, Any], **display: Unpack[DisplayOptions]
    ) -> PhaseGroupResults:
        """Run a group once for each fold, then put everything back. Adds nothing to the history.

        `folds` is what `for_each` of a group says in a spec. The result has a group for each fold.
        """
        return self._calls.previewed(call_of_folds(group, folds), display)

    def capture(self) -> Snapshot:
        """Weights, estimators, optimizer and generators of the graph, put aside.

        Raises:
            ValueError: there is no graph.
        """
        return self._calls.built().state.capture()

    def restore_graph(self, read: Callable[[State], Snapshot]) -> None:
        """Make what `read` gives, for the state that the graph has, its state; history and callbacks stay.

        Raises:
            ValueError: there is no graph.
        """
        self._calls.go_back(read(self._calls.built().state))

    def __repr__(self) -> str:
        return (
            f"Experiment(label={self.label!r}, plan={[e.label for e in self._execution_plan.all]}, "
            f"runs={len(self._calls.history)})"
        )


_ARGUMENTS = tuple(inspect.signature(Experiment.__init__).parameters)
