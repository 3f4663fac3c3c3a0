"""Where the experiment guide imports `ResultsConfig` from."""

from __future__ import annotations

from specplan.objects.results_config import ResultsConfig

__all__ = ["ResultsConfig"]
