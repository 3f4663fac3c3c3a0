"""Where notebooks import `ExperimentContext` from."""

from __future__ import annotations

from specplan.data.context import ExperimentContext

__all__ = ["ExperimentContext"]
