"""specplan: a compiler and runtime for machine-learning experiments."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specplan.components.callback import EarlyStopping as EarlyStopping
    from specplan.data.feature_set import FeatureSet as FeatureSet
    from specplan.errors import DataError as DataError
    from specplan.errors import DirtyGitError as DirtyGitError
    from specplan.errors import PlanError as PlanError
    from specplan.errors import RunError as RunError
    from specplan.errors import SpecError as SpecError
    from specplan.errors import SpecplanError as SpecplanError
    from specplan.errors import StoreError as StoreError
    from specplan.experiment.binding import InputBinding as InputBinding
    from specplan.experiment.eval_phase import EvalPhase as EvalPhase
    from specplan.experiment.evaluation import Evaluation as Evaluation
    from specplan.experiment.experiment import Experiment as Experiment
    from specplan.experiment.fit_phase import FitPhase as FitPhase
    from specplan.experiment.graph import ModelGraph as ModelGraph
    from specplan.experiment.graph import ModelNode as ModelNode
    from specplan.experiment.graph import Optimizer as Optimizer
    from specplan.experiment.group_results import PhaseGroupResults as PhaseGroupResults
    from specplan.experiment.history import ExperimentRun as ExperimentRun
    from specplan.experiment.loss import AppliedLoss as AppliedLoss
    from specplan.experiment.loss import Loss as Loss
    from specplan.experiment.phase_group import PhaseGroup as PhaseGroup
    from specplan.experiment.phase_results import EvalResults as EvalResults
    from specplan.experiment.phase_results import FitResults as FitResults
    from specplan.experiment.phase_results import PhaseResults as PhaseResults
    from specplan.experiment.phase_results import TrainResults as TrainResults
    from specplan.experiment.plan import Plan as Plan
    from specplan.experiment.plan import compile as compile  # noqa: A004 -- read as specplan.compile
    from specplan.experiment.plan import open as open  # noqa: A004 -- read as specplan.open
    from specplan.experiment.results_config import ResultsConfig as ResultsConfig
    from specplan.experiment.train_phase import ResultRecording as ResultRecording
    from specplan.experiment.train_phase import TrainPhase as TrainPhase
    from specplan.models.torch.sequential import SequentialCNN as SequentialCNN
    from specplan.models.torch.sequential import SequentialMLP as SequentialMLP
    from specplan.results.artifact_store import ArtifactStore as ArtifactStore
    from specplan.results.execution_store import ExecutionStore as ExecutionStore
    from specplan.results.metric_store import MetricStore as MetricStore
    from specplan.samplers import SimpleSampler as SimpleSampler
    from specplan.spec.model import DirtyGitAction as DirtyGitAction

_MODULES = {
    "AppliedLoss": "experiment.loss",
    "ArtifactStore": "results.artifact_store",
    "DataError": "errors",
    "DirtyGitAction": "spec.model",
    "DirtyGitError": "errors",
    "EarlyStopping": "components.callback",
    "EvalPhase": "experiment.eval_phase",
    "EvalResults": "experiment.phase_results",
    "Evaluation": "experiment.evaluation",
    "ExecutionStore": "results.execution_store",
    "Experiment": "experiment.experiment",
    "ExperimentRun": "experiment.history",
    "FeatureSet": "data.feature_set",
    "FitPhase": "experiment.fit_phase",
    "FitResults": "experiment.phase_results",
    "InputBinding": "experiment.binding",
    "Loss": "experiment.loss",
    "MetricStore": "results.metric_store",
    "ModelGraph": "experiment.graph",
    "ModelNode": "experiment.graph",
    "Optimizer": "experiment.graph",
    "PhaseGroup": "experiment.phase_group",
    "PhaseGroupResults": "experiment.group_results",
    "PhaseResults": "experiment.phase_results",
    "Plan": "experiment.plan",
    "PlanError": "errors",
    "ResultRecording": "experiment.train_phase",
    "ResultsConfig": "experiment.results_config",
    "RunError": "errors",
    "SequentialCNN": "models.torch.sequential",
    "SequentialMLP": "models.torch.sequential",
    "SimpleSampler": "samplers",
    "SpecError": "errors",
    "SpecplanError": "errors",
    "StoreError": "errors",
    "TrainPhase": "experiment.train_phase",
    "TrainResults": "experiment.phase_results",
    "compile": "experiment.plan",
    "open": "experiment.plan",
}

__all__ = [
    "AppliedLoss",
    "ArtifactStore",
    "DataError",
    "DirtyGitAction",
    "DirtyGitError",
    "EarlyStopping",
    "EvalPhase",
    "EvalResults",
    "Evaluation",
    "ExecutionStore",
    "Experiment",
    "ExperimentRun",
    "FeatureSet",
    "FitPhase",
    "FitResults",
    "InputBinding",
    "Loss",
    "MetricStore",
    "ModelGraph",
    "ModelNode",
    "Optimizer",
    "PhaseGroup",
    "PhaseGroupResults",
    "PhaseResults",
    "Plan",
    "PlanError",
    "ResultRecording",
    "ResultsConfig",
    "RunError",
    "SequentialCNN",
    "SequentialMLP",
    "SimpleSampler",
    "SpecError",
    "SpecplanError",
    "StoreError",
    "TrainPhase",
    "TrainResults",
    "compile",
    "open",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'specplan' has no attribute {name!r}")
    value = getattr(import_module(f"specplan.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
