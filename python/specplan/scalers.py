"""Scalers of columns of a FeatureSet."""

from specplan.data.own_scalers import Absolute, Negate, PerSampleMinMaxScaler, PerSampleZeroStart
from specplan.data.scalers import Scaler, SegmentedScaler, supported_scalers

__all__ = [
    "Absolute",
    "Negate",
    "PerSampleMinMaxScaler",
    "PerSampleZeroStart",
    "Scaler",
    "SegmentedScaler",
    "supported_scalers",
]
