"""The name under which the experiment guide imports ResultsConfig."""

from specplan.experiment.results_config import ResultsConfig

__all__ = ["ResultsConfig"]
