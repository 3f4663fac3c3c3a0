"""Conditions on columns of a FeatureSet that can be written down."""

from specplan.data.predicate import EQ, GT, GTE, LT, LTE, NE, In, Lambda, NotIn, Predicate

__all__ = ["EQ", "GT", "GTE", "LT", "LTE", "NE", "In", "Lambda", "NotIn", "Predicate"]
