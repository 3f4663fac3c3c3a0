"""The documented program up to 'Running the Full Execution Plan', cell by cell."""

# ruff: noqa: E402 -- it is run as it was documented

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
from specplan.experiment.phase_group import PhaseGroup
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

assert isinstance(plan, PhaseGroup)

# %% Manual Checkpointing
from pathlib import Path
from tempfile import TemporaryDirectory

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
