"""Imports once what every run of the tier needs."""

from __future__ import annotations

import pyarrow.parquet  # noqa: F401
import sklearn.ensemble  # noqa: F401
import skops.io  # noqa: F401
import torch._dynamo  # noqa: F401 -- the first optimizer imports it
