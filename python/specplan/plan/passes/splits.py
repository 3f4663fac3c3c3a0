"""Pass: how the rows of a FeatureSet are divided. Reads the columns that decide it, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan._native import read_keys
from specplan.components.reference import COLUMNS
from specplan.components.split import (
    ColumnSplit,
    ConditionSplit,
    RandomSplit,
    RowsSplit,
    Splitter,
)
from specplan.data.cut import Cut, CutError
from specplan.data.split import cut, in_cut_order, key_columns, listed
from specplan.errors import DataError
from specplan.plan.passes.components import as_plan
from specplan.plan.passes.own_component import OwnCode
from specplan.plan.sampled import named_columns
from specplan.plan.streams import written_seed_of
from specplan.spec.wording import as_json, did_you_mean, in_yaml, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan._native import Keys
    from specplan.plan.model import Column, Component, Divided
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import Table
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import FeatureSetSpec

_RATIO_TOLERANCE = 1e-9
# A split that gets this many times more or fewer rows than its ratio says is worth a warning.
_FAR_OFF = 2


class Splits(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are divided, as far as it is known.

    Attributes:
        splitter: the part of the plan.
        sizes: rows of each split that is defined; None where the number is not known.
        divided: what a splitter of the user's made of the rows.
        right: whether the splits that are defined are known.
    """

    splitter: Component | None = None
    sizes: dict[str, int | None] = {}
    cut: Cut | None = None
    divided: Divided | None = None
    right: bool = True


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """What the division needs to know of a FeatureSet. `rows` is None where nothing could be read."""

    label: str
    spec: FeatureSetSpec
    table: Table | None
    rows: int | None
    columns: Mapping[str, Column | None]

    @property
    def path(self) -> Path:
        """Where the splitter stands."""
        return ("data", self.label, "splits")


def divide(context: Context, resolved: Resolved, rows: Rows) -> Splits:
    """Check the splitter of a FeatureSet, and decide which rows go where."""
    written: Any = rows.spec.splits or {}
    names = written.get("splits", written.get("ratios"))
    # A split component that is faulty still says which names are defined.
    sizes: dict[str, int | None] = dict.fromkeys(names) if isinstance(names, dict) else {}
    splitter = resolved.get(rows.path)
    if isinstance(splitter, OwnCode):
        return _divide_by_code(context, splitter, rows)
    if rows.spec.splits is not None and splitter is None and not sizes:
        context.not_divided.add(rows.label)
    if not isinstance(splitter, Splitter):
        return Splits(sizes=sizes)
    if not _ratios_add_up(context, splitter, rows.path):
        return Splits(sizes=sizes)
    if isinstance(splitter, RandomSplit):
        splitter = _complete(context, splitter, rows.label)
    if isinstance(splitter, ColumnSplit | ConditionSplit | RowsSplit):
        splitter = msgspec.structs.replace(splitter, splits=in_cut_order(splitter.splits))
    keyed = _check_columns(context, splitter, rows)
    plan = as_plan(splitter)
    if isinstance(splitter, ColumnSplit) and keyed:
        keyed = _check_values(context, splitter, rows)
    seed_is_wrong = isinstance(splitter, RandomSplit) and (splitter.seed or 0) < 0
    if seed_is_wrong or not keyed or rows.rows is None or rows.table is None:
        return Splits(splitter=plan, sizes=sizes)
    try:
        found = _cut(splitter, rows, rows.table, rows.rows)
    except DataError as error:
        message = error.message.replace(str(rows.table.file), rows.table.called)
        context.error(error.code or "SP508", message, rows.path)
        return Splits(splitter=plan, sizes=sizes)
    except CutError as error:
        place = (*rows.path, *error.place)
        also = [((*rows.path, *error.also[0]), error.also[1])] if error.also else []
        context.error(
            error.code, error.message, place, hint=error.hint, also=also, key=error.at_key
        )
        return Splits(splitter=plan, sizes=sizes)
    if isinstance(splitter, RandomSplit) and splitter.group_by:
        _check_shares(context, splitter, found, rows)
    return Splits(splitter=plan, sizes=dict(found.sizes), cut=found)


def _divide_by_code(context: Context, own: OwnCode, rows: Rows) -> Splits:
    names = named_columns(own.component)
    written = (rows.spec.splits or {}).get(COLUMNS)
    places: list[Path] = [
        (*rows.path, COLUMNS, *((written.index(name),) if isinstance(written, list) else ()))
        for name in names
    ]
    usable = [
        check_column(context, COLUMNS, name, place, rows)
        for name, place in zip(names, places, strict=True)
    ]
    found: Splits | None = None
    if all(usable) and rows.rows is not None and rows.table is not None:
        # Running code takes modules that most specs do without.
        from specplan.plan.passes.own_split import own_split

        made = own_split(context, own, rows, names)
        if made is not None:
            cut_, divided = made
            found = Splits(
                splitter=own.component, sizes=dict(cut_.sizes), cut=cut_, divided=divided
            )
    if found is None:
        context.not_divided.add(rows.label)
        return Splits(splitter=own.component, right=False)
    return found


def _complete(context: Context, splitter: RandomSplit, label: str) -> RandomSplit:
    seed = splitter.seed
    if seed is None:
        seed = written_seed_of(context.spec.run.seed, f"split/{label}")
    return msgspec.structs.replace(
        splitter,
        ratios=in_cut_order(splitter.ratios),
        seed=seed,
        group_by=listed(splitter.group_by),
        stratify_by=listed(splitter.stratify_by),
    )


def _ratios_add_up(context: Context, splitter: Splitter, path: Path) -> bool:
    if isinstance(splitter, ColumnSplit | ConditionSplit | RowsSplit):
        return True
    total = sum(splitter.ratios.values())
    if abs(total - 1) <= _RATIO_TOLERANCE:
        return True
    message = f"split ratios sum to {total:g}, must sum to 1"
    place = (*path, "ratios")
    shares: list[tuple[Path, str]] = [
        ((*place, name), f"`{name}` has {share:g}") for name, share in splitter.ratios.items()
    ]
    # Files that are laid over each other add up what each of them alone has right.
    files = {context.origin(share).file for share, _ in shares}
    if len(files) == 1:
        context.error("SP503", message, place)
        return False
    last = context.latest([share for share, _ in shares])
    context.error("SP503", message, last or place, also=[one for one in shares if one[0] != last])
    return False


def _check_columns(context: Context, splitter: Splitter, rows: Rows) -> bool:
    if isinstance(splitter, RandomSplit) and splitter.group_by and splitter.stratify_by:
        message = "`group_by` and `stratify_by` cannot be had together"
        also = [((*rows.path, "group_by"), "groups are kept together here")]
        hint = "remove one of the two"
        context.error("SP510", message, (*rows.path, "stratify_by"), also=also, hint=hint)
        return False
    usable = [
        check_column(context, parameter, name, place, rows)
        for parameter, name, place in _named_columns(splitter, rows)
    ]
    return all(usable)


def _named_columns(splitter: Splitter, rows: Rows) -> Iterator[tuple[str, str, Path]]:
    if isinstance(splitter, ConditionSplit | RowsSplit):
        for split, said in splitter.splits.items():
            place = (*rows.path, "splits", split)
            if isinstance(said, str):
                yield "rows", said, place
            else:
                yield from (("condition", name, (*place, name)) for name in said)
        return
    for parameter in ("group_by", "stratify_by", "column"):
        columns = listed(getattr(splitter, parameter, ()))
        written = rows.spec.splits[parameter] if columns and rows.spec.splits else None
        for index, name in enumerate(columns):
            place = (*rows.path, parameter)
            yield parameter, name, place if isinstance(written, str) else (*place, index)


def check_column(context: Context, parameter: str, name: str, place: Path, rows: Rows) -> bool:
    """Whether a column can be the key of rows: it is there, of text, integers or booleans, and has no nulls."""
    if name not in rows.columns:
        held = [header.name for header in rows.table.header.columns] if rows.table else []
        hint = did_you_mean(name, rows.columns)
        if name in held:
            hint = "the data have it: list it in `tags`"
        message = f"FeatureSet `{rows.label}` has no column `{name}`; it has {quoted(rows.columns)}"
        context.error("SP302", message, place, hint=hint)
        return False
    column = rows.columns[name]
    if column is None or rows.table is None:
        return False
    if parameter == "condition" and rows.table.file is None:
        return True
    if parameter == COLUMNS:
        return _has_no_null(context, name, place, rows.table)
    usable = _is_position if parameter == "rows" else _is_key
    if column.shape or not usable(column.dtype):
        what = f"lists of {column.dtype}" if column.shape else column.dtype
        needed = "integers or booleans" if parameter == "rows" else "text, integers or booleans"
        message = f"column `{name}` is {what}; `{parameter}` needs {needed}"
        hint = "put the class or group of a row into a column of its own, in `tags`"
        if parameter == "rows":
            hint = "true or a position for the rows of the split, false or -1 for others"
        context.error("SP509", message, place, hint=hint)
        return False
    return _has_no_null(context, name, place, rows.table)


def _has_no_null(context: Context, name: str, place: Path, table: Table) -> bool:
    nulls = next(header.nulls for header in table.header.columns if header.name == name)
    if nulls:
        plural = "s" if nulls > 1 else ""
        context.error("SP505", f"column `{name}` has {nulls} null{plural}", place)
    return not nulls


def _is_key(dtype: str) -> bool:
    return dtype in ("string", "bool") or dtype.startswith(
        ("int", "uint", "other: dictionary<values=string", "other: dictionary<values=int")
    )


def _is_position(dtype: str) -> bool:
    return dtype == "bool" or dtype.startswith(("int", "uint"))


def _cut(splitter: Splitter, rows: Rows, table: Table, count: int) -> Cut:
    names = key_columns(splitter)
    if isinstance(splitter, ConditionSplit | RowsSplit) and table.file is None:
        from specplan.data.chosen_rows import choose

        return choose(splitter, {name: table.arrays[name] for name in names})
    known = [rows.columns[name] for name in names]
    dtypes = [column.dtype for column in known if column is not None]
    return cut(splitter, count, keys_in(table, names) if names else None, dtypes)


def keys_in(table: Table, names: tuple[str, ...]) -> Keys:
    """The keys that columns make of all rows. Raises DataError where the file cannot be read."""
    if table.file is not None:
        assert table.source.use != "memory"
        return read_keys(str(table.file), table.source.use, names)
    from specplan.data.keys import keys_of

    return keys_of(table.arrays[name] for name in names)


def _check_values(context: Context, splitter: ColumnSplit, rows: Rows) -> bool:
    """Whether numbers are named as numbers, and text as text."""
    column = rows.columns[splitter.column]
    assert column is not None, "it is a key"
    kind: type = str if column.dtype.startswith(("string", "other")) else int
    kind = bool if column.dtype == "bool" else kind
    for name, values in splitter.splits.items():
        for index, value in enumerate(values):
            if type(value) is kind or column.dtype.startswith("other"):
                continue
            words = {str: "text", int: "an integer", bool: "a boolean"}
            message = (
                f"`{splitter.column}` is {column.dtype}, {in_yaml(value)} is {words[type(value)]}"
            )
            meant = as_json(str(value).lower() if isinstance(value, bool) else str(value))
            hint = f"write `{meant if kind is str else str(value)}`"
            context.error("SP202", message, (*rows.path, "splits", name, index), hint=hint)
            return False
    return True


def _check_shares(context: Context, splitter: RandomSplit, found: Cut, rows: Rows) -> None:
    total = sum(found.sizes.values())
    for name, ratio in splitter.ratios.items():
        size = found.sizes[name]
        if size * _FAR_OFF < ratio * total or size > ratio * total * _FAR_OFF:
            message = (
                f"split `{name}` has {size} of {total} rows where its ratio says {ratio * total:.0f}: "
                f"the groups of {quoted(listed(splitter.group_by))} differ too much in size"
            )
            context.warning("SP513", message, (*rows.path, "ratios", name))
