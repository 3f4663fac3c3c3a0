"""specplan: a compiler and runtime for machine-learning experiments."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specplan.components.callback import EarlyStopping as EarlyStopping
    from specplan.components.callback import LearningRate as LearningRate
    from specplan.components.callback import ReduceOnPlateau as ReduceOnPlateau
    from specplan.data.context import ExperimentContext as ExperimentContext
    from specplan.data.feature_set import FeatureSet as FeatureSet
    from specplan.data.feature_set_view import FeatureSetView as FeatureSetView
    from specplan.data.scalers import Scaler as Scaler
    from specplan.data.scalers import supported_scalers as supported_scalers
    from specplan.errors import ArchiveError as ArchiveError
    from specplan.errors import CodeError as CodeError
    from specplan.errors import DataError as DataError
    from specplan.errors import DirtyGitError as DirtyGitError
    from specplan.errors import GracefulTimeout as GracefulTimeout
    from specplan.errors import PlanError as PlanError
    from specplan.errors import PrunedError as PrunedError
    from specplan.errors import RemoteError as RemoteError
    from specplan.errors import RunError as RunError
    from specplan.errors import RunStopped as RunStopped
    from specplan.errors import SpecError as SpecError
    from specplan.errors import SpecplanError as SpecplanError
    from specplan.errors import StoreError as StoreError
    from specplan.models.sklearn.wrapper import ScikitModelWrapper as ScikitModelWrapper
    from specplan.models.torch.sequential import SequentialCNN as SequentialCNN
    from specplan.models.torch.sequential import SequentialMLP as SequentialMLP
    from specplan.models.torch.sequential import TemporalCNN as TemporalCNN
    from specplan.models.torch.wrapper import TorchModelWrapper as TorchModelWrapper
    from specplan.models.wrap import wrap_model as wrap_model
    from specplan.objects.accelerator import Accelerator as Accelerator
    from specplan.objects.binding import InputBinding as InputBinding
    from specplan.objects.checkpointing import Checkpointing as Checkpointing
    from specplan.objects.concat_node import ConcatNode as ConcatNode
    from specplan.objects.concat_node import MergeStrategy as MergeStrategy
    from specplan.objects.cross_validation import CrossValidation as CrossValidation
    from specplan.objects.cross_validation import CVBinding as CVBinding
    from specplan.objects.cross_validation import CVResults as CVResults
    from specplan.objects.decorator import ml_dash_experiment as ml_dash_experiment
    from specplan.objects.eval_phase import EvalPhase as EvalPhase
    from specplan.objects.evaluation import EvalLossMetric as EvalLossMetric
    from specplan.objects.evaluation import Evaluation as Evaluation
    from specplan.objects.experiment import Experiment as Experiment
    from specplan.objects.experiment_callback import ExperimentCallback as ExperimentCallback
    from specplan.objects.fit_phase import FitPhase as FitPhase
    from specplan.objects.graph import ModelGraph as ModelGraph
    from specplan.objects.group_results import PhaseGroupResults as PhaseGroupResults
    from specplan.objects.history import ExperimentRun as ExperimentRun
    from specplan.objects.loss import AppliedLoss as AppliedLoss
    from specplan.objects.loss import Loss as Loss
    from specplan.objects.node import ModelNode as ModelNode
    from specplan.objects.optimizer import Optimizer as Optimizer
    from specplan.objects.phase_group import PhaseGroup as PhaseGroup
    from specplan.objects.phase_results import EvalResults as EvalResults
    from specplan.objects.phase_results import FitResults as FitResults
    from specplan.objects.phase_results import PhaseResults as PhaseResults
    from specplan.objects.phase_results import TrainResults as TrainResults
    from specplan.objects.plan import Plan as Plan
    from specplan.objects.plan import compile as compile  # noqa: A004 -- read as specplan.compile
    from specplan.objects.plan import open as open  # noqa: A004 -- read as specplan.open
    from specplan.objects.plan import resume as resume
    from specplan.objects.results_config import ResultsConfig as ResultsConfig
    from specplan.objects.train_phase import ResultRecording as ResultRecording
    from specplan.objects.train_phase import TrainPhase as TrainPhase
    from specplan.results.artifact_store import ArtifactStore as ArtifactStore
    from specplan.results.execution_store import ExecutionStore as ExecutionStore
    from specplan.results.metric_store import MetricStore as MetricStore
    from specplan.run.callback import ArtifactResult as ArtifactResult
    from specplan.run.callback import Callback as Callback
    from specplan.run.callback import MetricResult as MetricResult
    from specplan.samplers import NSampler as NSampler
    from specplan.samplers import OwnSampler as OwnSampler
    from specplan.samplers import PairedSampler as PairedSampler
    from specplan.samplers import SimilarityCondition as SimilarityCondition
    from specplan.samplers import SimpleSampler as SimpleSampler
    from specplan.samplers import TripletSampler as TripletSampler
    from specplan.spec.model import DirtyGitAction as DirtyGitAction
    from specplan.track.experiment_block import experiment as experiment
    from specplan.track.local import LocalExperimentTracker as LocalExperimentTracker
    from specplan.track.local import compare_experiments as compare_experiments
    from specplan.track.manager import ExperimentManager as ExperimentManager
    from specplan.track.manager import ExperimentRecord as ExperimentRecord
    from specplan.track.mlflow import MLflowTracker as MLflowTracker
    from specplan.track.prefix import RUN as RUN
    from specplan.track.tracker import MAX_ARTIFACT_SIZE as MAX_ARTIFACT_SIZE
    from specplan.track.tracker import ExperimentConfig as ExperimentConfig
    from specplan.track.tracker import ExperimentTracker as ExperimentTracker
    from specplan.track.tracker import log_environment as log_environment
    from specplan.track.tracker import run_sweep as run_sweep
    from specplan.track.tracker import safe_log_artifact as safe_log_artifact
    from specplan.track.tracker import validate_metric as validate_metric

_MODULES = {
    "Accelerator": "objects.accelerator",
    "AppliedLoss": "objects.loss",
    "ArchiveError": "errors",
    "ArtifactResult": "run.callback",
    "ArtifactStore": "results.artifact_store",
    "CVBinding": "objects.cross_validation",
    "CVResults": "objects.cross_validation",
    "Callback": "run.callback",
    "Checkpointing": "objects.checkpointing",
    "CodeError": "errors",
    "ConcatNode": "objects.concat_node",
    "CrossValidation": "objects.cross_validation",
    "DataError": "errors",
    "DirtyGitAction": "spec.model",
    "DirtyGitError": "errors",
    "EarlyStopping": "components.callback",
    "EvalLossMetric": "objects.evaluation",
    "EvalPhase": "objects.eval_phase",
    "EvalResults": "objects.phase_results",
    "Evaluation": "objects.evaluation",
    "ExecutionStore": "results.execution_store",
    "Experiment": "objects.experiment",
    "ExperimentCallback": "objects.experiment_callback",
    "ExperimentConfig": "track.tracker",
    "ExperimentContext": "data.context",
    "ExperimentManager": "track.manager",
    "ExperimentRecord": "track.manager",
    "ExperimentRun": "objects.history",
    "ExperimentTracker": "track.tracker",
    "FeatureSet": "data.feature_set",
    "FeatureSetView": "data.feature_set_view",
    "FitPhase": "objects.fit_phase",
    "FitResults": "objects.phase_results",
    "GracefulTimeout": "errors",
    "InputBinding": "objects.binding",
    "LearningRate": "components.callback",
    "LocalExperimentTracker": "track.local",
    "Loss": "objects.loss",
    "MAX_ARTIFACT_SIZE": "track.tracker",
    "MLflowTracker": "track.mlflow",
    "MergeStrategy": "objects.concat_node",
    "MetricResult": "run.callback",
    "MetricStore": "results.metric_store",
    "ModelGraph": "objects.graph",
    "ModelNode": "objects.node",
    "NSampler": "samplers",
    "Optimizer": "objects.optimizer",
    "OwnSampler": "samplers",
    "PairedSampler": "samplers",
    "PhaseGroup": "objects.phase_group",
    "PhaseGroupResults": "objects.group_results",
    "PhaseResults": "objects.phase_results",
    "Plan": "objects.plan",
    "PlanError": "errors",
    "PrunedError": "errors",
    "RUN": "track.prefix",
    "ReduceOnPlateau": "components.callback",
    "RemoteError": "errors",
    "ResultRecording": "objects.train_phase",
    "ResultsConfig": "objects.results_config",
    "RunError": "errors",
    "RunStopped": "errors",
    "ScikitModelWrapper": "models.sklearn.wrapper",
    "Scaler": "data.scalers",
    "SequentialCNN": "models.torch.sequential",
    "SequentialMLP": "models.torch.sequential",
    "SimilarityCondition": "samplers",
    "SimpleSampler": "samplers",
    "SpecError": "errors",
    "SpecplanError": "errors",
    "StoreError": "errors",
    "TemporalCNN": "models.torch.sequential",
    "TorchModelWrapper": "models.torch.wrapper",
    "TrainPhase": "objects.train_phase",
    "TrainResults": "objects.phase_results",
    "TripletSampler": "samplers",
    "compare_experiments": "track.local",
    "compile": "objects.plan",
    "experiment": "track.experiment_block",
    "log_environment": "track.tracker",
    "ml_dash_experiment": "objects.decorator",
    "open": "objects.plan",
    "resume": "objects.plan",
    "run_sweep": "track.tracker",
    "safe_log_artifact": "track.tracker",
    "supported_scalers": "data.scalers",
    "validate_metric": "track.tracker",
    "wrap_model": "models.wrap",
}

# Without what is called like a function of Python: `from specplan import *` would hide that.
__all__ = [
    "MAX_ARTIFACT_SIZE",
    "RUN",
    "Accelerator",
    "AppliedLoss",
    "ArchiveError",
    "ArtifactResult",
    "ArtifactStore",
    "CVBinding",
    "CVResults",
    "Callback",
    "Checkpointing",
    "CodeError",
    "ConcatNode",
    "CrossValidation",
    "DataError",
    "DirtyGitAction",
    "DirtyGitError",
    "EarlyStopping",
    "EvalLossMetric",
    "EvalPhase",
    "EvalResults",
    "Evaluation",
    "ExecutionStore",
    "Experiment",
    "ExperimentCallback",
    "ExperimentConfig",
    "ExperimentContext",
    "ExperimentManager",
    "ExperimentRecord",
    "ExperimentRun",
    "ExperimentTracker",
    "FeatureSet",
    "FeatureSetView",
    "FitPhase",
    "FitResults",
    "GracefulTimeout",
    "InputBinding",
    "LearningRate",
    "LocalExperimentTracker",
    "Loss",
    "MLflowTracker",
    "MergeStrategy",
    "MetricResult",
    "MetricStore",
    "ModelGraph",
    "ModelNode",
    "NSampler",
    "Optimizer",
    "OwnSampler",
    "PairedSampler",
    "PhaseGroup",
    "PhaseGroupResults",
    "PhaseResults",
    "Plan",
    "PlanError",
    "PrunedError",
    "ReduceOnPlateau",
    "RemoteError",
    "ResultRecording",
    "ResultsConfig",
    "RunError",
    "RunStopped",
    "Scaler",
    "ScikitModelWrapper",
    "SequentialCNN",
    "SequentialMLP",
    "SimilarityCondition",
    "SimpleSampler",
    "SpecError",
    "SpecplanError",
    "StoreError",
    "TemporalCNN",
    "TorchModelWrapper",
    "TrainPhase",
    "TrainResults",
    "TripletSampler",
    "compare_experiments",
    "experiment",
    "log_environment",
    "ml_dash_experiment",
    "resume",
    "run_sweep",
    "safe_log_artifact",
    "supported_scalers",
    "validate_metric",
    "wrap_model",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'specplan' has no attribute {name!r}")
    value = getattr(import_module(f"specplan.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
