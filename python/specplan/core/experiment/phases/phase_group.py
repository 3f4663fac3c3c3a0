"""Where the experiment guide imports `PhaseGroup` from."""

from __future__ import annotations

from specplan.objects.phase_group import PhaseGroup

__all__ = ["PhaseGroup"]
