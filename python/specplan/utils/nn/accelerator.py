"""Where notebooks import `Accelerator` from."""

from __future__ import annotations

from specplan.objects.accelerator import Accelerator

__all__ = ["Accelerator"]
