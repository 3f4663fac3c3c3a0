"""Pass: the scalers of a FeatureSet. What they make of a column is a column of its own, `NAME.transformed`."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import msgspec

from specplan.components.component import Component
from specplan.data.column_names import TRANSFORMED
from specplan.data.scaler_faults import LEARNING, fault, scaled_dtype
from specplan.plan.dtypes import NUMBERS
from specplan.plan.model import Column, Scale
from specplan.plan.passes.components import as_plan
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import ScaleSpec

    Columns = Mapping[str, Column | None]


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """The scalers, as far as they are right, and the columns that they make.

    Attributes:
        right: whether nothing is wrong with them.
    """

    scale: tuple[Scale, ...] = ()
    columns: dict[str, Column | None] = {}
    right: bool = True


class _Scalers:
    """The scalers of one FeatureSet, one after the other."""

    def __init__(
        self, context: Context, label: str, columns: Columns, splits: Collection[str]
    ) -> None:
        self.made: dict[str, Column | None] = {}
        self._context = context
        self._label = label
        self._columns = columns
        self._splits = splits
        self._seen: dict[tuple[str, str], Path] = {}

    def add(self, spec: ScaleSpec, scaler: Component, place: Path) -> Scale | None:
        names = [
            self._checked(name, (*place, "columns", index), spec.columns[:index])
            for index, name in enumerate(spec.columns)
        ]
        split_is_there = self._check_split(spec, scaler, place)
        if not all(names):
            self.made |= {
                f"{name}.{TRANSFORMED}": None for name in spec.columns if name in self._columns
            }
            return None
        before = [self._now(name) for name in spec.columns]
        known = [column for column in before if column is not None]
        whole = len(known) == len(before)
        found = fault(scaler, sum(prod(column.shape) for column in known) if whole else None)
        if found is not None:
            key, reason = found
            self._context.error(
                "SP518", f"scaler `{scaler.__struct_config__.tag}`: {reason}", (*place, key)
            )
        dtype = scaled_dtype([column.dtype for column in known])
        for name, column in zip(spec.columns, before, strict=True):
            self._check_again(name, scaler, place)
            made = None
            if column is not None and whole:
                made = Column(domain=column.domain, dtype=dtype, shape=column.shape)
            self.made[f"{name}.{TRANSFORMED}"] = made
        if found is not None or not split_is_there:
            return None
        return Scale(component=as_plan(scaler), columns=spec.columns, fit_on=spec.fit_on)

    def _now(self, name: str) -> Column | None:
        return self.made.get(f"{name}.{TRANSFORMED}", self._columns[name])

    def _checked(self, name: str, place: Path, before: Collection[str]) -> bool:
        if name not in self._columns:
            message = (
                f"FeatureSet `{self._label}` has no column `{name}`; it has {quoted(self._columns)}"
            )
            self._context.error("SP302", message, place, hint=did_you_mean(name, self._columns))
            return False
        if name in before:
            self._context.error("SP304", f"column `{name}` is listed twice", place)
            return False
        column = self._columns[name]
        if column is not None and (column.domain == "tags" or column.dtype not in NUMBERS):
            message = f"column `{name}` is {column.dtype}, in `{column.domain}`; scalers are for features and targets"
            self._context.error("SP507", message, place)
            return False
        if f"{name}.{TRANSFORMED}" in self._columns:
            message = f"the data have a column `{name}.{TRANSFORMED}`, which is what a scaled `{name}` is called"
            self._context.error("SP304", message, place)
            return False
        return True

    def _check_split(self, spec: ScaleSpec, scaler: Component, place: Path) -> bool:
        if spec.fit_on is not None and spec.fit_on not in self._splits:
            if self._context.damaged(("data", self._label, "splits")):
                return False
            known = quoted(self._splits) or "no splits"
            message = f"split `{spec.fit_on}` is not defined; {self._label} has {known}"
            hint = did_you_mean(spec.fit_on, self._splits)
            self._context.error("SP303", message, (*place, "fit_on"), hint=hint)
            return False
        if spec.fit_on is None and self._splits and scaler.__struct_config__.tag in LEARNING:
            message = f"the scaler learns from all rows of {self._label}, also from those that judge the model"
            hint = f"say from which split it learns: `fit_on: {next(iter(self._splits))}`"
            self._context.warning("SP516", message, place, hint=hint)
        return True

    def _check_again(self, name: str, scaler: Component, place: Path) -> None:
        use = str(scaler.__struct_config__.tag)
        first = self._seen.setdefault((name, use), place)
        if first is not place:
            message = f"column `{name}` is scaled by `{use}` again"
            self._context.warning("SP517", message, place, also=[(first, "scaled here before")])


def scale(
    context: Context, resolved: Resolved, label: str, columns: Columns, splits: Collection[str]
) -> Scaled:
    """Check the scalers of a FeatureSet whose columns and splits are known."""
    entries = context.spec.data[label].scale
    scalers = _Scalers(context, label, columns, splits)
    found: list[Scale] = []
    for index, spec in enumerate(entries):
        place: Path = ("data", label, "scale", index)
        component = resolved.get(place)
        if not isinstance(component, Component):
            scalers.made |= {f"{name}.{TRANSFORMED}": None for name in spec.columns}
            continue
        made = scalers.add(spec, component, place)
        if made is not None:
            found.append(made)
    return Scaled(scale=tuple(found), columns=scalers.made, right=len(found) == len(entries))
