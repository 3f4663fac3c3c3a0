"""What a program says of its run: `exp.log("Training started")`, `exp.logs.warn(...)`."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from specplan.spec.wording import choices
from specplan.store.fields import LOG
from specplan.store.run_files import timestamp
from specplan.track.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from specplan.track.run import TrackedRun

LEVELS = ("info", "warn", "error", "debug", "fatal")
_LOUD = ("error", "fatal")


class Logs:
    """The log of a run: each message is printed, and kept with its time and level."""

    def __init__(self, run: Callable[[], TrackedRun]) -> None:
        self._run = run
        self._lock = threading.Lock()

    def log(
        self,
        message: str,
        level: str = "info",
        metadata: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """Keep a message.

        Args:
            message: what happened.
            level: info, warn (or warning), error, debug or fatal. The last two errors go to stderr.
            metadata: values beside it; so are `fields`.

        Raises:
            RuntimeError: the run has not begun, or is over.
            ValueError: there is no such level.
        """
        level = "warn" if level == "warning" else level
        if level not in LEVELS:
            raise ValueError(f"no level `{level}`; known: {choices(level, LEVELS)}")
        run = self._run()
        beside = plain({**(metadata or {}), **fields}, "metadata")
        entry = {
            "timestamp": timestamp("microseconds"),
            "level": level,
            "message": message,
            "metadata": beside or None,
        }
        with self._lock:
            run.record_document(LOG, {"sequenceNumber": run.count(LOG), **entry})
        said = " ".join(f"{name}={value}" for name, value in beside.items())
        line = f"[{level.upper()}] {message}" + (f" [{said}]" if said else "")
        print(line, file=sys.stderr if level in _LOUD else sys.stdout)

    def info(self, message: str, **fields: Any) -> None:
        """Keep a message of the level info."""
        self.log(message, "info", **fields)

    def warn(self, message: str, **fields: Any) -> None:
        """Keep a message of the level warn."""
        self.log(message, "warn", **fields)

    warning = warn

    def error(self, message: str, **fields: Any) -> None:
        """Keep a message of the level error."""
        self.log(message, "error", **fields)

    def debug(self, message: str, **fields: Any) -> None:
        """Keep a message of the level debug."""
        self.log(message, "debug", **fields)

    def fatal(self, message: str, **fields: Any) -> None:
        """Keep a message of the level fatal."""
        self.log(message, "fatal", **fields)

    def read(self) -> list[dict[str, Any]]:
        """All messages of the run, oldest first."""
        return self._run().documents(LOG)
