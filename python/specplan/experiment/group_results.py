"""What a group of phases left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from specplan.experiment.lookup import entry_at
from specplan.experiment.phase_results import PhaseResults
from specplan.spec.wording import quoted, with_article

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Result = TypeVar("Result")


class PhaseGroupResults:
    """The results of the entries of a group, by position or label, in the order in which they ran."""

    def __init__(self, label: str, entries: Sequence[PhaseResults | PhaseGroupResults]) -> None:
        self.label = label
        self._entries = {entry.label: entry for entry in entries}

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

    def get_train_result(self, key: int | str | None = None) -> PhaseResults:
        """The result of a train phase; without a key, of the only one.

        Raises:
            TypeError: the entry is something else.
            ValueError: without a key, there is none or several.
        """
        return self._phase("train", key)

    def get_eval_result(self, key: int | str | None = None) -> PhaseResults:
        """The result of an eval phase; without a key, of the only one.

        Raises:
            TypeError: the entry is something else.
            ValueError: without a key, there is none or several.
        """
        return self._phase("eval", key)

    def get_group_result(self, key: int | str | None = None) -> PhaseGroupResults:
        """The results of a nested group; without a key, of the only one.

        Raises:
            TypeError: the entry is a phase.
            ValueError: without a key, there is none or several.
        """
        groups = [e for e in self._entries.values() if isinstance(e, PhaseGroupResults)]
        entry = _only(self.label, "group", groups) if key is None else self[key]
        if not isinstance(entry, PhaseGroupResults):
            raise TypeError(f"{key!r} of `{self.label}` is the result of a phase, not of a group")
        return entry

    def _phase(self, kind: str, key: int | str | None) -> PhaseResults:
        if key is None:
            phases = [e for e in self._entries.values() if isinstance(e, PhaseResults)]
            return _only(
                self.label, f"{kind} phase", [phase for phase in phases if phase.kind == kind]
            )
        entry = self[key]
        if not isinstance(entry, PhaseResults) or entry.kind != kind:
            raise TypeError(
                f"{key!r} of `{self.label}` is not the result of {with_article(kind)} phase: {entry!r}"
            )
        return entry

    def __getitem__(self, key: int | str) -> PhaseResults | PhaseGroupResults:
        return entry_at(self.label, self._entries, key)

    def __iter__(self) -> Iterator[PhaseResults | PhaseGroupResults]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"PhaseGroupResults(label={self.label!r}, results={list(self._entries)})"


def _phases(results: PhaseGroupResults) -> Iterator[PhaseResults]:
    for entry in results:
        if isinstance(entry, PhaseGroupResults):
            yield from _phases(entry)
        else:
            yield entry


def _only(owner: str, what: str, found: Sequence[Result]) -> Result:
    if len(found) != 1:
        raise ValueError(
            f"`{owner}` has {len(found)} results of {with_article(what)}; say which by label or index"
        )
    return found[0]
