"""A run on a server of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.errors import RunError
from specplan.exchange.outcome import Outcome
from specplan.track.remote import lacking, upload

if TYPE_CHECKING:
    from specplan.results.open import Run


def send_to_server(run: Run, url: str, *, dry_run: bool = False) -> Outcome:
    """Send a server what it lacks of a run.

    Raises:
        RunError: the server does not answer or refuses.
    """
    try:
        sent = (lacking if dry_run else upload)(run.folder.path, url)
    except ValueError as error:
        raise RunError(str(error)) from error
    gone = tuple(f"the file of the artifact `{name}` is gone" for name in sent.gone)
    return Outcome(
        run=f"{run.experiment}/{run.id}",
        to=url,
        params=sent.params,
        metrics=sent.rows + sent.points,
        artifacts=sent.files,
        refused=gone,
    )
