from __future__ import annotations

import builtins
import importlib
import subprocess
import sys

import pytest

import specplan

PUBLIC = """
    Accelerator
    AppliedLoss
    ArchiveError
    ArtifactResult
    ArtifactStore
    CVBinding
    CVResults
    Callback
    Checkpointing
    CodeError
    ConcatNode
    CrossValidation
    DataError
    DirtyGitAction
    DirtyGitError
    EarlyStopping
    EvalLossMetric
    EvalPhase
    EvalResults
    Evaluation
    ExecutionStore
    Experiment
    ExperimentCallback
    ExperimentConfig
    ExperimentContext
    ExperimentManager
    ExperimentRecord
    ExperimentRun
    ExperimentTracker
    FeatureSet
    FeatureSetView
    FitPhase
    FitResults
    GracefulTimeout
    InputBinding
    LearningRate
    LocalExperimentTracker
    Loss
    MAX_ARTIFACT_SIZE
    MLflowTracker
    MergeStrategy
    MetricResult
    MetricStore
    ModelGraph
    ModelNode
    NSampler
    Optimizer
    OwnSampler PairedSampler
    PhaseGroup
    PhaseGroupResults
    PhaseResults
    Plan
    PlanError
    PrunedError
    RUN
    ReduceOnPlateau
    RemoteError
    ResultRecording
    ResultsConfig
    RunError
    RunStopped
    Scaler
    ScikitModelWrapper
    SequentialCNN
    SequentialMLP
    SimilarityCondition
    SimpleSampler
    SpecError
    SpecplanError
    StoreError
    TemporalCNN
    TorchModelWrapper
    TrainPhase
    TrainResults
    TripletSampler
    compare_experiments
    compile
    experiment
    log_environment
    ml_dash_experiment
    open
    resume
    run_sweep
    safe_log_artifact
    supported_scalers
    validate_metric
    wrap_model
"""


def test_public_names_are_these() -> None:
    # What is called like a function of Python does not come with `from specplan import *`.
    shadowing = {name for name in PUBLIC.split() if hasattr(builtins, name)}
    assert shadowing == {"compile", "open"}
    assert sorted(specplan.__all__) == sorted(set(PUBLIC.split()) - shadowing)
    for name in PUBLIC.split():
        assert getattr(getattr(specplan, name), "__name__", name) == name
        assert name in dir(specplan)
    with pytest.raises(AttributeError, match=r"^module 'specplan' has no attribute 'Nothing'$"):
        specplan.Nothing  # noqa: B018


def test_documented_modules_have_their_names() -> None:
    from specplan.core.experiment.phases.phase_group import PhaseGroup
    from specplan.core.experiment.results.results_config import ResultsConfig
    from specplan.models.torch import SequentialCNN, SequentialMLP
    from specplan.samplers import SimpleSampler

    assert PhaseGroup is specplan.PhaseGroup
    assert ResultsConfig is specplan.ResultsConfig
    assert SequentialMLP is specplan.SequentialMLP
    assert SequentialCNN is specplan.SequentialCNN
    assert SimpleSampler is specplan.SimpleSampler


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("callbacks", "ArtifactResult Callback EarlyStopping EvalLossMetric Evaluation"),
        ("core.experiment.callbacks.callback", "Callback"),
        ("core.experiment.experiment_context", "ExperimentContext"),
        ("core.models", "ScikitModelWrapper TorchModelWrapper wrap_model"),
        ("core.topology.merge_nodes.merge_strategy", "MergeStrategy"),
        ("samplers", "NSampler OwnSampler PairedSampler SimpleSampler TripletSampler"),
        ("utils.nn.accelerator", "Accelerator"),
    ],
)
def test_modules_of_notebooks_have_their_names(module: str, names: str) -> None:
    found = importlib.import_module(f"specplan.{module}")
    for name in names.split():
        assert getattr(found, name) is getattr(specplan, name)
        assert name in found.__all__


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import specplan", ("numpy", "torch", "pyarrow", "pandas", "rich", "msgspec")),
        ("from specplan import *", ("torch", "pyarrow", "pandas", "sklearn", "rich")),
        ("import specplan.models.torch", ("torch", "pyarrow")),
    ],
)
def test_importing_is_light(program: str, absent: tuple[str, ...]) -> None:
    code = f"{program}; import sys; print(*[name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
