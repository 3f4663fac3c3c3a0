"""What the passes share: the spec, where its parts stand, and what was found wrong so far."""

from __future__ import annotations

import os
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.spec.diagnostics import Diagnostic, Label

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from specplan.code.probe import Prober
    from specplan.code.trust import Refusal
    from specplan.plan.mend import Mended
    from specplan.spec.diagnostics import Origin, Path
    from specplan.spec.document import Document


class CodeUse(msgspec.Struct, frozen=True, kw_only=True):
    """What may be done with code of the user.

    Attributes:
        imports: whether a child process may run models: never, to know what the plan needs, or to check all.
        trust: whether the user says that the code may run, whatever was trusted before.
    """

    imports: Literal["never", "needed", "always"] = "never"
    trust: bool = False


READ_ONLY = CodeUse()


def below(folder: FilePath, path: str) -> FilePath:
    """`path` from `folder`, without `..` in it where that can be: people read it in errors."""
    return FilePath(os.path.normpath(folder / path))


_MOST_LABELS = 4
"""Places that one fault shows."""


class Context:
    """The input of the passes and the diagnostics that they collect.

    A pass reports a fault once, where it is, and leaves what depends on it out of its result; later
    passes are silent about what is missing. `lost` and `damaged` tell what the document's own faults
    took out before the first pass.

    Attributes:
        live: objects of the program that compiles, by the name under which they are bound.
        fresh: whether the plan starts from untrained nodes; otherwise it goes on from a state in which
            `fitted` are fitted and anything may be trained.
        needs_data: whether a source that is not there is a fault; otherwise it is added to `unread`.
        code: what may be done with code of the user; prober: where it runs, once some did.
        not_divided: FeatureSets whose splitter is code of the user that did not say which splits there are.
        refused: why code may not run, of which several components may be part.
    """

    def __init__(
        self,
        *,
        document: Document,
        mended: Mended,
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        fitted: Collection[str] | None = None,
        live: Mapping[str, Any] | None = None,
        needs_data: bool = True,
        code: CodeUse = READ_ONLY,
    ) -> None:
        self.spec = mended.spec
        self.folder = document.folder
        self.tables = tables
        self.live = live or {}
        self.fresh = fitted is None
        self.fitted = frozenset(fitted or ())
        self.needs_data = needs_data
        self.unread: list[str] = []
        self.code = code
        self.prober: Prober | None = None
        self.refused: set[Refusal] = set()
        self.not_divided: set[str] = set()
        self.diagnostics: list[Diagnostic] = []
        self._document = document
        self._mended = mended
        self._around_removed = _around(mended.removed)
        self._around_faults: set[Path] = set()
        self._told: dict[tuple[str, str], int] = {}

    @property
    def right(self) -> bool:
        """Whether no fault was found, in the document or by a pass."""
        return not self._mended.removed and not self._around_faults

    @property
    def pythonpath(self) -> tuple[FilePath, ...]:
        """Where modules of the user are looked for."""
        return tuple(below(self.folder, folder) for folder in self.spec.code.pythonpath)

    @property
    def values(self) -> Any:
        """The spec as plain values."""
        return self._document.value

    @property
    def unused_parameters(self) -> tuple[Path, ...]:
        """Parameters of the spec that nothing refers to."""
        return self._document.unused_parameters

    def origin(self, path: Path, *, key: bool = False) -> Origin:
        """Where the value at `path` of the spec is written, or the key that it stands under."""
        return self._document.origin(self._mended.original(path), key=key)

    def written(self, path: Path) -> Any:
        """What the text says at a path; None where it says nothing."""
        return self._document.value_at(self._mended.original(path))

    def latest(self, paths: Sequence[Path]) -> Path | None:
        """The value that was laid over the others last; None where several were."""
        return self._document.latest([self._mended.original(path) for path in paths])

    def lost(self, path: Path) -> bool:
        """Whether a fault took out the value at `path`, or one around it."""
        place = self._mended.original(path)
        return any(place[:length] in self._mended.removed for length in range(len(place) + 1))

    def damaged(self, path: Path) -> bool:
        """Whether a fault took out the value at `path`, or one around or inside it."""
        return self._mended.original(path) in self._around_removed or self.lost(path)

    def undivided(self, label: str) -> bool:
        """Whether the names of the splits of a FeatureSet are not known, which has been reported."""
        return label in self.not_divided or self.damaged(("data", label, "splits"))

    def lost_items(self, path: Path) -> bool:
        """Whether a fault took items out of the list at `path`."""
        place = self._mended.original(path)
        return any(
            len(other) == len(place) + 1 and other[: len(place)] == place
            for other in self._mended.removed
        )

    def reported(self, path: Path) -> bool:
        """Whether a fault was found at `path` or inside it."""
        return self.damaged(path) or self._mended.original(path) in self._around_faults

    def error(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        hint: str | None = None,
        also: Sequence[tuple[Path, str]] = (),
        labels: Sequence[Label] = (),
        key: bool = False,
        within: tuple[int, int] | None = None,
    ) -> None:
        """Report a fault at `path`, with `key` at the key there, `within` at characters of the string there.

        `also` are other places of the spec that explain it, `labels` such places anywhere.
        """
        fault = self._diagnostic(code, message, path, hint, also, key=key)
        if within is not None:
            origin = self._document.origin_within(self._mended.original(path), *within)
            fault = msgspec.structs.replace(fault, origin=origin)
        fault = msgspec.structs.replace(fault, labels=(*fault.labels, *labels))
        self.diagnostics.append(fault)
        self._around_faults |= _around([fault.origin.path])

    def error_once(self, code: str, message: str, path: Path, *, hint: str | None = None) -> None:
        """Report a fault of which there may be many, in the same words: the first, with the places of the others."""
        first = self._told.setdefault((code, message), len(self.diagnostics))
        if first == len(self.diagnostics):
            self.error(code, message, path, hint=hint)
            return
        known = self.diagnostics[first]
        here = self.origin(path)
        told = {known.origin, *(label.origin for label in known.labels)}
        if here not in told and len(known.labels) < _MOST_LABELS:
            labels = (*known.labels, Label(origin=here, text="and here"))
            self.diagnostics[first] = msgspec.structs.replace(known, labels=labels)
        self._around_faults |= _around([here.path])

    def warning(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        hint: str | None = None,
        also: Sequence[tuple[Path, str]] = (),
        key: bool = False,
    ) -> None:
        """Report something odd that is not wrong, as `error` reports a fault."""
        odd = self._diagnostic(code, message, path, hint, also, key=key)
        self.diagnostics.append(msgspec.structs.replace(odd, severity="warning"))

    def forget_again(self, known: int) -> None:
        """Drop what was found after the first `known` diagnostics and is among these, in other words.

        A fault of a phase that is run several times is one fault.
        """
        found = self.diagnostics[known:]
        if found:
            before = {(item.code, item.origin) for item in self.diagnostics[:known]}
            self.diagnostics[known:] = [
                item for item in found if (item.code, item.origin) not in before
            ]

    def _diagnostic(
        self,
        code: str,
        message: str,
        path: Path,
        hint: str | None,
        also: Sequence[tuple[Path, str]],
        *,
        key: bool,
    ) -> Diagnostic:
        labels = [
            Label(origin=self.origin(place, key=_has_name(place)), text=text)
            for place, text in also
        ]
        replaced = self._document.replaced(self._mended.original(path))
        labels += [] if replaced is None else [replaced]
        origin = self.origin(path, key=key)
        return Diagnostic(
            code=code, message=message, origin=origin, hint=hint, labels=tuple(labels)
        )


def _has_name(path: Path) -> bool:
    """Whether `path` leads to a FeatureSet, a node, a loss or a metric, which its key says best."""
    return len(path) == (3 if path[0] == "graph" else 2) and path[0] != "plan"


def _around(paths: Iterable[Path]) -> set[Path]:
    """`paths` and every path that leads to one of them."""
    return {path[:length] for path in paths for length in range(len(path) + 1)}
