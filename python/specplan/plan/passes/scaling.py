"""Pass: the scalers of a FeatureSet. What they make of a column is a column of its own, `NAME.transformed`."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import msgspec

from specplan.components.component import Component
from specplan.components.scaler import Segmented
from specplan.data.column_names import TRANSFORMED
from specplan.data.scaler_faults import fault, learns, scaled_dtype
from specplan.plan.dtypes import NUMBERS
from specplan.plan.model import Column, Scale
from specplan.plan.passes.components import as_plan
from specplan.plan.passes.own_component import OwnCode
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import Table
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


def name_of(scaler: Component | OwnCode) -> str:
    """What a spec calls a scaler."""
    if isinstance(scaler, OwnCode):
        return scaler.component.use
    return str(scaler.__struct_config__.tag)


class _Scalers:
    """The scalers of one FeatureSet, one after the other."""

    def __init__(
        self,
        context: Context,
        label: str,
        columns: Columns,
        splits: Collection[str],
        table: Table | None,
    ) -> None:
        self.made: dict[str, Column | None] = {}
        self._context = context
        self._label = label
        self._columns = columns
        self._splits = splits
        self._table = table
        self._seen: dict[tuple[str, str], Path] = {}

    def add(self, spec: ScaleSpec, scaler: Component | OwnCode, place: Path) -> Scale | None:
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
        wrong = self._fault(scaler, spec, known if whole else None, place)
        dtype = scaled_dtype([column.dtype for column in known])
        for name, column in zip(spec.columns, before, strict=True):
            self._check_again(name, scaler, place)
            made = None
            if column is not None and whole:
                made = Column(domain=column.domain, dtype=dtype, shape=column.shape)
            self.made[f"{name}.{TRANSFORMED}"] = made
        if wrong or not split_is_there:
            return None
        return Scale(component=as_plan(scaler), columns=spec.columns, fit_on=spec.fit_on)

    def _fault(
        self,
        scaler: Component | OwnCode,
        spec: ScaleSpec,
        columns: Sequence[Column] | None,
        place: Path,
    ) -> bool:
        """Whether a scaler cannot scale these columns, which is then reported; None for those that are not known."""
        if isinstance(scaler, OwnCode):
            return columns is not None and self._fails(scaler, spec.columns, place)
        elements = None if columns is None else sum(prod(column.shape) for column in columns)
        found = fault(scaler, elements)
        if found is not None:
            key, reason = found
            self._context.error("SP518", f"scaler `{name_of(scaler)}`: {reason}", (*place, key))
        return found is not None

    def _fails(self, scaler: OwnCode, names: Sequence[str], place: Path) -> bool:
        """Whether a scaler of the user's fails with the first rows, where these are to be tried and are stored."""
        scaled = any(f"{name}.{TRANSFORMED}" in self.made for name in names)
        if self._context.code.imports != "always" or self._table is None or scaled:
            return False
        from specplan.plan.passes.few_rows import first_rows
        from specplan.plan.passes.own_scaler import ROWS, check_scaler

        rows = first_rows(self._table, self._columns, names, ROWS)
        return rows is not None and not check_scaler(self._context, scaler, rows, place)

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
            message = f"column `{name}` is listed twice"
            self._context.error("SP304", message, place, hint="remove one of the two")
            return False
        column = self._columns[name]
        if column is not None and (column.domain == "tags" or column.dtype not in NUMBERS):
            message = f"column `{name}` is {column.dtype}, in `{column.domain}`; scalers are for features and targets"
            self._context.error("SP507", message, place)
            return False
        if f"{name}.{TRANSFORMED}" in self._columns:
            message = f"the data have a column `{name}.{TRANSFORMED}`, which is what a scaled `{name}` is called"
            hint = f"rename that column in the data, or leave `{name}` as it is"
            self._context.error("SP304", message, place, hint=hint)
            return False
        return True

    def _check_split(self, spec: ScaleSpec, scaler: Component | OwnCode, place: Path) -> bool:
        if spec.fit_on is not None and spec.fit_on not in self._splits:
            if self._context.undivided(self._label):
                return False
            known = quoted(self._splits) or "no splits"
            message = f"split `{spec.fit_on}` is not defined; {self._label} has {known}"
            hint = did_you_mean(spec.fit_on, self._splits)
            self._context.error("SP303", message, (*place, "fit_on"), hint=hint)
            return False
        part = scaler.scaler if isinstance(scaler, Segmented) else None
        if spec.fit_on is None and self._splits and learns(name_of(scaler), part):
            message = f"the scaler learns from all rows of {self._label}, also from those that judge the model"
            hint = f"say from which split it learns: `fit_on: {next(iter(self._splits))}`"
            self._context.warning("SP516", message, place, hint=hint)
        return True

    def _check_again(self, name: str, scaler: Component | OwnCode, place: Path) -> None:
        use = name_of(scaler)
        first = self._seen.setdefault((name, use), place)
        if first is not place:
            message = f"column `{name}` is scaled by `{use}` again"
            self._context.warning("SP517", message, place, also=[(first, "scaled here before")])


def scale(
    context: Context,
    resolved: Resolved,
    label: str,
    columns: Columns,
    splits: Collection[str],
    table: Table | None,
) -> Scaled:
    """Check the scalers of a FeatureSet whose columns and splits are known."""
    entries = context.spec.data[label].scale
    scalers = _Scalers(context, label, columns, splits, table)
    found: list[Scale] = []
    for index, spec in enumerate(entries):
        place: Path = ("data", label, "scale", index)
        component = resolved.get(place)
        if not isinstance(component, Component | OwnCode):
            scalers.made |= {f"{name}.{TRANSFORMED}": None for name in spec.columns}
            continue
        made = scalers.add(spec, component, place)
        if made is not None:
            found.append(made)
    return Scaled(scale=tuple(found), columns=scalers.made, right=len(found) == len(entries))
