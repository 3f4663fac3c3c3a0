"""What is said of mistakes that people make, one at a time: one error, its text, and the edit that mends it.

`UPDATE_GOLDEN=1 pytest tests/spec/test_wording.py` writes the texts anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from specplan._native import parse_text
from specplan.errors import SpecError
from specplan.spec.load import load
from specplan.spec.render import render
from specplan.spec.validate import validate

GOLDEN = Path(__file__).parent.parent / "golden/wording"

SPEC = """\
specplan: 1
run: {seed: 1, deterministic: true}
params: {rate: 0.01, width: 8}
data:
  Sensor:
    source: {use: parquet, path: data/sensor.parquet}
    features: [voltage, current]
    targets: [soh]
    splits: {use: random, ratios: {train: 0.8, test: 0.2}, seed: 13}
graph:
  nodes:
    Net:
      model: {use: mlp, hidden_dim: 8}
      input: Sensor.voltage
      target: Sensor.soh
  optimizer: {use: adam, lr: 0.001}
losses:
  mse: {use: mse, node: Net}
metrics:
  rmse: {use: rmse, node: Net}
plan:
  - phase: train
    label: train
    split: train
    epochs: 3
    sampler: {use: simple, batch_size: 32, shuffle: true}
    losses: [mse]
    callbacks:
      - {use: evaluation, split: test, losses: [mse]}
    record: last
  - {phase: eval, label: test, split: test, losses: [mse], metrics: [rmse]}
results: {dir: runs}
"""

SOURCE = "{use: parquet, path: data/sensor.parquet}"
SAMPLER = "{use: simple, batch_size: 32, shuffle: true}"

MISTAKES = {
    "source_is_a_path": (SOURCE, "data/sensor.parquet"),
    "source_is_a_path_of_csv": (SOURCE, "data/sensor.csv"),
    "source_of_csv": ("use: parquet, path: data/sensor.parquet", "use: csv, path: data/sensor.csv"),
    "source_of_pandas": ("use: parquet, path", "use: pandas.read_csv, path"),
    "version_in_capitals": ("specplan: 1", "Specplan: 1"),
    "version_with_a_point": ("specplan: 1", "specplan: 1.0"),
    "nested_columns": ("[voltage, current]", "[[voltage, current]]"),
    "columns_with_commas": ("[voltage, current]", "voltage, current"),
    "quoted_number": ("lr: 0.001", 'lr: "1e-3"'),
    "quoted_boolean": ("shuffle: true", 'shuffle: "true"'),
    "yes": ("shuffle: true", "shuffle: yes"),
    "one_for_true": ("shuffle: true", "shuffle: 1"),
    "off": ("deterministic: true", "deterministic: off"),
    "quoted_decimal_comma": ("lr: 0.001", 'lr: "0,001"'),
    "underscores_in_a_number": ("epochs: 3", "epochs: 1_000"),
    "percent": ("train: 0.8", "train: 80%"),
    "percentages": ("train: 0.8", "train: 80"),
    "shell_variable": ("lr: 0.001", "lr: ${params.rate}"),
    "template": ("lr: 0.001", 'lr: "{{ rate }}"'),
    "parameter_by_name": ("lr: 0.001", "lr: params.rate"),
    "batch_size_beside_sampler": (SAMPLER, "{use: simple}\n    batch_size: 32"),
    "rate_in_phase": ("    epochs: 3\n", "    epochs: 3\n    lr: 0.1\n"),
    "epochs_in_run": ("seed: 1,", "seed: 1, epochs: 3,"),
    "optimizer_at_the_top": ("results:", "optimizer: {use: adam}\nresults:"),
    "metrics_in_training": ("    record: last", "    metrics: [rmse]"),
    "patience_in_phase": ("    record: last", "    patience: 3"),
    "seed_in_experiment": ("run:", "experiment: {seed: 1}\nrun:"),
    "target_in_loss": ("mse: {use: mse, node: Net}", "mse: {use: mse, node: Net, target: soh}"),
    "gpu": ("seed: 1,", "seed: 1, gpu: true,"),
    "one_loss": ("losses: [mse]\n    call", "losses: mse\n    call"),
    "phase_evaluate": ("phase: eval", "phase: evaluate"),
    "phase_test": ("phase: eval", "phase: test"),
    "arguments_under_with": ("{use: mlp, hidden_dim: 8}", "{use: mlp, with: {hidden_dim: 8}}"),
    "arguments_under_params": (
        "use: parquet, path: data/sensor.parquet",
        "use: parquet, params: {path: data/sensor.parquet}",
    ),
    "component_by_name": ("{use: mlp, hidden_dim: 8}", "MLP"),
    "component_in_a_list": ("{use: adam, lr: 0.001}", "[{use: adam, lr: 0.001}]"),
    "component_as_key": ("{use: mlp, hidden_dim: 8}", "{mlp: {hidden_dim: 8}}"),
    "type_for_use": ("{use: adam,", "{type: adam,"),
    "learning_rate": ("lr: 0.001", "learning_rate: 0.001"),
    "relu6": ("hidden_dim: 8", "activation: relu6"),
    "callbacks_without_list": (
        "\n      - {use: evaluation, split: test, losses: [mse]}",
        " {use: evaluation, split: test, losses: [mse]}",
    ),
    "record_true": ("record: last", "record: true"),
    "no_space_after_colon": ("    epochs: 3\n", "    epochs:3\n"),
    "no_space_in_braces": ("{use: adam, lr: 0.001}", "{use:adam, lr: 0.001}"),
    "no_space_in_mapping": ("optimizer: {use: adam, lr: 0.001}", "optimizer:\n    use:adam"),
    "nodes_without_nodes": ("  nodes:\n    Net:\n      model", "  Net:\n      model"),
    "data_without_label": (
        "  Sensor:\n    source: {use: parquet, path: data/sensor.parquet}\n    features: [voltage, current]\n"
        "    targets: [soh]\n    splits: {use: random, ratios: {train: 0.8, test: 0.2}, seed: 13}\n",
        "  source: {use: parquet, path: data/sensor.parquet}\n  features: [voltage, current]\n"
        "  targets: [soh]\n",
    ),
    "loss_without_label": ("  mse: {use: mse, node: Net}", "  use: mse\n  node: Net"),
    "losses_as_list": ("  mse: {use: mse, node: Net}", "  - {use: mse, node: Net}"),
    "plan_as_mapping": (
        SPEC[SPEC.index("plan:\n") : SPEC.index("results:")],
        "plan:\n  test: {phase: eval, label: test, split: test, losses: [mse]}\n",
    ),
    "use_is_missing": ("{use: adam, lr: 0.001}", "{lr: 0.001}"),
    "version_is_true": ("specplan: 1", "specplan: true"),
    "json5_number": ("lr: 0.001", "lr: .001e"),
    "phase_as_key": (
        "{phase: eval, label: test, split: test, losses: [mse], metrics: [rmse]}",
        "{eval: {label: test}, label: test, split: test, losses: [mse]}",
    ),
    "nothing_below": ("graph:\n  nodes:", "x-graph:\n  nodes:"),
    "empty_section": ("metrics:\n  rmse: {use: rmse, node: Net}\n", "metrics:\n"),
    "label_is_a_number": ("label: test", "label: 2024"),
    "label_with_spaces": ("label: test", "label: my test"),
    "own_class_of_sklearn": ("{use: mlp, hidden_dim: 8}", "{use: RandomForestRegressor}"),
    "dots_for_sklearn": ("{use: mlp, hidden_dim: 8}", "{use: sklearn.linear_model.Ridge}"),
    "loss_in_optimizer": ("{use: adam, lr: 0.001}", "{use: mse}"),
    "far_name": ("{use: mlp, hidden_dim: 8}", "{use: transformer}"),
    "callbacks_by_name": (
        "      - {use: evaluation, split: test, losses: [mse]}",
        "      evaluation: {split: test, losses: [mse]}",
    ),
    "experiment_by_name": ("run:", "experiment: cells\nrun:"),
    "results_by_folder": ("{dir: runs}", "runs"),
    "shape_in_quotes": ("hidden_dim: 8", "output_shape: '[1]'"),
    "inputs_with_names": ("input: Sensor.voltage", "input: {a: Sensor.voltage, b: Sensor.current}"),
    "sampler_is_a_number": (SAMPLER, "32"),
    "metric_by_name": ("{use: rmse, node: Net}", "rmse"),
    "no_losses": ("    losses: [mse]\n    call", "    call"),
    "no_sampler": (f"    sampler: {SAMPLER}\n", ""),
    "several_inputs_and_no_merge": (
        "      model: {use: mlp, hidden_dim: 8}\n      input: Sensor.voltage",
        "      input: [Sensor.voltage, Sensor.current]",
    ),
    "unknown_parameter": ("lr: 0.001", "lr: {$: params.lr}"),
    "module_of_torch": ("{use: mlp, hidden_dim: 8}", "{use: torch.nn.Linear}"),
    "loss_of_torch": ("{use: mse, node: Net}", "{use: torch.nn.HuberLoss, node: Net}"),
}


SLIPS = {
    "tab": ("    features", "\tfeatures"),
    "space_after_colon": ("    label: train\n", "    label:train\n"),
    "open_list": ("[voltage, current]", "[voltage, current"),
    "open_mapping": ("{use: mlp, hidden_dim: 8}", "{use: mlp, hidden_dim: 8"),
    "open_string": ("path: data/sensor.parquet}", 'path: "data/sensor.parquet}'),
    "indentation_of_item": ("  - {phase: eval", " - {phase: eval"),
    "indentation_of_key": ("    targets: [soh]", "     targets: [soh]"),
    "colon_in_value": ("run: {seed", "experiment:\n  title: a: b\nrun: {seed"),
    "no_colon": ("    record: last", "    record last"),
    "equals": ("    record: last", "    record = last"),
    "not_evaluated": ("hidden_dim: 8", "hidden_dim: ${params.width}"),
    "decimal_comma": ("test: 0.2}", "test: 0,2}"),
    "key_twice": ("    record: last", "    record: last\n    label: train"),
}
JSON_SLIPS = {
    "missing_comma": ('"specplan": 1,', '"specplan": 1'),
    "trailing_comma": ('"dir": "runs"', '"dir": "runs",'),
    "comment": ('"specplan": 1,', '"specplan": 1, // version'),
    "single_quotes": ('"use": "mlp"', "'use': 'mlp'"),
    "bare_key": ('"hidden_dim": 8', "hidden_dim: 8"),
    "python_literal": ('"shuffle": true', '"shuffle": True'),
    "open_list": ('"current"\n      ]', '"current"'),
    "wrong_bracket": ('"current"\n      ]', '"current"\n      }'),
    "open_string": ('"label": "train"', '"label": "train'),
    "equals": ('"epochs": 3', '"epochs" = 3'),
    "decimal_comma": ('"test": 0.2', '"test": 0,2'),
    "bare_word": ('"record": "last"', '"record": last'),
}


def errors_of(text: str, name: str = "spec.yaml") -> SpecError:
    Path(name).write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        validate(load(name))
    return caught.value


@pytest.mark.parametrize("name", MISTAKES)
def test_text(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before, after = MISTAKES[name]
    assert SPEC.count(before) == 1, before
    found = errors_of(SPEC.replace(before, after)).diagnostics
    rendered = "\n\n".join(map(render, found)) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")
    assert len(found) == 1


@pytest.mark.parametrize("name", [*SLIPS, *(f"json_{name}" for name in JSON_SLIPS)])
def test_a_slip_of_the_text_hides_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, slips, rate, file = SPEC, SLIPS, ("lr: 0.001", "lr: fast"), "spec.yaml"
    if name.startswith("json_"):
        text = json.dumps(parse_text(SPEC, "yaml").value, indent=2)
        slips, rate, file = JSON_SLIPS, ('"lr": 0.001', '"lr": "fast"'), "spec.json"
    before, after = slips[name.removeprefix("json_")]
    assert text.count(before) == 1, before
    found = errors_of(text.replace(before, after).replace(*rate), file).diagnostics
    rendered = "\n\n".join(map(render, found)) + "\n"
    golden = GOLDEN.parent / f"slips/{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")
    assert [item.code[:5] for item in found].count("SP202") == 1
    assert len(found) == 2
