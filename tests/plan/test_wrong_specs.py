"""Every fault that the passes find, against the text that a person reads.

`UPDATE_GOLDEN=1 pytest tests/plan/test_wrong_specs.py` writes the texts anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from specplan.errors import SpecError
from specplan.plan.compile import compile_path
from specplan.spec.render import render

GOLDEN = Path(__file__).parent.parent / "golden/compile_errors"

Edits = tuple[tuple[str, str], ...]

ONE_FAULT: dict[str, Edits] = {
    "SP202_value_of_estimator": (("n_estimators: 5", "n_estimators: many"),),
    "SP204_no_optimizer": (("  optimizer: {use: adamw, lr: 0.01}\n", ""),),
    "SP206_negative_seed": (("seed: 13", "seed: -13"),),
    "SP206_betas": (("lr: 0.01}", "lr: 0.01, betas: [0.9, 1]}"),),
    "SP206_nesterov": (("{use: adamw, lr: 0.01}", "{use: sgd, nesterov: true}"),),
    "SP206_dampening": (
        ("{use: adamw, lr: 0.01}", "{use: sgd, nesterov: true, momentum: 0.9, dampening: 0.1}"),
    ),
    "SP207_long_id": (("id: cells", f"id: {'c' * 201}"),),
    "SP207_long_labels": (("group: deep", f"group: {'g' * 100}"), ("label: net", f"label: {'n' * 100}")),
    "SP301_feature_set": (("input: Cells.image", "input: Cell.image"),),
    "SP301_node": (("input: [Enc, Scaled]", "input: [Enc, Scald]"),),
    "SP301_node_with_field": (("input: Fuse\n      target: Cells.soh\n    C", "input: Fuse.outputs\n      target: Cells.soh\n    C"),),
    "SP301_no_input": (("input: [Enc, Scaled]", "input: []"),),
    "SP301_target_is_node": (("target: Cells.kind", "target: Enc"),),
    "SP301_node_of_loss": (("mse: {use: mse, node: Head}", "mse: {use: mse, node: Haed}"),),
    "SP301_argument": (("node: Head}\n  ce", "node: Head, args: [output, targets]}\n  ce"),),
    "SP301_loss_of_phase": (("losses: [mse, ce]\n", "losses: [mse, cee]\n"),),
    "SP301_active": (("active: [Forest]", "active: [Forrest]"),),
    "SP302_column": (("input: Cells.image", "input: Cells.images"),),
    "SP302_column_of_file": (("features: [curve,", "features: [curv, curve,"),),
    "SP302_no_column": (("input: Cells.image", "input: Cells"),),
    "SP302_shapes": (("{image: [1, 8, 8]}", "{image: [1, 8, 8], imag: [2]}"),),
    "SP303_split": (("label: test, split: test", "label: test, split: tset"),),
    "SP303_no_splits": (
        ("    splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}\n", ""),
        ("label: scale, split: train", "label: scale"),
        ("        split: train\n", ""),
        ("{use: evaluation, split: val,", "{use: evaluation, split: val, as: val,"),
        ("label: forest, split: train", "label: forest"),
        ("label: test, split: test", "label: test"),
    ),
    "SP304_label": (("label: forest, split", "label: scale, split"),),
    "SP304_column": (("targets: [soh,", "targets: [curve, soh,"),),
    "SP304_node_and_feature_set": (
        ("  nodes:\n", "  nodes:\n    Cells: {model: {use: mlp, output_shape: [1]}, input: Enc}\n"),
    ),
    "SP304_loss_listed_twice": (("losses: [mse, ce]\n", "losses: [mse, mse, ce]\n"),),
    "SP304_series": (
        ("  rmse: {use: rmse, node: Head}", "  mse: {use: mse, node: Head}\n  rmse: {use: rmse, node: Head}"),
        ("metrics: [rmse, accuracy,", "metrics: [mse, rmse, accuracy,"),
    ),
    "SP304_series_of_evaluation": (
        ("  mse: {use: mse, node: Head}\n", "  mse: {use: mse, node: Head}\n  val_mse: {use: l1, node: Head}\n"),
        ("losses: [mse, ce]\n", "losses: [mse, val_mse]\n"),
    ),
    "SP304_series_of_total": (
        ("  rmse: {use: rmse, node: Head}", "  eval_loss: {use: mse, node: Head}\n  rmse: {use: rmse, node: Head}"),
        ("metrics: [rmse, accuracy,", "metrics: [eval_loss, rmse, accuracy,"),
    ),
    "SP304_series_of_loss": (
        ("  mse: {use: mse, node: Head}\n", "  loss: {use: mse, node: Head}\n"),
        ("losses: [mse, ce]\n", "losses: [loss, ce]\n"),
        ("split: val, losses: [mse]", "split: val, losses: [loss]"),
        ("val_mse", "val_loss"),
        ("losses: [mse, ce], metrics", "losses: [loss, ce], metrics"),
    ),
    "SP304_early_stopping_twice": (
        ("        record: last", "          - {use: early_stopping, monitor: mse}\n        record: last"),
    ),
    "SP304_active_twice": (("active: [Forest]", "active: [Forest, Forest]"),),
    "SP305_cycle": (("input: [Cells.curve, Cells.temperature]", "input: Head"),),
    "SP305_itself": (("input: [Enc, Scaled]", "input: [Fuse, Enc, Scaled]"),),
    "SP307_nodes_without_merge": (
        ("input: [Cells.curve, Cells.temperature]", "input: [Cells.curve, Scaled]"),
    ),
    "SP307_columns_of_two": (
        ("input: [Cells.curve, Cells.temperature]", "input: [Cells.curve, Other.pair]"),
        ("graph:\n", "  Other: {source: {use: parquet, path: data/cells.parquet}, features: [pair]}\ngraph:\n"),
    ),
    "SP307_phase_of_two": (
        ("  optimizer", "    Both: {merge: {use: concat}, input: [Enc, Other.pair]}\n  optimizer"),
        ("graph:\n", "  Other: {source: {use: parquet, path: data/cells.parquet}, features: [pair], splits: {use: random, ratios: {train: 0.5, val: 0.5}}}\ngraph:\n"),
        ("  - group: deep", "  - {phase: eval, label: two, split: train, active: [Both]}\n  - group: deep"),
    ),
    "SP401_estimator": (("ensemble:RandomForestRegressor", "ensemble:RandomForestRegresor"),),
    "SP403_argument_of_estimator": (("n_estimators: 5", "n_estimatorz: 5"),),
    "SP403_python_only": (
        ("RandomForestRegressor\", n_est", "BaggingRegressor\", estimator: tree, n_est"),
    ),
    "SP110_pythonpath": (("run: {seed: 7, threads: 1}\n", "run: {seed: 7, threads: 1}\ncode: {pythonpath: [., nowhere]}\n"),),
    "SP115_class": (("plan:\n", 'plan:\n  - {phase: call, label: first, use: "./nets.py:Net"}\n'),),
    "SP401_call": (("plan:\n", 'plan:\n  - {phase: call, label: first, use: first}\n'),),
    "SP401_function": (("plan:\n", 'plan:\n  - {phase: call, label: first, use: "./nets.py:net"}\n'),),
    "SP402_pre_experiment": (("run: {seed: 7, threads: 1}\n", "run: {seed: 7, threads: 1}\ncode: {pre_experiment: nest.py}\n"),),
    "SP202_own_argument": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "nets:Net", width: "4"}'),),
    "SP202_own_item": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "nets:Net", width: 4, sizes: [1, two]}'),),
    "SP203_own_choice": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "nets:Net", width: 4, act: rleu}'),),
    "SP203_own_member": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "nets:Net", width: 4, mode: exat}'),),
    "SP204_own_argument": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "./nets.py:Net"}'),),
    "SP401_own_class": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "./nets.py:Nett", width: 4}'),),
    "SP402_module": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "net:Net", width: 4}'),),
    "SP402_file": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "./net.py:Net", width: 4}'),),
    "SP403_own_argument": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "nets:Net", width: 4, bais: true}'),),
    "SP406_function": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "nets:huber", delta: 2}'),),
    "SP406_standard_library": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "os:system", command: ls}'),),
    "SP406_builtins": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "builtins:exec"}'),),
    "SP408_no_python": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "broken:Net"}'),),
    "SP409_not_own": (("input: [Cells.curve, Cells.temperature]", "input: [Cells.curve, Cells.temperature]\n      output_shape: [4]"),),
    "SP605_own_model": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "nets:Net", width: 4}'),),
    "SP501_missing": (("data/cells.parquet", "data/cell.parquet"),),
    "SP501_folder": (("data/cells.parquet", "data"),),
    "SP501_no_folder": (("data/cells.parquet", "date/cells.parquet"),),
    "SP503_ratios": (("test: 0.1}", "test: 0.2}"),),
    "SP504_empty_split": (("train: 0.7, val: 0.2, test: 0.1", "train: 0.98, val: 0.01, test: 0.01"),),
    "SP505_nulls": (("targets: [soh,", "targets: [gaps, soh,"),),
    "SP302_group_not_listed": (("    tags: [name]", "    tags: [name]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, group_by: batch}")),
    "SP302_group": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, group_by: [bach]}")),
    "SP504_too_few_groups": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, group_by: rare}")),
    "SP505_nulls_in_groups": (("    tags: [name]", "    tags: [name, spotty]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, group_by: spotty}")),
    "SP507_too_large": (("shapes: {image: [1, 8, 8]}", "shapes: {image: [1, 8, 8], ragged: [1099511627776, 2]}"), ("temperature, image]", "temperature, image, ragged]")),
    "SP505_nulls_in_lists": (("targets: [soh,", "targets: [holes, soh,"),),
    "SP507_strings": (("temperature, image]", "temperature, image, name]"), ("    tags: [name]\n", "")),
    "SP507_ragged": (("temperature, image]", "temperature, image, ragged]"),),
    "SP507_shape": (("[1, 8, 8]", "[1, 8, 9]"),),
    "SP508_no_table": (("data/cells.parquet", "data/text.parquet"),),
    "SP508_no_rows": (("data/cells.parquet", "data/empty.parquet"),),
    "SP509_float_stratum": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, stratify_by: soh}")),
    "SP509_list_group": (("    tags: [name]", "    tags: [name, pair]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, group_by: pair}")),
    "SP510_groups_and_strata": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, group_by: batch, stratify_by: kind}")),
    "SP511_rare_stratum": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, stratify_by: [rare]}")),
    "SP512_no_such_value": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: column, column: fold, splits: {train: [0, 1], val: [2], test: [4]}}")),
    "SP504_no_value": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: column, column: fold, splits: {train: [0, 1], val: [], test: [2, 3]}}")),
    "SP512_value_twice": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: column, column: fold, splits: {train: [0, 1], val: [2, 1], test: [3]}}")),
    "SP512_values_left": (("    tags: [name]", "    tags: [name, batch, fold, rare]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: column, column: fold, splits: {train: [0], val: [2], test: [3]}}")),
    "SP514_not_finite": (("targets: [soh,", "targets: [unclear, soh,"), ("target: Cells.soh\n    C", "target: Cells.unclear\n    C")),
    "SP601_concat": (("input: [Enc, Scaled]", "input: [Enc, Cells.image]"),),
    "SP601_columns": (("input: [Cells.curve, Cells.temperature]", "input: Cells.features"),),
    "SP602_cnn_of_numbers": (("input: Cells.image", "input: Cells.soh"),),
    "SP602_pooling": (("pooling: 2}", "pooling: 3}"),),
    "SP602_kernel": (("pooling: 2}", "kernel_size: 11}"),),
    "SP602_one_target": (
        ("sklearn.ensemble:RandomForestRegressor\", n_estimators: 5, max_features: 1.0", "sklearn.svm:SVR\""),
        ("targets: [soh,", "targets: [pair, soh,"),
        ("input: Fuse\n      target: Cells.soh\n  o", "input: Fuse\n      target: Cells.pair\n  o"),
        (", forest_r2]", "]"),
    ),
    "SP602_several_targets": (
        (
            'sklearn.ensemble:RandomForestRegressor", n_estimators: 5, max_features: 1.0',
            'sklearn.linear_model:MultiTaskLasso"',
        ),
    ),
    "SP602_wider_than_input": (
        ('sklearn.preprocessing:StandardScaler"', 'sklearn.decomposition:PCA", n_components: 11'),
    ),
    "SP602_too_large": (("n_layers: 1, hidden_dim: 8", "n_layers: 2, hidden_dim: 10000000"),),
    "SP605_output_shape": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", "{use: mlp}"),),
    "SP605_classes": (("{use: cnn, output_shape: [3], pooling: 2}", "{use: cnn}"),),
    "SP605_no_target": (
        ("input: Fuse\n      target: Cells.soh\n  o", "input: Fuse\n  o"),
        ("forest_r2: {use: r2, node: Forest}", "forest_r2: {use: r2, node: Head}"),
    ),
    "SP605_width": (("sklearn.preprocessing:StandardScaler\"", "sklearn.decomposition:PCA\", n_components: 0.9"),),
    "SP606_active": (
        ("        losses: [mse, ce]\n", "        losses: [mse, ce]\n        active: [Head, Scaled]\n"),
        ("sklearn.preprocessing:StandardScaler", "sklearn.preprocessing:RobustScaler"),
    ),
    "SP622_active": (("        losses: [mse, ce]\n", "        losses: [mse, ce]\n        active: [Head, Scaled]\n"),),
    "SP606_only_sklearn": (
        ("mse: {use: mse, node: Head}", "mse: {use: mse, node: Forest}"),
        ("losses: [mse, ce]\n", "losses: [mse]\n"),
        ("  - group", "  - {phase: fit, label: early, active: [Forest]}\n  - group"),
        ("  - {phase: fit, label: forest, split: train, active: [Forest], metrics: [forest_r2]}\n", ""),
    ),
    "SP607_only_merge": (
        ("mse: {use: mse, node: Head}", "mse: {use: mse, node: Joined}"),
        ("  optimizer", "    Joined: {merge: {use: concat}, input: [Cells.soh], target: Cells.soh}\n  optimizer"),
        ("losses: [mse, ce]\n", "losses: [mse]\n"),
    ),
    "SP607_unreached": (
        ("        losses: [mse, ce]\n", "        losses: [ce]\n        active: [Classes, Enc]\n"),
    ),
    "SP607_active_trains_nothing": (
        ("        losses: [mse, ce]\n", "        losses: [mse, ce]\n        active: [Fuse]\n"),
    ),
    "SP607_active_is_empty": (("active: [Forest],", "active: [],"), (", forest_r2]}\nresults", "]}\nresults"), ("metrics: [forest_r2]}", "record: none}")),
    "SP607_only_targets_reached": (
        ("mse: {use: mse, node: Head}", "mse: {use: mse, node: Enc, args: [Fuse.outputs, Other.outputs]}"),
        ("  optimizer", "    Other: {model: {use: mlp, output_shape: [14]}, input: Cells.curve}\n  optimizer"),
        ("        losses: [mse, ce]\n", "        losses: [mse, ce]\n        active: [Enc, Head]\n"),
        ("record: last", "record: none"),
    ),
    "SP607_behind_scikit_learn": (
        ("input: Cells.curve\n    Fuse", "input: Enc\n    Fuse"),
        ("input: [Enc, Scaled]", "input: [Cells.curve, Scaled]"),
        ("        losses: [mse, ce]\n", "        losses: [mse, ce]\n        active: [Enc, Head]\n"),
    ),
    "SP607_fit_of_torch": (("active: [Scaled]", "active: [Scaled, Enc]"),),
    "SP607_frozen": (("active: [Forest],", "active: [Forest, Scaled],"),),
    "SP607_nothing_to_fit": (
        ("  - {phase: eval", "  - {phase: fit, label: again, split: train}\n  - {phase: eval"),
    ),
    "SP612_no_weight": (("node: Head}\n  ce", "node: Head, weight: 0}\n  ce"), ("weight: 0.5", "weight: 0")),
    "SP651_sizes": (("model: {use: mlp}\n", "model: {use: mlp, output_shape: [2]}\n"), (", metrics: [rmse]", ""), ("metrics: [rmse, ", "metrics: ["), ("  rmse: {use: rmse, node: Head}\n", "")),
    "SP651_metric": (("rmse: {use: rmse, node: Head}", "rmse: {use: rmse, node: Classes}"),),
    "SP651_logits": (
        ("{use: cnn, output_shape: [3], pooling: 2}", "{use: cnn, output_shape: [1]}"),
        ("  accuracy: {use: accuracy, node: Classes}\n", ""),
        ("accuracy, ", ""),
    ),
    "SP652_float_classes": (
        ("target: Cells.kind", "target: Cells.soh"),
        ("  accuracy: {use: accuracy, node: Classes}\n", ""),
        ("accuracy, ", ""),
    ),
    "SP652_classifier": (
        ("sklearn.ensemble:RandomForestRegressor", "sklearn.ensemble:RandomForestClassifier"),
    ),
    "SP654_logits_of_sklearn": (("ce: {use: cross_entropy, node: Classes,", "ce: {use: cross_entropy, node: Forest,"), ("losses: [mse, ce]\n", "losses: [mse]\n")),
    "SP654_area_of_sklearn": (("  rmse: {", "  area: {use: roc_auc, node: Forest}\n  rmse: {"),),
    "SP652_f1_of_amounts": (("  rmse: {", "  f1: {use: f1, node: Head}\n  rmse: {"),),
    "SP203_average": (("  rmse: {", "  f1: {use: f1, node: Classes, average: makro}\n  rmse: {"),),
    "SP654_labels": (
        ("  optimizer", "    Tree: {model: {use: \"sklearn.tree:DecisionTreeClassifier\"}, input: Cells.curve, target: Cells.kind}\n  optimizer"),
        ("ce: {use: cross_entropy, node: Classes,", "ce: {use: bce_with_logits, node: Tree,"),
        ("losses: [mse, ce]\n", "losses: [mse]\n"),
        ("active: [Forest]", "active: [Forest, Tree]"),
    ),
    "SP654_swapped": (("node: Classes, weight", "node: Classes, args: [targets, outputs], weight"),),
    "SP655_too_rare": (("every_n_epochs: 2", "every_n_epochs: 5"),),
    "SP655_impatient": (("every_n_epochs: 2", "every_n_epochs: 3"),),
    "SP651_once": (("model: {use: mlp}\n      input: Fuse\n      target: Cells.soh", "model: {use: mlp, output_shape: [2]}\n      input: Fuse\n      target: Cells.soh"), ("  rmse: {", "  mae: {use: mae, node: Head}\n  rmse: {")),
    "SP301_feature_set_everywhere": (("  Cells:\n", "  Cell:\n"),),
    "SP507_text_as_target": (("target: Cells.kind", "target: Cells.name"),),
    "SP710_dot": (("label: forest,", "label: forest, when: deep.net.mse < 1,"),),
    "SP302_comma_missing": (("[curve, temperature, image]", "[curve temperature, image]"),),
    "SP302_sum_of_columns": (("[Cells.curve, Cells.temperature]", "Cells.curve + Cells.temperature"),),
    "SP301_column_alone": (("target: Cells.kind", "target: kind"),),
    "SP403_argument_of_another": (("use: adamw, lr: 0.01", "use: adamw, momentum: 0.9"),),
    "SP202_list_of_ratios": (("ratios: {train: 0.7, val: 0.2, test: 0.1}", "ratios: [0.7, 0.2, 0.1]"),),
    "SP302_all_features": (("input: Cells.curve", "input: Cells.feature"),),
    "SP302_all_targets": (("target: Cells.kind", "target: Cells.targets"),),
    "SP406_no_base": (("{use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}", '{use: "nets:Mode"}'), ("nets:Mode", "./plain.py:Plain")),
    "SP406_one_argument": (("{use: mse, node: Head}", '{use: "./plain.py:distance", node: Head}'),),
    "SP202_text_in_a_column_split": (("    tags: [name]", "    tags: [name, fold]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: column, column: fold, splits: {train: ['0', '1'], val: [2], test: [3]}}")),
    "SP202_number_in_a_column_split": (("    tags: [name]", "    tags: [name, batch]"), ("splits: {use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13}", "splits: {use: column, column: batch, splits: {train: [b0, 1], val: [b2], test: [b3]}}")),
    "SP655_monitor": (("monitor: val_mse", "monitor: val_mes"),),
    "SP657_no_targets": (("mse: {use: mse, node: Head}", "mse: {use: mse, node: Enc}"),),
    "SP657_with_itself": (("mse: {use: mse, node: Head}", "mse: {use: mse, node: Head, args: [outputs, outputs]}"),),
    "SP657_only_targets": (("mse: {use: mse, node: Head}", "mse: {use: mse, node: Head, args: [targets, Forest.targets]}"),),
    "SP657_one_argument": (("node: Head}\n  ce", "node: Head, args: [outputs]}\n  ce"),),
    "SP657_empty_evaluation": (("losses: [mse], metrics: [rmse], every", "losses: [], every"), ("val_mse", "mse")),
    "SP702_no_batch": (("batch_size: 8,", "batch_size: 29, drop_last: true,"),),
    "SP703_not_fitted": (
        ("  - {phase: fit, label: forest, split: train, active: [Forest], metrics: [forest_r2]}\n", ""),
    ),
    "SP204_data_of_folds": (
        ("group: deep", "group: deep\n    for_each: {use: folds}"),
        ("graph:\n", "  Other: {source: {use: parquet, path: data/cells.parquet}, features: [pair]}\ngraph:\n"),
    ),
    "SP301_data_of_folds": (("group: deep", "group: deep\n    for_each: {use: folds, data: Cell}"),),
    "SP303_pooled": (("group: deep", "group: deep\n    for_each: {use: folds, of: [train, vall]}"),),
    "SP303_nothing_to_pool": (
        ("group: deep", "group: deep\n    for_each: {use: folds, train: known, val: judged}"),
    ),
    "SP303_rows_of_the_outer_fold": (
        (
            "group: deep",
            "group: outer\n    for_each: {use: folds, train: known, val: judged, of: [train, val]}\n"
            "    do:\n    - group: deep\n      for_each: {use: folds, of: [train]}",
        ),
        ("    do:\n      - phase: train", "      do:\n      - phase: train"),
    ),
    "SP304_parts_of_folds": (("group: deep", "group: deep\n    for_each: {use: folds, train: val}"),),
    "SP304_pooled_twice": (("group: deep", "group: deep\n    for_each: {use: folds, of: [val, train, val]}"),),
    "SP207_long_pass": (
        ("group: deep", f"group: {'g' * 95}\n    repeat: {{max: 2}}"),
        ("label: net", f"label: {'n' * 100}"),
    ),
    "SP710_no_comparison": (("label: forest,", "label: forest, when: deep.net/mse,"),),
    "SP710_no_phase": (("label: forest,", "label: forest, when: mse < 1,"),),
    "SP710_operator": (("label: forest,", "label: forest, when: deep.net/mse => 1,"),),
    "SP710_number": (("label: forest,", "label: forest, when: 'deep.net/mse < ce',"),),
    "SP710_two_comparisons": (
        ("label: forest,", "label: forest, when: \"deep.net/mse < 1 and deep.net/ce < 1\","),
    ),
    "SP711_phase": (("label: forest,", "label: forest, when: deep.ned/mse < 1,"),),
    "SP711_later": (("label: forest,", "label: forest, when: test/mse < 1,"),),
    "SP712_metric": (("label: forest,", "label: forest, when: deep.net/val_mes < 1,"),),
    "SP713_several_folds": (
        ("group: deep", "group: deep\n    for_each: {use: folds}"),
        ("label: forest,", "label: forest, when: deep.net/mse < 1,"),
    ),
    "SP713_until_outside": (
        ("active: [Scaled], record: none}", "active: [Scaled], record: none}\n  - {phase: eval, label: before, losses: [mse]}"),
        ("group: deep", "group: deep\n    repeat: {max: 3, until: before/mse < 1}"),
    ),
    "SP713_until_skipped": (
        ("  - group: deep", "  - {phase: eval, label: before, losses: [mse]}\n  - group: deep\n    repeat: {max: 3, until: net/mse < 1}"),
        ("label: net", "label: net\n        when: before/mse > 1"),
    ),
    "SP714_may_be_skipped": (("label: forest,", "label: forest, when: deep.net/mse < 1,"),),
    "SP715_too_many": (
        ("group: deep", "group: deep\n    repeat: {max: 10000}"),
    ),
    "SP716_more_folds_than_rows": (("group: deep", "group: deep\n    for_each: {use: folds, n: 37}"),),
    "SP716_more_folds_than_groups": (
        ("tags: [name]", "tags: [name, batch]"),
        ("seed: 13}", "seed: 13, group_by: batch}"),
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 9}"),
    ),
    "SP510_folds_of_strata_in_groups": (
        ("seed: 13}", "seed: 13, group_by: name}"),
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 3, stratify_by: kind}"),
    ),
    "SP511_rare_stratum_of_folds": (
        ("tags: [name]", "tags: [name, rare]"),
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 3, stratify_by: rare}"),
    ),
    "SP302_group_of_folds": (
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 3, group_by: nmae}"),
    ),
    "SP509_group_of_folds": (
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 3, group_by: curve}"),
    ),
    "SP718_folds_of_a_series": (
        ("use: random, ratios: {train: 0.7, val: 0.2, test: 0.1}, seed: 13", "use: ordered, ratios: {train: 0.7, val: 0.2, test: 0.1}"),
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 3}"),
    ),
    "SP301_colon_for_point": (("input: Cells.curve\n", "input: Cells:curve\n"),),
    "SP718_seed_of_ordered_folds": (
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 3, ordered: true, seed: 3}"),
    ),
    "SP718_shuffled_in_ordered_folds": (
        ("group: deep\n    do:", "group: series\n    for_each: {use: folds, n: 3, ordered: true}\n    do:\n    - group: deep\n      for_each: {use: folds, n: 2}\n      do:"),
    ),
    "SP510_ordered_folds_of_groups": (
        ("tags: [name]", "tags: [name, batch]"),
        ("seed: 13", "group_by: batch"),
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 3, ordered: true}"),
    ),
    "SP716_ordered_folds_of_few_rows": (
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 36, ordered: true}"),
    ),
}  # fmt: skip

MANY_FAULTS: dict[str, Edits] = {
    "many_in_one_callback": (("monitor: val_mse, patience: 2", "monitor: val_mes, patience: 0"),),
    "many_in_all_parts": (
        ("title: Cells", "titel: Cells"),
        ("data/cells.parquet", "data/cell.parquet"),
        ("test: 0.1}", "test: 0.2}"),
        ("{use: cnn, output_shape: [3], pooling: 2}", "{use: ccn, output_shape: [3]}"),
        ("input: Cells.image", "input: Cells.imag"),
        ("lr: 0.01", "lr: fast"),
        ("mse: {use: mse, node: Head}", "mse: {use: mse, node: Haed}"),
        ("monitor: val_mse", "monitor: val_mes"),
        ("label: test, split: test", "label: test, split: tset"),
    ),
    "many_shapes": (
        ("input: [Cells.curve, Cells.temperature]", "input: Cells.features"),
        ("pooling: 2}", "pooling: 5}"),
        ("batch_size: 8", "batch_size: 80, drop_last: true"),
    ),
    "many_in_each_fold": (
        ("group: deep", "group: deep\n    for_each: {use: folds, n: 3}"),
        ("split: val,", "split: vall,"),
        ("monitor: val_mse", "monitor: vall_mes"),
        ("label: forest,", "label: forest, when: deep.fold_3.net/mse < 1,"),
    ),
    "many_behind_lost_folds": (
        ("group: deep", "group: deep\n    for_each: {use: fold, train: known}"),
        ("        split: train\n        epochs", "        split: known\n        epochs"),
        ("label: test, split: test", "label: test, split: tset"),
    ),
    "many_behind_a_lost_phase": (
        ("{phase: fit, label: scale", "{phase: fit, lable: scale"),
        ("label: test, split: test", "label: test, split: tset"),
    ),
}


def errors_of(folder: Path, text: str, edits: Edits) -> SpecError:
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        compile_path("spec.yaml")
    return caught.value


@pytest.mark.parametrize("name", [*ONE_FAULT, *MANY_FAULTS])
def test_rendered_text(
    name: str, folder: Path, spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    error = errors_of(folder, spec_text, (ONE_FAULT | MANY_FAULTS)[name])
    errors = [item for item in error.diagnostics if item.severity == "error"]
    rendered = "\n\n".join(render(item) for item in errors) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")
    if name in ONE_FAULT:
        assert [item.code for item in errors] == [name[:5]]
    assert not any((item.hint or item.message).endswith(".") for item in errors)


def test_no_text_without_its_case() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == {*ONE_FAULT, *MANY_FAULTS}
