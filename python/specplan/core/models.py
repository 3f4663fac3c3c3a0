"""Where notebooks import wrappers of models from."""

from __future__ import annotations

from specplan.models import ScikitModelWrapper, TorchModelWrapper, wrap_model

__all__ = ["ScikitModelWrapper", "TorchModelWrapper", "wrap_model"]
