"""The scalers of a plan, fitted when its tables are read: once, and again for each fold that gives them other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.code.own_scaling import ScalingError
from specplan.data.scaling import scaled
from specplan.errors import DataError
from specplan.plan.canonical import pointer_to
from specplan.run.context import fold_rows
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from specplan.data.scaling import Scaling
    from specplan.data.table import Table
    from specplan.plan.model import Component, Data, Fold, Scale

    Columns = dict[str, NDArray[Any]]
    Make = Callable[[Component], Scaling]


def with_scaled(name: str, data: Data, table: Table, make: Make) -> Table:
    """The table of a FeatureSet with what its scalers, which `make` makes, make of the stored columns.

    Raises:
        DataError: a scaler cannot be fitted on these values, or scikit-learn, which it needs, is missing.
    """
    if not data.scale:
        return table
    columns, learned = _scaled(name, data, table, None, make)
    folds = {}
    for path, fold in data.folds.items():
        names = set(_names(data, fold))
        if any(each.fit_on in names for each in data.scale):
            inside, known = _scaled(name, data, table, fold, make)
            folds[path] = msgspec.structs.replace(table, columns=inside, learned=known)
    return msgspec.structs.replace(table, columns=columns, learned=learned, folds=folds)


def learned_of(tables: Mapping[str, Table]) -> dict[str, dict[str, Any]]:
    """What scalers learned, by FeatureSet and by the path of the fold, which is empty outside of all."""
    return {
        name: {"": table.learned, **{path: fold.learned for path, fold in table.folds.items()}}
        for name, table in tables.items()
        if table.learned
    }


def _scaled(
    name: str, data: Data, table: Table, fold: Fold | None, make: Make
) -> tuple[Columns, list[dict[str, Any]]]:
    columns = dict(table.columns)
    learned = []
    for index, each in enumerate(data.scale):
        try:
            scaler = make(each.component)
            rows = None
            if each.fit_on is not None:
                rows = fold_rows(data, table).positions(fold, each.fit_on)
            before = [columns.get(f"{key}.transformed", columns[key]) for key in each.columns]
            after = scaled(scaler, before, rows)
        except (ValueError, ModuleNotFoundError) as error:
            raise _fault(name, each, index, error) from error
        columns |= {
            f"{key}.transformed": rows for key, rows in zip(each.columns, after, strict=True)
        }
        learned.append({**msgspec.to_builtins(each), "state": dict(scaler.state)})
    return columns, learned


def _names(data: Data, fold: Fold) -> Iterator[str]:
    """The splits that a fold, or one around it, gives other rows."""
    yield from (fold.train.name, fold.val.name)
    if fold.within is not None:
        yield from _names(data, data.folds[fold.within])


def _fault(name: str, scale: Scale, index: int, error: Exception) -> DataError:
    where = pointer_to("data", name, "scale", str(index))
    called = f"scaler `{scale.component.use}` of {quoted(scale.columns)}"
    hint = error.hint if isinstance(error, ScalingError) else None
    if isinstance(error, ModuleNotFoundError):
        message = f"{called} needs scikit-learn, which is not installed"
        return DataError(message, code="SP518", pointer=where, hint="pip install specplan[sklearn]")
    return DataError(f"{called}: {error}", code="SP518", pointer=where, hint=hint)
