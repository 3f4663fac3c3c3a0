"""What the passes share: the spec, where its parts stand, and what was found wrong so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.spec.diagnostics import Diagnostic, Label

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from specplan.plan.mend import Mended
    from specplan.spec.diagnostics import Origin, Path
    from specplan.spec.document import Document


class Context:
    """The input of the passes and the diagnostics that they collect.

    A pass reports a fault once, where it is, and leaves what depends on it out of its result; later
    passes are silent about what is missing. `lost` and `damaged` tell what the document's own faults
    took out before the first pass.
    """

    def __init__(
        self,
        *,
        document: Document,
        mended: Mended,
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        fitted: Collection[str] = (),
    ) -> None:
        self.spec = mended.spec
        self.folder = document.folder
        self.tables = tables
        self.lost = mended.lost
        self.damaged = mended.damaged
        self.fitted = frozenset(fitted)
        self.diagnostics: list[Diagnostic] = []
        self._document = document
        self._mended = mended

    def origin(self, path: Path) -> Origin:
        """Where the value at `path` of the spec is written."""
        return self._document.origin(self._mended.original(path))

    def reported(self, path: Path) -> bool:
        """Whether a fault was found at `path` or inside it."""
        place = self._mended.original(path)
        found = (diagnostic.origin.path for diagnostic in self.diagnostics)
        return self.damaged(path) or any(inner[: len(place)] == place for inner in found)

    def error(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        hint: str | None = None,
        also: Sequence[tuple[Path, str]] = (),
        within: tuple[int, int] | None = None,
    ) -> None:
        """Report a fault at `path`; `also` are other places that explain it.

        `within` are the characters of the string at `path` that are wrong.
        """
        labels = tuple(Label(origin=self.origin(place), text=text) for place, text in also)
        origin = self.origin(path)
        if within is not None:
            origin = self._document.origin_within(self._mended.original(path), *within)
        self.diagnostics.append(
            Diagnostic(code=code, message=message, origin=origin, hint=hint, labels=labels)
        )

    def forget_again(self, known: int) -> None:
        """Drop what was found after the first `known` diagnostics and is among these, in other words.

        A fault of a phase that is run several times is one fault.
        """
        before = {(item.code, item.origin) for item in self.diagnostics[:known]}
        found = self.diagnostics[known:]
        self.diagnostics[known:] = [
            item for item in found if (item.code, item.origin) not in before
        ]

    def warning(self, code: str, message: str, path: Path) -> None:
        """Report something odd that is not wrong."""
        self.diagnostics.append(
            Diagnostic(code=code, message=message, origin=self.origin(path), severity="warning")
        )
