"""The name under which the experiment guide imports PhaseGroup."""

from specplan.experiment.phase_group import PhaseGroup

__all__ = ["PhaseGroup"]
