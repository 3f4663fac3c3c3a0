"""The documented program up to 'Phase Groups', cell by cell."""

# ruff: noqa: E402 -- it is run as it was documented
# mypy: disable-error-code="union-attr"

# %%
import numpy as np

from specplan import (
    AppliedLoss,
    EvalPhase,
    Experiment,
    FeatureSet,
    FitPhase,
    InputBinding,
    Loss,
    ModelGraph,
    ModelNode,
    Optimizer,
    TrainPhase,
)
from specplan.core.experiment.phases.phase_group import PhaseGroup
from specplan.samplers import SimpleSampler

# %% Creating an Experiment
exp = Experiment(label="my_experiment", registration_policy="overwrite")
print(f"Experiment: {exp.label}")
print(f"Context:    {exp.ctx}")

# %% Creating from an Active Context
exp = Experiment.from_active_context(
    label="my_experiment",
    registration_policy="overwrite",
)

# %% Setting Up a Model Graph
rng = np.random.default_rng(42)

fs = FeatureSet.from_dict(
    label="SensorData",
    data={
        "voltage": list(rng.standard_normal((500, 10))),
        "soh": list(rng.standard_normal((500, 1))),
    },
    feature_keys="voltage",
    target_keys="soh",
)

fs.split_random(
    ratios={
        "train": 0.8,
        "test": 0.2,
    },
    seed=13,
)
print(fs)
print(f"Splits: {fs.available_splits}")
fs.visualize()

# %%
from specplan.models.torch import SequentialMLP

fs_ref = fs.reference(features="voltage", targets="soh")

node = ModelNode(
    label="MLP",
    model=SequentialMLP(output_shape=(1, 1), n_layers=2, hidden_dim=32),
    upstream_ref=fs_ref,
)

graph = ModelGraph(
    label="SimpleGraph",
    nodes=[node],
    optimizer=Optimizer("adam", opt_kwargs={"lr": 1e-3}, backend="torch"),
)

graph.build()
graph.visualize()

# %% Input Bindings
train_binding = InputBinding.for_training(
    node=node,
    sampler=SimpleSampler(batch_size=32, shuffle=True, seed=42),
    upstream=None,
    split="train",
)
print(f"Train binding node: {train_binding.node_id[:8]}...")
print(f"Train binding split: {train_binding.split}")

# %%
eval_binding = InputBinding.for_evaluation(
    node=node,
    upstream=None,
    split="test",
)
print(f"Eval binding split: {eval_binding.split}")

# %% Defining a Loss
mse_loss = AppliedLoss(
    loss=Loss("mse", backend="torch"),
    on=node,
    inputs=["outputs", "targets"],
)
print(f"Loss: {mse_loss.label}")
print(f"Applied on: {mse_loss.node_id[:8]}...")

# %% Creating a TrainPhase
train_phase = TrainPhase(
    label="train",
    input_sources=[train_binding],
    losses=[mse_loss],
    n_epochs=3,
)
print(f"TrainPhase: {train_phase.label}")
print(f"  n_epochs: {train_phase.n_epochs}")
print(f"  losses:   {[ls.label for ls in train_phase.losses]}")

train_phase.visualize()

# %%
train_phase_b = TrainPhase.from_split(
    label="train_from_split",
    split="train",
    sampler=SimpleSampler(batch_size=32, shuffle=True, seed=42),
    losses=[mse_loss],
    n_epochs=3,
)
print(f"TrainPhase (from_split): {train_phase_b.label}")

train_phase.visualize()

# %% Creating an EvalPhase
eval_phase = EvalPhase.from_split(
    label="eval",
    split="test",
    losses=[mse_loss],
)
print(f"EvalPhase: {eval_phase.label}")

eval_phase.visualize()

# %% Creating a FitPhase
fit_phase = FitPhase.from_split(
    label="fit_rf",
    split="train",
    freeze_after_fit=True,
)

# %% The Execution Plan
plan = exp.execution_plan
print(f"Execution plan: {plan}")
print(f"Currently empty: {len(plan.all) == 0}")

# %%
plan.add_phase(train_phase)
plan.add_phase(eval_phase)

print(f"Plan entries: {len(plan.all)}")
for i, entry in enumerate(plan.all):
    print(f"  [{i}] {entry.label} ({type(entry).__name__})")

# %% Accessing Phases
first_phase = plan[0]
print(f"By index:  {first_phase.label}")

train_ref = plan["train"]
print(f"By label:  {train_ref.label}")

tp = plan.get_train_phase("train")
ep = plan.get_eval_phase("eval")
print(f"TrainPhase: {tp.label}, EvalPhase: {ep.label}")

# %% Removing Phases
plan.remove_phase("eval")
print(f"After remove: {[e.label for e in plan.all]}")

plan.add_phase(eval_phase)
print(f"After re-add: {[e.label for e in plan.all]}")

# %% Running Phases
train_results = exp.run_phase(train_phase)
print("Training completed.")
print(f"  History entries: {len(exp.history)}")

# %%
eval_results = exp.run_phase(eval_phase)
print("Evaluation completed.")
print(f"  History entries: {len(exp.history)}")

# %% Running the Full Execution Plan
results = exp.run()
print("Full run completed.")
print(f"History entries: {len(exp.history)}")

# %%
results  # noqa: B018 -- a notebook shows it

# %% Preview Mode
history_before = len(exp.history)

preview_res = exp.preview_phase(eval_phase)

history_after = len(exp.history)
print(f"History before: {history_before}")
print(f"History after:  {history_after}")
print(f"State was restored: {history_before == history_after}")

# %% Execution History
for i, run in enumerate(exp.history):
    print(
        f"  Run {i}: label={run.label!r}, "
        f"status={run.status}, "
        f"duration={run.ended_at - run.started_at}",
    )

# %%
last = exp.last_run
print(f"Last run: {last.label}")
print(f"  Status:  {last.status}")
print(f"  Results: {type(last.results).__name__}")

# %% ResultsConfig - Where Results Are Stored
from pathlib import Path
from tempfile import TemporaryDirectory

from specplan.core.experiment.results.results_config import ResultsConfig

with exp.ctx.temporary():
    exp_mem = Experiment(label="exp_mem")

    run_dir = TemporaryDirectory()
    cfg_full = ResultsConfig(results_dir=Path(run_dir.name))
    print(f"Save artifacts on disk? {cfg_full.save_artifacts}")
    print(f"Save execution data on disk? {cfg_full.save_execution}")
    print(f"Save metrics on disk? {cfg_full.save_metrics}")

# %% result_recording - How Much Training Data to Keep
from specplan import ResultRecording

train_all = TrainPhase.from_split(
    label="train_all",
    split="train",
    sampler=SimpleSampler(batch_size=32, shuffle=True, seed=42),
    losses=[mse_loss],
    n_epochs=2,
    result_recording=ResultRecording.ALL,
)
results_all = exp.preview_phase(train_all)
print(f"ALL -> execution contexts: {len(results_all.execution_contexts())}")

train_last = TrainPhase.from_split(
    label="train_last",
    split="train",
    sampler=SimpleSampler(batch_size=32, shuffle=True, seed=42),
    losses=[mse_loss],
    n_epochs=2,
    result_recording=ResultRecording.LAST,
)
results_last = exp.preview_phase(train_last)
print(f"LAST -> execution contexts: {len(results_last.execution_contexts())}")

train_none = TrainPhase.from_split(
    label="train_none",
    split="train",
    sampler=SimpleSampler(batch_size=32, shuffle=True, seed=42),
    losses=[mse_loss],
    n_epochs=2,
    result_recording=ResultRecording.NONE,
)
results_none = exp.preview_phase(train_none)
print(f"NONE -> execution contexts: {len(results_none.execution_contexts())}")

# %% Phase Groups
cycle = PhaseGroup(label="train_eval_cycle")

cycle.add_phase(
    TrainPhase.from_split(
        label="cycle_train",
        split="train",
        sampler=SimpleSampler(batch_size=32, shuffle=True, seed=42),
        losses=[mse_loss],
        n_epochs=2,
    ),
)
cycle.add_phase(
    EvalPhase.from_split(
        label="cycle_eval",
        split="test",
        losses=[mse_loss],
    ),
)

print(f"Group: {cycle}")
print(f"Entries: {[e.label for e in cycle.all]}")

# %%
group_results = exp.run_group(cycle)
print(f"Group results: {group_results.flatten()}")

# %% Nesting Groups
outer = PhaseGroup(label="outer")

inner = PhaseGroup(label="inner")
inner.add_phase(
    TrainPhase.from_split(
        label="inner_train",
        split="train",
        sampler=SimpleSampler(batch_size=64, shuffle=True, seed=0),
        losses=[mse_loss],
        n_epochs=1,
    ),
)

outer.add_group(inner)
outer.add_phase(
    EvalPhase.from_split(
        label="outer_eval",
        split="test",
        losses=[mse_loss],
    ),
)

print(f"Flattened: {[p.label for p in outer.flatten()]}")

# %% Experiment Callbacks
from specplan import ExperimentCallback


class Printing(ExperimentCallback):
    def on_phase_start(self, experiment, phase):  # type: ignore[no-untyped-def]
        print(f"{experiment.label}: {phase.label} begins")

    def on_group_end(self, experiment, group):  # type: ignore[no-untyped-def]
        print(f"{experiment.label}: {group.label} is over")


my_callback, another_callback = Printing(), Printing(label="another")

with exp.ctx.temporary():
    exp_called = Experiment(
        label="my_exp",
        callbacks=[my_callback],
    )

    # Or add later
    exp_called.add_callback(another_callback)
print(f"Callbacks: {[callback.label for callback in exp_called.exp_callbacks]}")

exp.add_callback(my_callback)
exp.run_group(outer, show_training_progress=False, show_eval_progress=False)

# %% Manual Checkpointing
CKPT_DIR = TemporaryDirectory()

exp.set_checkpoint_dir(Path(CKPT_DIR.name))

ckpt_path = exp.save_checkpoint("after_training", overwrite=True)
print(f"Checkpoint saved to: {ckpt_path}")
print(f"Available checkpoints: {list(exp.available_checkpoints.keys())}")

# %%
exp.restore_checkpoint("after_training")
print("Checkpoint restored.")

# %% Disabling Checkpointing
with exp.disable_checkpointing():
    exp.run_phase(train_phase)

# %% Serialization
SAVE_DIR = TemporaryDirectory()

save_path = exp.save(Path(SAVE_DIR.name) / "my_experiment", overwrite=True)
print(f"Experiment saved to: {save_path}")

# %%
loaded_exp = Experiment.load(save_path, overwrite=True)
print(f"Loaded experiment: {loaded_exp.label}")
print(f"  Model graph: {loaded_exp.model_graph}")

# %%
config = exp.get_config()
state = exp.get_state()

exp.set_state(state)

# %% Saving Without FeatureSet Data
FS_SAVE_DIR = TemporaryDirectory()
EXP_SAVE_DIR = TemporaryDirectory()

fs_path = fs.save(Path(FS_SAVE_DIR.name) / "SensorData", overwrite=True)
print(f"FeatureSet saved to: {fs_path}")

slim_exp_path = exp.save(
    Path(EXP_SAVE_DIR.name) / "my_experiment_slim",
    include_featuresets=False,
    overwrite=True,
)
print(f"Experiment (slim) saved to: {slim_exp_path}")

# %%
loaded_slim = Experiment.load(
    slim_exp_path,
    featuresets=[fs_path],
    overwrite=True,
)
print(f"Loaded experiment: {loaded_slim.label}")
print(f"  FeatureSet: {loaded_slim.featureset!r}")
print(f"  Model graph: {loaded_slim.model_graph!r}")
