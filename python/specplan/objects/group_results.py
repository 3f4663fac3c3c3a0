"""What a group of phases left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from specplan.objects.lookup import entry_at
from specplan.objects.phase_results import (
    EvalResults,
    FitResults,
    PhaseResults,
    TrainResults,
    results_of,
)
from specplan.results.aligned import aligned
from specplan.results.html import html_table
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.results.open import Run

Result = TypeVar("Result")


class PhaseGroupResults:
    """The results of the entries of a group, in the order in which they ran.

    An entry is found by position, by label, or through nested groups by labels joined by dots:
    `results["outer.train"]` is `results["outer"]["train"]`.
    """

    def __init__(self, label: str, entries: Mapping[str, PhaseResults | PhaseGroupResults]) -> None:
        self.label = label
        self._entries = dict(entries)

    @property
    def labels(self) -> list[str]:
        """Labels of the entries, in order."""
        return list(self._entries)

    def items(self) -> Iterator[tuple[str, PhaseResults | PhaseGroupResults]]:
        """Pairs of label and result, in order."""
        return iter(self._entries.items())

    def flatten(self) -> dict[str, PhaseResults]:
        """The results of all phases by label, those of nested groups in place.

        Raises:
            ValueError: phases of different groups have one label.
        """
        phases = list(_phases(self))
        labels = [phase.label for phase in phases]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(
                f"several phases of `{self.label}` are labelled {quoted(twice)}; "
                "go through the groups instead"
            )
        return dict(zip(labels, phases, strict=True))

    def get_phase_result(self, label: int | str | None = None) -> PhaseResults:
        """The result of a phase; without a label, of the only one.

        Raises:
            KeyError, IndexError: there is no such entry.
            TypeError: the entry is something else.
            ValueError: without a label, there is none or several.
        """
        return self._entry(PhaseResults, "a phase", label)

    def get_train_result(self, label: int | str | None = None) -> TrainResults:
        """As `get_phase_result`, of a train phase."""
        return self._entry(TrainResults, "a train phase", label)

    def get_eval_result(self, label: int | str | None = None) -> EvalResults:
        """As `get_phase_result`, of an eval phase."""
        return self._entry(EvalResults, "an eval phase", label)

    def get_fit_result(self, label: int | str | None = None) -> FitResults:
        """As `get_phase_result`, of a fit phase."""
        return self._entry(FitResults, "a fit phase", label)

    def get_group_result(self, label: int | str | None = None) -> PhaseGroupResults:
        """As `get_phase_result`, of a nested group."""
        return self._entry(PhaseGroupResults, "a group", label)

    def _entry(self, kind: type[Result], what: str, label: int | str | None) -> Result:
        if label is None:
            found = [entry for entry in self if isinstance(entry, kind)]
            if len(found) != 1:
                raise ValueError(
                    f"`{self.label}` has {len(found)} results of {what}; say which by label or index"
                )
            return found[0]
        entry = self[label]
        if not isinstance(entry, kind):
            raise TypeError(f"{label!r} of `{self.label}` is not the result of {what}: {entry!r}")
        return entry

    def __getitem__(self, key: int | str) -> PhaseResults | PhaseGroupResults:
        if isinstance(key, str) and key not in self._entries:
            group, _, rest = key.partition(".")
            if rest:
                inner = entry_at(self.label, self._entries, group)
                if isinstance(inner, PhaseGroupResults):
                    return inner[rest]
        return entry_at(self.label, self._entries, key)

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and self[key] is not None
        except KeyError:
            return False

    def __iter__(self) -> Iterator[PhaseResults | PhaseGroupResults]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        phases = list(_phases(self))
        count = "1 phase" if len(phases) == 1 else f"{len(phases)} phases"
        rows = [list(phase.summary().values()) for phase in phases]
        lines = aligned(list(phases[0].summary()), rows) if phases else []
        return "\n".join([f"{type(self).__name__} {self.label}: {count}", *lines])

    def _repr_html_(self) -> str:
        phases = list(_phases(self))
        rows = [list(phase.summary().values()) for phase in phases]
        return html_table(self.label, list(phases[0].summary()) if phases else [], rows)


def _phases(results: PhaseGroupResults) -> Iterator[PhaseResults]:
    for entry in results:
        if isinstance(entry, PhaseGroupResults):
            yield from _phases(entry)
        else:
            yield entry


def group_results_of(run: Run, label: str, prefix: str = "") -> PhaseGroupResults:
    """The results of all phases of a run, or of those whose paths begin with `prefix`, in their groups.

    Args:
        run: the run; it need not be over.
        label: what the whole is called.
        prefix: path of a group and a dot.
    """
    below = [
        phase.path.removeprefix(prefix)
        for phase in run.plan.phases
        if phase.path.startswith(prefix)
    ]
    entries: dict[str, PhaseResults | PhaseGroupResults] = {}
    for path in below:
        name, _, rest = path.partition(".")
        if name not in entries:
            inner = prefix + name
            entries[name] = (
                group_results_of(run, name, f"{inner}.") if rest else results_of(run, inner)
            )
    return PhaseGroupResults(label, entries)
