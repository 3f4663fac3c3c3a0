"""Columns that decide what a sampler puts into a batch, at compile time and in the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from specplan.components import COMPONENTS
from specplan.components.reference import COLUMNS
from specplan.components.sampler import columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan.components.sampler import AnySampler
    from specplan.plan.model import Component, Data


def declared_sampler(component: Component) -> AnySampler:
    """The sampler that a plan names, as it is declared."""
    declaration = COMPONENTS["sampler"][component.use]
    arguments = {**component.args, "use": component.use}
    return cast("AnySampler", msgspec.convert(arguments, declaration))


def sampled_columns(component: Component) -> tuple[str, ...]:
    """The columns that the sampler of a plan looks at, each once."""
    if not component.is_own:
        return columns_of(declared_sampler(component))
    return named_columns(component)


def named_columns(component: Component) -> tuple[str, ...]:
    """The columns whose values code of the user is given, each once."""
    named = component.args.get(COLUMNS)
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        return ()
    return tuple(dict.fromkeys(listed))


def read_keyed(
    data: Data,
    names: Sequence[str],
    folder: Path,
    tables: Mapping[str, Mapping[str, NDArray[Any]]],
) -> dict[str, NDArray[Any]]:
    """Whole columns of a FeatureSet: numbers, truth values, or text.

    Raises:
        DataError: the file is missing, damaged or not the one that was compiled.
    """
    source = data.source
    if source.use == "memory":
        assert source.name is not None
        return {name: tables[source.name][name] for name in names}
    # pyarrow is loaded for samplers that look at columns, and for no other plan.
    from specplan.data.table import read_file

    assert source.path is not None
    shapes = {name: data.columns[name].shape for name in names}
    return read_file(folder / source.path, source.use, digest=source.digest, shapes=shapes)
