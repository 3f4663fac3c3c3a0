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
    from specplan.experiment.experiment_callback import ExperimentCallback as ExperimentCallback
    from specplan.experiment.fit_phase import FitPhase as FitPhase
    from specplan.experiment.graph import ModelGraph as ModelGraph
    from specplan.experiment.graph import ModelNode as ModelNode
    from specplan.experiment.graph import Optimizer as Optimizer
    from specplan.experiment.history import ExperimentRun as ExperimentRun
    from specplan.experiment.loss import AppliedLoss as AppliedLoss
    from specplan.experiment.loss import Loss as Loss
    from specplan.experiment.phase_group import PhaseGroup as PhaseGroup
    from specplan.experiment.plan import Plan as Plan
    from specplan.experiment.plan import compile as compile  # noqa: A004 -- read as specplan.compile
    from specplan.experiment.plan import open as open  # noqa: A004 -- read as specplan.open
    from specplan.experiment.train_phase import ResultRecording as ResultRecording
    from specplan.experiment.train_phase import TrainPhase as TrainPhase
    from specplan.models.torch.sequential import SequentialCNN as SequentialCNN
    from specplan.models.torch.sequential import SequentialMLP as SequentialMLP
    from specplan.samplers import SimpleSampler as SimpleSampler
    from specplan.spec.model import DirtyGitAction as DirtyGitAction

_MODULES = {
    "AppliedLoss": "experiment.loss",
    "DataError": "errors",
    "DirtyGitAction": "spec.model",
    "DirtyGitError": "errors",
    "EarlyStopping": "components.callback",
    "EvalPhase": "experiment.eval_phase",
    "Evaluation": "experiment.evaluation",
    "Experiment": "experiment.experiment",
    "ExperimentCallback": "experiment.experiment_callback",
    "ExperimentRun": "experiment.history",
    "FeatureSet": "data.feature_set",
    "FitPhase": "experiment.fit_phase",
    "InputBinding": "experiment.binding",
    "Loss": "experiment.loss",
    "ModelGraph": "experiment.graph",
    "ModelNode": "experiment.graph",
    "Optimizer": "experiment.graph",
    "PhaseGroup": "experiment.phase_group",
    "Plan": "experiment.plan",
    "PlanError": "errors",
    "ResultRecording": "experiment.train_phase",
    "RunError": "errors",
    "SequentialCNN": "models.torch.sequential",
    "SequentialMLP": "models.torch.sequential",
    "SimpleSampler": "samplers",
    "SpecError": "errors",
    "SpecplanError": "errors",
    "StoreError": "errors",
    "TrainPhase": "experiment.train_phase",
    "compile": "experiment.plan",
    "open": "experiment.plan",
}

__all__ = [
    "AppliedLoss",
    "DataError",
    "DirtyGitAction",
    "DirtyGitError",
    "EarlyStopping",
    "EvalPhase",
    "Evaluation",
    "Experiment",
    "ExperimentCallback",
    "ExperimentRun",
    "FeatureSet",
    "FitPhase",
    "InputBinding",
    "Loss",
    "ModelGraph",
    "ModelNode",
    "Optimizer",
    "PhaseGroup",
    "Plan",
    "PlanError",
    "ResultRecording",
    "RunError",
    "SequentialCNN",
    "SequentialMLP",
    "SimpleSampler",
    "SpecError",
    "SpecplanError",
    "StoreError",
    "TrainPhase",
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
