"""Experiments that are a function with a YAML file: what their code imports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specplan.errors import DirtyGitError, GracefulTimeout
    from specplan.results.jobs import JobFailure, JobState
    from specplan.run.experiment_helper import ExperimentHelper
    from specplan.run.interruption import TaskCancelled
    from specplan.run.mocks import mock_modules
    from specplan.run.reported import progress, tqdm
    from specplan.spec.choices import GridSearch
    from specplan.spec.configuration import ConfigurationBase, configuration
    from specplan.spec.grid_search import generate_grid
    from specplan.spec.model import DirtyGitAction
    from specplan.track.experiment_block import experiment
    from specplan.track.job import TransientMode
    from specplan.track.services import Service, ServiceListener, ServiceState, WebService

__all__ = [
    "ConfigurationBase",
    "DirtyGitAction",
    "DirtyGitError",
    "ExperimentHelper",
    "GracefulTimeout",
    "GridSearch",
    "JobFailure",
    "JobState",
    "Service",
    "ServiceListener",
    "ServiceState",
    "TaskCancelled",
    "TransientMode",
    "WebService",
    "configuration",
    "experiment",
    "generate_grid",
    "mock_modules",
    "progress",
    "tqdm",
]

_MODULES = {
    "ConfigurationBase": "spec.configuration",
    "DirtyGitAction": "spec.model",
    "DirtyGitError": "errors",
    "ExperimentHelper": "run.experiment_helper",
    "GracefulTimeout": "errors",
    "GridSearch": "spec.choices",
    "JobFailure": "results.jobs",
    "JobState": "results.jobs",
    "Service": "track.services",
    "ServiceListener": "track.services",
    "ServiceState": "track.services",
    "TaskCancelled": "run.interruption",
    "TransientMode": "track.job",
    "WebService": "track.services",
    "configuration": "spec.configuration",
    "experiment": "track.experiment_block",
    "generate_grid": "spec.grid_search",
    "mock_modules": "run.mocks",
    "progress": "run.reported",
    "tqdm": "run.reported",
}


def __getattr__(name: str) -> object:
    # `mock_modules` has to be there before anything that it could mock is imported.
    if name not in _MODULES:
        raise AttributeError(f"module 'specplan.experiments' has no attribute {name!r}")
    value = getattr(import_module(f"specplan.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
