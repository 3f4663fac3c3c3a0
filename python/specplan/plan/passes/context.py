"""What the passes share: the spec, where its parts stand, and what was found wrong so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.spec.diagnostics import Diagnostic, Label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path as FilePath

    from numpy.typing import NDArray

    from specplan.spec.diagnostics import Origin, Path
    from specplan.spec.model import Spec


class Context:
    """The input of the passes and the diagnostics that they collect.

    A pass reports a fault once, where it is, and leaves what depends on it out of its result; later
    passes are silent about what is missing.
    """

    def __init__(
        self,
        *,
        spec: Spec,
        origin: Callable[[Path], Origin],
        folder: FilePath,
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
    ) -> None:
        self.spec = spec
        self.origin = origin
        self.folder = folder
        self.tables = tables
        self.diagnostics: list[Diagnostic] = []

    def error(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        hint: str | None = None,
        also: Sequence[tuple[Path, str]] = (),
    ) -> None:
        """Report a fault at `path`; `also` are other places that explain it."""
        labels = tuple(Label(origin=self.origin(place), text=text) for place, text in also)
        self.diagnostics.append(
            Diagnostic(
                code=code, message=message, origin=self.origin(path), hint=hint, labels=labels
            )
        )

    def warning(self, code: str, message: str, path: Path, *, hint: str | None = None) -> None:
        """Report something odd that is not wrong."""
        self.diagnostics.append(
            Diagnostic(
                code=code,
                message=message,
                origin=self.origin(path),
                severity="warning",
                hint=hint,
            )
        )
