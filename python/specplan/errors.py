"""The exception tree.

    SpecplanError
    ├── SpecError          a spec is wrong; carries every diagnostic
    ├── CodeError          code that a spec names is missing, not trusted, changed, or not what it should be
    ├── PlanError          a plan file is damaged, was changed by hand, or is newer than this program
    ├── DataError          data are missing, damaged, changed, or hold what the plan cannot take
    ├── RunError           a run cannot be found, started or finished
    │   ├── DirtyGitError  a run may not start, as the repository has uncommitted changes
    │   ├── GracefulTimeout  code of the user's has no time left for its next step, and goes on another time
    │   ├── PrunedError    a run of a sweep was ended, as others did better
    │   └── RemoteError    a server of runs does not answer, or refuses
    ├── StoreError         records are damaged, or could not be written
    └── ArchiveError       an archive is damaged, unsafe, of another kind, or does not fit what it is loaded with

`RunStopped` is a `KeyboardInterrupt`: Ctrl-C ended a run that can be resumed.

Wrong arguments of a Python call are `TypeError` or `ValueError`, as everywhere in Python. What only the compiler
finds is a `SpecError`, which is a `ValueError` too; a `RunError` is a `RuntimeError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specplan.spec.diagnostics import Diagnostic


class SpecplanError(Exception):
    """Base of every error that specplan raises on purpose."""


class SpecError(SpecplanError, ValueError):
    """A spec is wrong.

    Attributes:
        diagnostics: everything that was found, in the order of the text.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class CodeError(SpecplanError):
    """Code that a spec names is missing, is not trusted, changed, or is not what it should be.

    Attributes:
        code: of the diagnostic that says so where the place in the spec is known.
        message: what is wrong, without the hint.
        hint: what to do.
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        self.code = code
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\nhint: {hint}" if hint else message)


class PlanError(SpecplanError):
    """A plan file is damaged, was changed by hand, or is newer than this program."""


class DataError(SpecplanError):
    """Data are missing, damaged, not those that were compiled, or hold what the plan cannot take.

    Attributes:
        message: what is wrong, without code, place and hint.
        code: of the fault, where it has one.
        pointer: JSON pointer to the part of the plan that reads the data.
        column: the column that holds it.
        diagnostic: the fault with its place in the spec, where that is known.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        pointer: str | None = None,
        column: str | None = None,
        hint: str | None = None,
        diagnostic: Diagnostic | None = None,
    ) -> None:
        self.message = message
        self.code = code
        self.pointer = pointer
        self.column = column
        self.hint = hint
        self.diagnostic = diagnostic
        said = f"{code}: {message}" if code else message
        said = f"{said}\nhint: {hint}" if hint else said
        super().__init__(said if diagnostic is None else str(diagnostic))


class RunError(SpecplanError, RuntimeError):
    """A run cannot be found, started or finished."""


class DirtyGitError(RunError):
    """A run may not start: the repository has uncommitted changes, and `dirty_git` is `error`."""


class GracefulTimeout(RunError):  # noqa: N818 -- documented by this name
    """Raised by code of the user's that has no time left for its next step: the run is interrupted.

    A job that ends so is begun again, as after a timeout.
    """


class PrunedError(RunError):
    """A run was ended between two epochs: others of its sweep did better. Its status is `stopped`."""


class RemoteError(RunError):
    """A server of runs does not answer, or refuses.

    Attributes:
        status: of its answer; None where there was none, and a later attempt may succeed.
        detail: what else it answered.
    """

    def __init__(
        self, message: str, *, status: int | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        self.status = status
        self.detail = dict(detail or {})
        super().__init__(message)


class RunStopped(KeyboardInterrupt):
    """Ctrl-C ended a run between two steps, and `specplan.resume` goes on with it."""


CAN_BE_RESUMED = 75
"""Exit code of a process whose run a signal ended and `mlx resume` goes on with."""


class StoreError(SpecplanError):
    """Records are damaged, or could not be written."""


class ArchiveError(SpecplanError):
    """An archive is damaged, unsafe, of another kind or newer; or it does not fit what it is loaded with."""
