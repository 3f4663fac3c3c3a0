"""What the scalers of a run learned, and values as they are without them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.data.scaling import joined, made
from specplan.models.own import own_scaling
from specplan.plan.own_code import admitted
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from specplan.data.scaling import Scaling
    from specplan.plan.model import Component, Plan, Scale
    from specplan.store.layout import RunFolder


class Learned:
    """The scalers of a run, with what they learned."""

    def __init__(self, folder: RunFolder, plan: Plan) -> None:
        self._plan = plan
        self._folder = folder.path
        self._entries: dict[str, dict[str, list[dict[str, Any]]]] = {}
        if folder.scalers_file.is_file():
            self._entries = msgspec.json.decode(folder.scalers_file.read_bytes())

    def unscaled(
        self,
        values: NDArray[Any],
        feature_set: str,
        columns: Sequence[str],
        *,
        fold: str | None = None,
    ) -> NDArray[Any]:
        """Values of columns of a FeatureSet as they are without its scalers, in the shape in which they came.

        Args:
            values: one row for each sample; its elements are those of the columns, joined.
            feature_set: label of the FeatureSet.
            columns: the columns as a plan reads them; those that are not `NAME.transformed` are as
                they are stored.
            fold: path of the fold in which they were scaled; None outside of all.

        Raises:
            ValueError: some of the columns are scaled and others not, or were scaled together with
                others; or a scaler cannot be taken back.
            CodeError: a scaler is code of the user's that is missing, changed since or is not trusted.
        """
        scaled = self._plan.data[feature_set].scaled
        names = [scaled[name] for name in columns if name in scaled]
        if not names:
            return values
        if len(names) < len(columns):
            raise ValueError(f"of {quoted(columns)} only {quoted(names)} are scaled")
        by_fold = self._entries[feature_set]
        rows = joined([values.reshape(len(values), -1)])
        entries = by_fold.get(fold or "", by_fold[""])
        for scale, entry in reversed(
            list(zip(self._plan.data[feature_set].scale, entries, strict=True))
        ):
            if set(scale.columns) & set(names):
                rows = self._before(feature_set, scale, entry["state"], names, rows)
        return rows.reshape(values.shape)

    def _scaler(self, component: Component) -> Scaling:
        if component.code is None:
            return made(component.use, component.args)
        own = admitted("scaler", component, component.code, self._folder)
        return own_scaling(own.source, own.signature, component.args)

    def _before(
        self,
        feature_set: str,
        scale: Scale,
        state: dict[str, Any],
        names: Sequence[str],
        rows: NDArray[Any],
    ) -> NDArray[Any]:
        if list(scale.columns) != list(names):
            raise ValueError(
                f"{quoted(scale.columns)} are scaled together, so values of {quoted(names)} alone "
                "cannot be taken back"
            )
        known = self._plan.data[feature_set].columns
        elements = sum(prod(known[name].shape) for name in names)
        if rows.shape[1] != elements:
            raise ValueError(
                f"{quoted(names)} have {elements} elements in a row, the values {rows.shape[1]}"
            )
        scaler = self._scaler(scale.component)
        if state:
            scaler.state = state
        return np.asarray(scaler.inverse_transform(rows))
