"""The YAML file of an experiment that is tracked: the fields of its configuration, in sections."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from specplan.errors import SpecError
from specplan.spec.decode import Decoder, fields_of
from specplan.spec.diagnostics import in_text_order
from specplan.spec.load import load_configuration
from specplan.track.tracker import ExperimentConfig, check_fields

if TYPE_CHECKING:
    import os

SECTIONS = {
    "experiment": ("name", "project", "description", "tags"),
    "tracking": ("backend", "tracking_uri", "artifact_location"),
    "logging": ("log_frequency", "log_system_metrics"),
    "artifacts": ("save_model", "save_plots", "save_config"),
    "reproducibility": ("random_seed", "log_git_hash", "log_environment"),
}
"""Which fields of an `ExperimentConfig` stand in which section."""


def read_sections(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says, as arguments of an `ExperimentConfig`.

    Raises:
        SpecError: the file is missing, or something in it is wrong; every place is named.
    """
    document = load_configuration(path)
    decoder = Decoder(document)
    file = decoder.instance(_file_type(), document.value, ())
    problems = [*document.problems, *document.slips, *decoder.problems]
    if problems:
        raise SpecError(in_text_order(problems, document.sources[0].name))
    return {name: value for section in vars(file).values() for name, value in vars(section).items()}


def _file_type() -> type[Any]:
    """A class of the whole file; only the section `experiment` is required."""
    types = {name: _section_type(name, fields) for name, fields in SECTIONS.items()}
    return dataclasses.make_dataclass(
        "Sections",
        [
            (name, kind, dataclasses.field(default_factory=kind))
            if name != "experiment"
            else (name, kind)
            for name, kind in types.items()
        ],
    )


def _section_type(name: str, fields: tuple[str, ...]) -> type[Any]:
    kinds = fields_of(ExperimentConfig)
    defaults = {field.name: field.default for field in dataclasses.fields(ExperimentConfig)}
    return dataclasses.make_dataclass(
        name.capitalize(),
        [(each, kinds[each], dataclasses.field(default=defaults[each])) for each in fields],
        namespace={"__post_init__": lambda self: check_fields(vars(self))},
    )
