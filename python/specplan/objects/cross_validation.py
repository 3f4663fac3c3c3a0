"""Cross-validation: phases run once for each fold, from the same state, which is there afterwards."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Unpack

from specplan.data.context import active_context, checked_label
from specplan.data.feature_set import FeatureSet
from specplan.objects.experiment import Experiment
from specplan.objects.group_results import PhaseGroupResults
from specplan.objects.phase import Phase
from specplan.objects.phase_group import PhaseGroup
from specplan.objects.phase_results import PhaseResults
from specplan.results.aligned import aligned
from specplan.results.axis_series import AxisSeries, Reducer
from specplan.results.html import html_table
from specplan.results.table import cell_text
from specplan.spec.arguments import checked_int, checked_list, checked_number
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from specplan.objects.node import GraphNode
    from specplan.objects.progress import DisplayOptions
    from specplan.results.scalar_series import LossSeries

Series = TypeVar("Series", bound="AxisSeries[Any]")
Columns = str | list[str] | tuple[str, ...]


class CVBinding:
    """Which rows of a FeatureSet are cut into folds, and what the parts are called inside them.

    Args:
        fs: the FeatureSet.
        source_splits: splits whose rows are put together and cut. Other splits, such as one for a
            final test, are in every fold what they are outside.
        group_by: columns: rows that agree in them are left out together. By default what
            `split_random` was given.
        stratify_by: columns: each fold gets its share of the rows with each value. By default what
            `split_random` was given.
        train_split_name: split that has the rows of the other parts inside a fold.
        val_split_name: split that has the part that is left out.
        val_size: share of the rows that a fold leaves out; of n folds 1/n, which is the default.

    Raises:
        TypeError: `fs` is no FeatureSet, or another argument is of another type.
        ValueError: a split is not there, or `group_by` and `stratify_by` are both given.
    """

    def __init__(
        self,
        fs: FeatureSet,
        source_splits: Sequence[str],
        group_by: Columns | None = None,
        stratify_by: Columns | None = None,
        train_split_name: str = "train",
        val_split_name: str = "val",
        val_size: float | None = None,
    ) -> None:
        if not isinstance(fs, FeatureSet):
            raise TypeError(f"fs is a FeatureSet, not {type(fs).__name__}")
        if group_by is not None and stratify_by is not None:
            raise ValueError("`group_by` and `stratify_by` cannot be had together")
        self.fs = fs
        self.source_splits = checked_list("source_splits", source_splits)
        if not self.source_splits:
            raise ValueError("source_splits names at least one split")
        for split in self.source_splits:
            fs.check_split(split)
        self.group_by = group_by
        self.stratify_by = stratify_by
        self.train_split_name = checked_label(train_split_name)
        self.val_split_name = checked_label(val_split_name)
        self.val_size = None if val_size is None else checked_number("val_size", val_size)

    def spec(self) -> dict[str, Any]:
        """What `for_each` of a group in a spec says of the FeatureSet."""
        keys = {"group_by": self.group_by, "stratify_by": self.stratify_by}
        return {
            "of": list(self.source_splits),
            "train": self.train_split_name,
            "val": self.val_split_name,
            **{name: _listed(columns) for name, columns in keys.items() if columns is not None},
        }

    def __repr__(self) -> str:
        return f"CVBinding(fs={self.fs.label!r}, source_splits={self.source_splits})"


class CrossValidation:
    """Runs phases once for each fold, each time from the state that there is now.

    Inside a fold the train and val splits of the binding are those of the fold; scalers that are fitted
    on one of them are fitted to its rows anew. Afterwards weights, splits, history and execution plan
    are as they were before.

    Args:
        bindings: one for each FeatureSet that is cut. They are cut into as many folds, each by itself.
        n_folds: number of folds, at least 2.
        seed: of the shuffle before the rows are cut.
        label: of the group of folds.
        phase: a phase or group to run; by default the execution plan.
        experiment: the experiment; by default the one whose context is active.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there are less than two folds, no bindings or two of one FeatureSet, `val_size` is
            another share than the folds leave out, or there is no experiment.
    """

    def __init__(
        self,
        bindings: CVBinding | Sequence[CVBinding],
        n_folds: int = 5,
        seed: int = 13,
        label: str = "CV",
        phase: Phase | PhaseGroup | None = None,
        experiment: Experiment | None = None,
    ) -> None:
        given = (
            [bindings] if isinstance(bindings, CVBinding) else checked_list("bindings", bindings)
        )
        for binding in given:
            if not isinstance(binding, CVBinding):
                raise TypeError(f"a binding is a CVBinding, not {type(binding).__name__}")
        labels = [binding.fs.label for binding in given]
        if not given:
            raise ValueError("bindings names at least one FeatureSet")
        if len(set(labels)) < len(labels):
            raise ValueError(f"bindings has a FeatureSet twice: {quoted(labels)}")
        if phase is not None and not isinstance(phase, Phase | PhaseGroup):
            raise TypeError(f"phase is a phase or a PhaseGroup, not {type(phase).__name__}")
        self.bindings = given
        self.n_folds = checked_int("n_folds", n_folds, least=2)
        self.seed = checked_int("the seed of a cross-validation", seed, least=0)
        self.label = checked_label(label)
        self.phase = phase
        self.experiment = _experiment(experiment)
        for binding in given:
            _check_share(binding.val_size, self.n_folds)

    @property
    def phase_template(self) -> PhaseGroup:
        """What is run in each fold, as a group. The phases themselves are those of the program."""
        if isinstance(self.phase, Phase):
            return PhaseGroup(self.label, [self.phase])
        whole = self.experiment.execution_plan if self.phase is None else self.phase
        return PhaseGroup(self.label, whole.all)

    def run(self, **display: Unpack[DisplayOptions]) -> CVResults:
        """Run every fold. Warns where the weights that they begin with were trained before.

        Raises:
            SpecError: what was built does not fit together, or the rows cannot be cut into so many folds.
            RunError: an exception ended the run; it is the cause, and `except` catches it by its own class too.
        """
        if steps := self.experiment.capture().steps:
            warnings.warn(
                f"each fold of `{self.label}` begins with weights that {steps:,} steps have trained already; where "
                "these read rows that a fold leaves out, its results are too good: cross-validate before `run()`, "
                "or with a new ModelGraph",
                stacklevel=2,
            )
        found = self.experiment.preview_folds(self.phase_template, self._folds(), **display)
        return CVResults(found.label, dict(found.items()))

    def _folds(self) -> dict[str, Any]:
        """The folds as `for_each` of a group in a spec."""
        first, *others = self.bindings
        whole = {"use": "folds", "n": self.n_folds, "data": first.fs.label, **first.spec()}
        whole["seed"] = self.seed
        if others:
            whole["also"] = {binding.fs.label: binding.spec() for binding in others}
        return whole

    def __repr__(self) -> str:
        return (
            f"CrossValidation(label={self.label!r}, n_folds={self.n_folds}, seed={self.seed}, "
            f"bindings={self.bindings})"
        )


class FoldSeries(AxisSeries[Any]):
    """What a function made of each fold, by its label; `collapse("fold", "mean")` makes one of them."""

    reducers: ClassVar[Mapping[str, Reducer]] = {
        **AxisSeries.reducers,
        "mean": lambda values: sum(values) / len(values),
        "sum": sum,
    }

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *aligned((*self.axes, "value"), self._rows())])

    def _repr_html_(self) -> str:
        return html_table("", (*self.axes, "value"), self._rows())

    def _rows(self) -> list[list[str]]:
        return [[*map(str, key), cell_text(value)] for key, value in self._entries.items()]


class CVResults(PhaseGroupResults):
    """What the folds of a cross-validation left behind, each as the results of a group."""

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self)

    @property
    def fold_labels(self) -> list[str]:
        """Labels of the folds, in order: `fold_0` and so on."""
        return self.labels

    def get_fold(self, fold: int | str) -> PhaseGroupResults:
        """The results of the phases of one fold, by its label or counted from 0.

        Raises:
            KeyError: there is no fold of that label.
            IndexError: there is none of that number.
            TypeError: `fold` is neither.
        """
        return self.get_group_result(fold)

    def losses(self, phase: str | None = None, node: str | GraphNode | None = None) -> LossSeries:
        """The losses of a phase in every fold, by (fold, epoch, batch, label).

        Args:
            phase: label of the phase, with those of groups around it; by default the only train phase.
            node: the node on which they are computed; by default any.

        Raises:
            KeyError: there is no such phase.
            ValueError: without a label, there is not one train phase.
        """
        found: dict[str, LossSeries] = {}
        for label, group in self._folds():
            results = group.get_train_result() if phase is None else group[phase]
            if not isinstance(results, PhaseResults):
                raise KeyError(f"`{phase}` is a group; name a phase in it")
            found[label] = results.losses(node)
        return _by_fold(found)

    def collect(self, function: Callable[[PhaseGroupResults], Any]) -> AxisSeries[Any]:
        """What a function gives of the results of each fold, by the label of the fold.

        Series that it gives become one with the axis `fold` before theirs.
        """
        found = {label: function(group) for label, group in self._folds()}
        if all(isinstance(value, AxisSeries) for value in found.values()):
            return _by_fold(found)
        return FoldSeries(("fold",), {(label,): value for label, value in found.items()})

    def _folds(self) -> Iterator[tuple[str, PhaseGroupResults]]:
        return ((label, self.get_fold(label)) for label in self.labels)


def _by_fold(found: Mapping[str, Series]) -> Series:
    """Series of the folds as one, with the axis `fold` before theirs."""
    first = next(iter(found.values()))
    entries = {
        (fold, *(key if isinstance(key, tuple) else (key,))): value
        for fold, series in found.items()
        for key, value in series.items()
    }
    return type(first)(("fold", *first.axes), entries)


def _listed(columns: Columns) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns)


def _check_share(val_size: float | None, n_folds: int) -> None:
    share = 1 / n_folds
    if val_size is None or abs(val_size - share) < 1e-9:
        return
    more = "more" if val_size > share else "less"
    raise ValueError(
        f"val_size {val_size:g} is {more} than 1/{n_folds}, which each of {n_folds} folds leaves out"
    )


def _experiment(given: Experiment | None) -> Experiment:
    if given is not None and not isinstance(given, Experiment):
        raise TypeError(f"experiment is an Experiment, not {type(given).__name__}")
    found = active_context().experiment if given is None else given
    if not isinstance(found, Experiment):
        raise ValueError(
            "the active context has no Experiment; make one first, or give it as `experiment`"
        )
    return found
