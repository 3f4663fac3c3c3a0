"""Where notebooks import `Callback` from."""

from __future__ import annotations

from specplan.run.callback import Callback

__all__ = ["Callback"]
