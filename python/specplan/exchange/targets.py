"""Places that runs are sent to, as a command names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from specplan.spec.wording import did_you_mean

if TYPE_CHECKING:
    from specplan.exchange.outcome import Outcome
    from specplan.results.open import Run

KINDS = ("mlflow", "tensorboard", "http", "https")


class Target(msgspec.Struct, frozen=True):
    """A place: `mlflow:URI`, `tensorboard:FOLDER`, or the URL of a server of ours."""

    kind: str
    place: str

    @classmethod
    def of(cls, text: str) -> Target:
        """The place that a text names.

        Raises:
            ValueError: it names none.
        """
        kind, _, place = text.partition(":")
        if kind not in KINDS:
            *others, last = (f"`{each}:`" for each in KINDS)
            known = f"{', '.join(others)} or {last}"
            hint = did_you_mean(kind, KINDS)
            more = f"; {hint}" if hint else ""
            raise ValueError(f"no place `{text}`; a place begins with {known}{more}")
        if not place:
            example = "mlflow:sqlite:///mlflow.db" if kind == "mlflow" else "tensorboard:events"
            raise ValueError(f"`{text}` does not say where, as `{example}` does")
        return cls(kind, place)

    def send(self, run: Run, *, dry_run: bool = False) -> Outcome:
        """Send what the place does not have of a run.

        Raises:
            RunError: the place cannot be reached, or the package that it needs is not installed.
        """
        if self.kind == "mlflow":
            from specplan.exchange.to_mlflow import send_to_mlflow

            return send_to_mlflow(run, self.place, dry_run=dry_run)
        if self.kind != "tensorboard":
            from specplan.exchange.to_server import send_to_server

            return send_to_server(run, f"{self.kind}:{self.place}", dry_run=dry_run)
        from specplan.exchange.to_tensorboard import send_to_tensorboard

        return send_to_tensorboard(run, Path(self.place), dry_run=dry_run)
