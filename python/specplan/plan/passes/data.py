"""Pass: headers of the data, columns with their types and shapes, splits with their sizes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan._native import read_table_header
from specplan.components.source import ArrowFile, MemoryTable, ParquetFile
from specplan.data.beside import beside, looks_like
from specplan.data.column_names import RAW, TRANSFORMED
from specplan.errors import DataError
from specplan.plan.dtypes import NUMBERS
from specplan.plan.memory import MemoryTableError, read_memory_header
from specplan.plan.model import Column, Data, Source, Split
from specplan.plan.passes.scaling import scale
from specplan.plan.passes.splits import Rows, divide
from specplan.plan.shapes import LARGEST_SIZE, show
from specplan.spec.suggest import closest
from specplan.spec.wording import did_you_mean, quoted, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

    from numpy.typing import NDArray

    from specplan._native import ColumnHeader, TableHeader
    from specplan.data.cut import Cut
    from specplan.plan.memory import MemoryColumn, MemoryHeader
    from specplan.plan.model import Shape
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import FeatureSetSpec

Domain = Literal["features", "targets", "tags"]


class FeatureSet(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a FeatureSet, which may be less than the plan needs.

    Attributes:
        columns: every column that the spec lists, and those that scalers make; None for one whose
            type is not known.
        scaled: those that scalers make.
        rows: None where the file could not be read.
        splits: rows of each split that is defined; None where the number is not known.
        table: where the rows are; None where it could not be read.
        cut: how the rows are divided; None where they are not, or not as the spec says.
        data: the part of the plan; None if anything is missing.
    """

    label: str
    features: tuple[str, ...]
    columns: dict[str, Column | None]
    scaled: frozenset[str] = frozenset()
    rows: int | None
    splits: dict[str, int | None]
    table: Table | None
    cut: Cut | None
    data: Data | None

    def read(self, column: str) -> str | None:
        """The column that a reference means: what scalers made of it, `NAME.raw` as it is stored; None for none."""
        made = f"{column}.{TRANSFORMED}"
        if made in self.scaled:
            return made
        if column in self.columns:
            return column
        stored = column.removesuffix(f".{RAW}")
        return stored if stored in self.columns and stored not in self.scaled else None

    def stored(self, column: str) -> str:
        """The column that one of the plan is made of: itself, or what scalers made it of."""
        return column.removesuffix(f".{TRANSFORMED}") if column in self.scaled else column


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a source, and the part of the plan that names it.

    Attributes:
        called: what messages call it.
        file: None for a table in memory, whose columns are `arrays`.
    """

    header: TableHeader | MemoryHeader
    source: Source
    called: str
    file: FilePath | None = None
    arrays: Mapping[str, NDArray[Any]] = {}


def bind(context: Context, resolved: Resolved) -> dict[str, FeatureSet]:
    """Read the headers of all sources."""
    return {
        label: _feature_set(context, resolved, label, spec)
        for label, spec in context.spec.data.items()
    }


def _feature_set(
    context: Context, resolved: Resolved, label: str, spec: FeatureSetSpec
) -> FeatureSet:
    path: Path = ("data", label)
    table = _open(context, resolved, path)
    columns = _columns(context, spec, path, table)
    rows = table.header.rows if table else None
    if table and rows == 0:
        context.error("SP508", f"{table.called} has no rows", (*path, "source"))
        rows = None
    splits = divide(
        context, resolved, Rows(label=label, spec=spec, table=table, rows=rows, columns=columns)
    )
    scaled = scale(context, resolved, label, columns, splits.sizes, table)
    columns |= scaled.columns
    known = {name: column for name, column in columns.items() if column is not None}
    counted = {name: size for name, size in splits.sizes.items() if size is not None}
    complete = (
        len(known) == len(columns)
        and len(counted) == len(splits.sizes)
        and scaled.right
        and splits.right
    )
    data = (
        Data(
            source=table.source,
            rows=rows,
            columns=known,
            splitter=splits.splitter,
            splits=tuple(Split(name=name, rows=size) for name, size in counted.items()),
            divided=splits.divided,
            scale=scaled.scale,
        )
        if table and rows is not None and complete
        else None
    )
    return FeatureSet(
        label=label,
        features=spec.features,
        columns=columns,
        scaled=frozenset(scaled.columns),
        rows=rows,
        splits=splits.sizes,
        table=table,
        cut=splits.cut,
        data=data,
    )


def _open(context: Context, resolved: Resolved, path: Path) -> Table | None:
    place = (*path, "source")
    match resolved.get(place):
        case ParquetFile() as source:
            return _open_file(context, source, "parquet", place)
        case ArrowFile() as source:
            return _open_file(context, source, "arrow", place)
        case MemoryTable(name=name):
            return _open_memory(context, name, place)
    return None


def _open_file(
    context: Context,
    source: ParquetFile | ArrowFile,
    format: Literal["parquet", "arrow"],
    path: Path,
) -> Table | None:
    place = (*path, "path")
    file = context.folder / source.path
    try:
        exists, is_file = file.exists(), file.is_file()
    except OSError as error:
        context.error("SP501", f"{shortened(source.path)}: {error.strerror}", place)
        return None
    if not exists and not context.needs_data:
        meant = beside(file)
        context.unread.append(f"`{source.path}`" + (f" ({meant})" if meant else ""))
        return None
    if not is_file:
        context.error("SP501", f"{source.path} not found", place, hint=beside(file))
        return None
    try:
        header = read_table_header(str(file), format)
    except DataError as error:
        message = str(error).replace(str(file), source.path)
        context.error("SP508", message, place, hint=looks_like(file, format))
        return None
    described = Source(
        use=format,
        path=source.path,
        digest=header.digest,
        shapes=source.shapes,
    )
    return Table(header=header, source=described, called=source.path, file=file)


def _open_memory(context: Context, name: str, path: Path) -> Table | None:
    place = (*path, "name")
    table = context.tables.get(name)
    if table is None and not context.needs_data:
        context.unread.append(f"table `{name}`")
        return None
    if table is None:
        message = f"no table is bound to `{name}`; bound: {quoted(context.tables) or 'none'}"
        context.error("SP501", message, place, hint=did_you_mean(name, context.tables))
        return None
    *_, label, _source = path
    spec = context.spec.data[str(label)]
    wanted = {*spec.features, *spec.targets, *spec.tags}
    try:
        header = read_memory_header(
            {column: values for column, values in table.items() if column in wanted}
        )
    except MemoryTableError as error:
        domain = next(
            domain
            for domain in ("features", "targets", "tags")
            if error.column in getattr(spec, domain)
        )
        at = ("data", label, domain, getattr(spec, domain).index(error.column))
        context.error("SP508", f"table `{name}`: {error}", at)
        return None
    source = Source(use="memory", name=name, digest=header.digest)
    return Table(header=header, source=source, called=f"table `{name}`", arrays=table)


def _columns(
    context: Context, spec: FeatureSetSpec, path: Path, table: Table | None
) -> dict[str, Column | None]:
    columns: dict[str, Column | None] = {}
    headers = {header.name: header for header in table.header.columns} if table else {}
    first_places: dict[str, Path] = {}
    meant: list[str] = []
    for domain, name, place in _listed(spec, path):
        if name in columns:
            also = [(first_places[name], "first listed here")]
            message = f"column `{name}` is listed twice"
            other = first_places[name][2] != domain
            advice = (
                "a column is a feature, a target or a tag" if other else "remove one of the two"
            )
            context.error("SP304", message, place, also=also, hint=advice)
            continue
        first_places[name] = place
        columns[name] = None
        if table is None:
            continue
        if name not in headers:
            message = f"{table.called} has no column `{name}`; it has {quoted(headers)}"
            words = name.split()
            unparted = len(words) > 1 and headers.keys() >= set(words)
            comma = f"a comma is missing: `{', '.join(words)}`"
            hint = comma if unparted else did_you_mean(name, headers)
            context.error("SP302", message, place, hint=hint)
            near = closest(name, headers)
            meant += words if unparted else [near] if near else headers
            continue
        columns[name] = _column(context, domain, headers[name], table, place)
    # What refers to the column by the name that it has in the file says nothing that is wrong.
    columns |= {name: None for name in meant if name not in columns}
    if table:
        _check_shapes(context, table, columns, path)
    return columns


def _listed(spec: FeatureSetSpec, path: Path) -> Iterator[tuple[Domain, str, Path]]:
    domains: tuple[tuple[Domain, tuple[str, ...]], ...] = (
        ("features", spec.features),
        ("targets", spec.targets),
        ("tags", spec.tags),
    )
    for domain, names in domains:
        for index, name in enumerate(names):
            yield domain, name, (*path, domain, index)


def _column(
    context: Context,
    domain: Domain,
    header: ColumnHeader | MemoryColumn,
    table: Table,
    place: Path,
) -> Column | None:
    name = header.name
    shape = _shape(context, header, table, place)
    if shape is None:
        return None
    if domain == "tags":
        return Column(domain=domain, dtype=header.dtype, shape=shape)
    if header.dtype not in NUMBERS:
        message = f"column `{name}` is {header.dtype}; {domain} must be numbers"
        context.error("SP507", message, place, hint="a column that is only kept belongs in `tags`")
        return None
    if header.nulls:
        plural = "s" if header.nulls > 1 else ""
        context.error("SP505", f"column `{name}` has {header.nulls} null{plural}", place)
        return None
    return Column(domain=domain, dtype=header.dtype, shape=shape)


def _shape(
    context: Context, header: ColumnHeader | MemoryColumn, table: Table, place: Path
) -> Shape | None:
    declared = table.source.shapes.get(header.name)
    if declared is None:
        # Of a list column the file counts items that are null, and lists that are empty, as one.
        if header.shape is None and header.nulls:
            message = (
                f"column `{header.name}` is a list column with nulls or empty lists: {header.nulls}"
            )
            context.error("SP505", message, place)
        elif header.shape is None:
            message = f"column `{header.name}` is a list column, and the file does not say how long"
            hint = f"say it: `shapes: {{{header.name}: [10]}}` in the source"
            context.error("SP507", message, place, hint=hint)
        return header.shape
    if prod(declared) > LARGEST_SIZE:
        message = f"`shapes` gives column `{header.name}` {prod(declared)} elements in a row"
        context.error("SP507", message, place, hint=f"at most {LARGEST_SIZE} can be")
        return None
    if header.shape is not None and prod(header.shape) != prod(declared):
        message = (
            f"`shapes` gives column `{header.name}` the shape {show(declared)}, "
            f"but its rows are {show(header.shape)}"
        )
        said = (*place[:2], "source", "shapes", header.name)
        context.error("SP507", message, said, also=[(place, "the column")])
        return None
    return declared


def _check_shapes(
    context: Context, table: Table, columns: dict[str, Column | None], path: Path
) -> None:
    for name in table.source.shapes:
        if name not in columns:
            message = f"`shapes` names `{name}`, which is no column here; known: {quoted(columns)}"
            place = (*path, "source", "shapes", name)
            context.error("SP302", message, place, hint=did_you_mean(name, columns), key=True)
