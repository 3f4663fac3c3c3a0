"""Phases and groups under one label, in the order in which they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from specplan.data.context import checked_label
from specplan.objects.drawing import draw_phases
from specplan.objects.eval_phase import EvalPhase
from specplan.objects.fit_phase import FitPhase
from specplan.objects.lookup import entry_at
from specplan.objects.phase import Phase
from specplan.objects.train_phase import TrainPhase
from specplan.results.html import html_table
from specplan.spec.arguments import checked_list
from specplan.spec.wording import with_article

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from specplan.base.drawing import Drawing

Key = int | str
OfKind = TypeVar("OfKind", bound=Phase)


class PhaseGroup:
    """A named, ordered collection of phases and of other groups.

    Entries are found by label or by position, negative from the end. Labels differ within a group,
    and from the group's own.

    Raises:
        ValueError: two labels are equal.
    """

    def __init__(self, label: str, phases: Iterable[Phase | PhaseGroup] | None = None) -> None:
        self.label = checked_label(label)
        self._entries: list[Phase | PhaseGroup] = []
        for entry in checked_list(f"group `{label}`: phases", phases or ()):
            self.add_group(entry) if isinstance(entry, PhaseGroup) else self.add_phase(entry)

    def visualize(self) -> Drawing:
        """The phases in the order in which they run, as a picture."""
        return draw_phases(list(with_groups(self))).shown()

    def to_mermaid(self) -> str:
        """The group as a Mermaid flowchart."""
        return draw_phases(list(with_groups(self))).to_mermaid()

    def to_svg(self) -> str:
        """The group as an SVG element."""
        return draw_phases(list(with_groups(self))).to_svg()

    def add_phase(self, phase: Phase) -> PhaseGroup:
        """Register a phase; returns the group.

        Raises:
            TypeError: it is no phase.
            ValueError: its label is taken.
        """
        if not isinstance(phase, Phase):
            raise TypeError(f"add_phase takes a phase, not {with_article(type(phase).__name__)}")
        return self._add(phase)

    def add_group(self, group: PhaseGroup) -> PhaseGroup:
        """Register a nested group; returns the group it was added to.

        Raises:
            TypeError: it is no PhaseGroup.
            ValueError: its label is taken, or it holds this group.
        """
        if not isinstance(group, PhaseGroup):
            raise TypeError(
                f"add_group takes a PhaseGroup, not {with_article(type(group).__name__)}"
            )
        return self._add(group)

    # Forwards everything, because the documented arguments are those of the phase itself.
    def add_train_phase(self, *args: Any, **kwargs: Any) -> PhaseGroup:
        """Make a TrainPhase with these arguments and register it; returns the group."""
        return self.add_phase(TrainPhase(*args, **kwargs))

    add_train = add_train_phase
    add_training = add_train_phase

    def add_eval_phase(self, *args: Any, **kwargs: Any) -> PhaseGroup:
        """Make an EvalPhase with these arguments and register it; returns the group."""
        return self.add_phase(EvalPhase(*args, **kwargs))

    add_eval = add_eval_phase
    add_evaluation = add_eval_phase

    def add_fit_phase(self, *args: Any, **kwargs: Any) -> PhaseGroup:
        """Make a FitPhase with these arguments and register it; returns the group."""
        return self.add_phase(FitPhase(*args, **kwargs))

    add_fit = add_fit_phase

    def remove_phase(self, key: Key | Phase) -> None:
        """Remove a phase by position, label or instance.

        Raises:
            KeyError, IndexError: there is none.
            TypeError: the entry is a group.
        """
        entry = self._instance(key) if isinstance(key, Phase) else self.get_phase(key)
        self._remove(entry)

    def remove_group(self, key: Key | PhaseGroup) -> None:
        """Remove a group by position, label or instance.

        Raises:
            KeyError, IndexError: there is none.
            ValueError: the entry is a phase.
        """
        entry = self._instance(key) if isinstance(key, PhaseGroup) else self.get_group(key)
        self._remove(entry)

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()

    def flatten(self) -> list[Phase]:
        """All phases, those of nested groups in place, in the order in which they run."""
        phases: list[Phase] = []
        for entry in self._entries:
            phases += entry.flatten() if isinstance(entry, PhaseGroup) else [entry]
        return phases

    @property
    def all(self) -> list[Phase | PhaseGroup]:
        """The entries in order."""
        return list(self._entries)

    def items(self) -> Iterator[tuple[str, Phase | PhaseGroup]]:
        """Pairs of label and entry, in order."""
        return iter([(entry.label, entry) for entry in self._entries])

    def get_phase(self, key: Key) -> Phase:
        """The phase at a position or of a label.

        Raises:
            KeyError, IndexError: there is none.
            TypeError: the entry is a group.
        """
        entry = self[key]
        if not isinstance(entry, Phase):
            raise TypeError(
                f"{key!r} of `{self.label}` is {with_article(type(entry).__name__)}, not a phase"
            )
        return entry

    def get_train_phase(self, key: Key) -> TrainPhase:
        """The TrainPhase at a position or of a label; raises TypeError if it is of another kind."""
        return self._of_kind(key, TrainPhase)

    def get_eval_phase(self, key: Key) -> EvalPhase:
        """The EvalPhase at a position or of a label; raises TypeError if it is of another kind."""
        return self._of_kind(key, EvalPhase)

    def get_fit_phase(self, key: Key) -> FitPhase:
        """The FitPhase at a position or of a label; raises TypeError if it is of another kind."""
        return self._of_kind(key, FitPhase)

    def get_group(self, key: Key) -> PhaseGroup:
        """The group at a position or of a label; raises ValueError if it is a phase."""
        entry = self[key]
        if not isinstance(entry, PhaseGroup):
            raise ValueError(
                f"{key!r} of `{self.label}` is {with_article(type(entry).__name__)}, not a PhaseGroup"
            )
        return entry

    def spec(self) -> dict[str, Any]:
        """The group as an entry of `plan` in a spec."""
        return {"group": self.label, "do": entries_spec(self)}

    def __getitem__(self, key: Key) -> Phase | PhaseGroup:
        return entry_at(self.label, dict(self.items()), key)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Phase | PhaseGroup]:
        return iter(self.all)

    def __repr__(self) -> str:
        return (
            f"PhaseGroup(label={self.label!r}, entries={[entry.label for entry in self._entries]})"
        )

    def _repr_html_(self) -> str:
        rows = [
            [path, phase.kind, phase.describe()]
            for path, phase in entries_by_path(self).items()
            if isinstance(phase, Phase)
        ]
        return html_table(self.label, ("phase", "kind", "what"), rows)

    def _of_kind(self, key: Key, kind: type[OfKind]) -> OfKind:
        entry = self[key]
        if not isinstance(entry, kind):
            raise TypeError(
                f"{key!r} of `{self.label}` is {with_article(type(entry).__name__)}, "
                f"not {with_article(kind.__name__)}"
            )
        return entry

    def _add(self, entry: Phase | PhaseGroup) -> PhaseGroup:
        taken = [self.label, *(other.label for other in self._entries)]
        if entry.label in taken:
            whose = "the group itself" if entry.label == self.label else "another entry"
            raise ValueError(f"`{entry.label}` is the label of {whose} in group `{self.label}`")
        if isinstance(entry, PhaseGroup) and _holds(entry, self):
            raise ValueError(f"group `{entry.label}` holds group `{self.label}` already")
        self._entries.append(entry)
        return self

    def _instance(self, entry: Phase | PhaseGroup) -> Phase | PhaseGroup:
        if any(entry is other for other in self._entries):
            return entry
        kind = type(entry).__name__
        raise KeyError(f"this {kind} `{entry.label}` is not in group `{self.label}`")

    def _remove(self, entry: Phase | PhaseGroup) -> None:
        self._entries = [other for other in self._entries if other is not entry]


def entries_spec(group: PhaseGroup) -> list[dict[str, Any]]:
    """The entries of a group as `do` or `plan` in a spec, without groups that hold no phase."""
    return [entry.spec() for entry in group.all if isinstance(entry, Phase) or entry.flatten()]


def entries_by_path(group: PhaseGroup, prefix: str = "") -> dict[str, Phase | PhaseGroup]:
    """What is in a group, at any depth, by the path that it has in a plan; `prefix` is the group's own."""
    found: dict[str, Phase | PhaseGroup] = {}
    for entry in group.all:
        found[prefix + entry.label] = entry
        if isinstance(entry, PhaseGroup):
            found |= entries_by_path(entry, f"{prefix}{entry.label}.")
    return found


def _holds(outer: PhaseGroup, group: PhaseGroup) -> bool:
    return any(
        entry is group or (isinstance(entry, PhaseGroup) and _holds(entry, group))
        for entry in outer.all
    )


def with_groups(group: PhaseGroup, path: str = "") -> Iterator[tuple[Phase, str | None]]:
    """The phases in order, each with the path of the nested group that it is in."""
    for entry in group.all:
        if isinstance(entry, PhaseGroup):
            yield from with_groups(entry, f"{path}{entry.label}.")
        else:
            yield entry, path.removesuffix(".") or None
