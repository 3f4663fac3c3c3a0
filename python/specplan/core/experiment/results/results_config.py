"""Where the experiment guide imports `ResultsConfig` from."""

from __future__ import annotations

from specplan.experiment.results_config import ResultsConfig

__all__ = ["ResultsConfig"]
