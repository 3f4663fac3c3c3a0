"""Where notebooks import `MergeStrategy` from."""

from __future__ import annotations

from specplan.objects.concat_node import MergeStrategy

__all__ = ["MergeStrategy"]
