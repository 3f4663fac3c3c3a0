"""The YAML file of an experiment that is tracked: its sections, and what they may say."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from specplan.errors import SpecError
from specplan.spec.decode import Decoder
from specplan.spec.diagnostics import in_text_order
from specplan.spec.load import load_configuration

if TYPE_CHECKING:
    import os


@dataclasses.dataclass(kw_only=True)
class Experiment:
    """The section `experiment`."""

    name: str
    project: str = "codex-ml"
    description: str = ""
    tags: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(kw_only=True)
class Tracking:
    """The section `tracking`."""

    backend: Literal["mlflow", "local"] = "mlflow"
    tracking_uri: str = ""
    artifact_location: str | None = None


@dataclasses.dataclass(kw_only=True)
class Logging:
    """The section `logging`."""

    log_frequency: int = 1
    log_system_metrics: bool = False

    def __post_init__(self) -> None:
        if self.log_frequency < 1:
            raise ValueError(f"log_frequency is {self.log_frequency}, and has to be at least 1")


@dataclasses.dataclass(kw_only=True)
class Artifacts:
    """The section `artifacts`."""

    save_model: bool = True
    save_plots: bool = True
    save_config: bool = True


@dataclasses.dataclass(kw_only=True)
class Reproducibility:
    """The section `reproducibility`."""

    random_seed: int = 42
    log_git_hash: bool = True
    log_environment: bool = False


@dataclasses.dataclass(kw_only=True)
class Sections:
    """The whole file."""

    experiment: Experiment
    tracking: Tracking = dataclasses.field(default_factory=Tracking)
    logging: Logging = dataclasses.field(default_factory=Logging)
    artifacts: Artifacts = dataclasses.field(default_factory=Artifacts)
    reproducibility: Reproducibility = dataclasses.field(default_factory=Reproducibility)


DEFAULT_PLACES = {"mlflow": "mlruns", "local": "experiments"}


def read_sections(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says, as arguments of an `ExperimentConfig`.

    Raises:
        SpecError: the file is missing, or something in it is wrong; every place is named.
    """
    document = load_configuration(path)
    decoder = Decoder(document)
    sections = decoder.instance(Sections, document.value, ())
    problems = [*document.problems, *document.slips, *decoder.problems]
    if problems:
        raise SpecError(in_text_order(problems, document.sources[0].name))
    found = {
        name: value
        for section in dataclasses.asdict(sections).values()
        for name, value in section.items()
    }
    found["tracking_uri"] = found["tracking_uri"] or DEFAULT_PLACES[found["backend"]]
    return found
