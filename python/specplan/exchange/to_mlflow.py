"""A run as MLflow keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.exchange.outcome import Outcome
from specplan.store.run_files import locked
from specplan.track.entries import File, Metric, Param
from specplan.track.mlflow_client import impatient
from specplan.track.mlflow_sending import MlflowSending

if TYPE_CHECKING:
    from specplan.results.open import Run


def send_to_mlflow(run: Run, uri: str, *, dry_run: bool = False) -> Outcome:
    """Send what MLflow at `uri` does not have of a run. A second time there is nothing left.

    Raises:
        RunError: MLflow is not installed, does not answer, or refuses something.
    """
    refused: list[str] = []
    sending = MlflowSending(run.folder, uri, refused.append)
    with impatient():
        sending.reach()  # a server that is not there is told soon
    with locked(run.folder.path):
        if not dry_run:
            sending.send()
            sending.send_status()
        counts = sending.look() if dry_run else sending.sent
    return Outcome(
        run=f"{run.experiment}/{run.id}",
        to=sending.place,
        params=counts[Param],
        metrics=counts[Metric],
        artifacts=counts[File],
        refused=tuple(refused),
    )
