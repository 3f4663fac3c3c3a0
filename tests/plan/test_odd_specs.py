"""Everything that the compiler warns of, against the text that a person reads.

`UPDATE_GOLDEN=1 pytest tests/plan/test_odd_specs.py` writes the texts anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from specplan.errors import SpecError
from specplan.plan.compile import compile_path
from specplan.spec.render import render

GOLDEN = Path(__file__).parent.parent / "golden/compile_warnings"

SMALL = """\
specplan: 1
data:
  Cells:
    source: {use: parquet, path: data/cells.parquet}
    features: [curve]
    targets: [soh]
    splits: {use: random, ratios: {train: 0.8, test: 0.2}}
graph:
  nodes:
    Forest:
      model: {use: "sklearn.ensemble:RandomForestRegressor"}
      input: Cells.curve
      target: Cells.soh
    Net:
      model: {use: mlp}
      input: Cells.curve
      target: Cells.soh
  optimizer: {use: adam}
losses:
  forest: {use: mse, node: Forest}
  net: {use: mse, node: Net}
plan:
  - {phase: fit, label: grow, split: train, active: [Forest], losses: [forest]}
  - {phase: train, label: train, split: train, losses: [net], sampler: {use: simple, batch_size: 8}}
  - {phase: eval, label: test, split: test, losses: [forest, net]}
"""

Edits = tuple[tuple[str, str], ...]

OF_SMALL: dict[str, Edits] = {
    "SP306_optimizer": (
        ("  - {phase: train, label: train, split: train, losses: [net], sampler: {use: simple, batch_size: 8}}\n", ""),
        ("    Net:\n      model: {use: mlp}\n      input: Cells.curve\n      target: Cells.soh\n", ""),
        ("  net: {use: mse, node: Net}\n", ""),
        ("losses: [forest, net]", "losses: [forest]"),
    ),
    "SP506_equal_rows": (("data/cells.parquet", "data/twice.parquet"), ("{use: random, ratios", "{use: ordered, ratios")),
    "SP513_uneven_groups": (("test: 0.2}}", "test: 0.2}, group_by: uneven, seed: 22}\n    tags: [uneven]"),),
    "SP506_folds": (
        ("data/cells.parquet", "data/twice.parquet"),
        ("splits: {use: random, ratios: {train: 0.8, test: 0.2}}", "tags: [name]\n    splits: {use: random, ratios: {train: 0.8, test: 0.2}, group_by: name}"),
        ("plan:\n", "plan:\n  - group: cv\n    for_each: {use: folds, n: 3, group_by: []}\n    do:\n      - {phase: fit, label: grow, split: train}\n      - {phase: eval, label: judge, split: val, losses: [forest]}\n"),
    ),
    "SP514_not_finite": (
        ("features: [curve]", "features: [curve, unclear]"),
        ("Forest:\n      model: {use: \"sklearn.ensemble:RandomForestRegressor\"}\n      input: Cells.curve", "Forest:\n      model: {use: \"sklearn.ensemble:RandomForestRegressor\"}\n      input: [Cells.curve, Cells.unclear]"),
    ),
    "SP608_no_training": (
        ("  - {phase: train, label: train, split: train, losses: [net], sampler: {use: simple, batch_size: 8}}\n", ""),
        ("  optimizer: {use: adam}\n", ""),
    ),
    "SP706_batch_size": (("batch_size: 8", "batch_size: 64"),),
    "SP706_tuples": (
        ("targets: [soh]", "targets: [soh]\n    tags: [name]"),
        ("  net: {use: mse, node: Net}", "  net: {use: mse, node: Net, args: [outputs.anchor, outputs.positive]}"),
        ("losses: [forest, net]", "losses: [forest]"),
        ("sampler: {use: simple, batch_size: 8}", "sampler: {use: paired, batch_size: 4096, conditions: {name: {mode: dissimilar}}}"),
    ),
    "SP615_same_split": (("label: test, split: test", "label: test, split: train"),),
    "SP615_trained_on_test": (("label: train, split: train", "label: train, split: test"), ("label: grow, split: train", "label: grow, split: test")),
    "SP306_splits": (
        ("label: train, split: train", "label: train"), ("label: grow, split: train", "label: grow"),
        ("label: test, split: test", "label: test"),
    ),
    "SP610_teacher": (
        ("  net: {use: mse, node: Net}", "  net: {use: mse, node: Net, args: [outputs, Teacher.outputs]}\n  teach: {use: mse, node: Teacher}"),
        ("    Net:", "    Teacher: {model: {use: mlp}, input: Cells.curve, target: Cells.soh}\n    Net:"),
        ("losses: [net], sampler", "losses: [net], active: [Net], sampler"),
        ("  - {phase: eval", "  - {phase: train, label: teach, split: train, losses: [teach], sampler: {use: simple}}\n  - {phase: eval"),
    ),
    "SP615_measures_all": (("label: test, split: test", "label: test"),),
    "SP615_learns_from_test": (("label: grow, split: train", "label: grow, split: test"),),
    "SP619_given_answer": (("    Net:\n      model: {use: mlp}\n      input: Cells.curve", "    Net:\n      model: {use: mlp}\n      input: Cells.soh"),),
    "SP620_in_order": (("batch_size: 8}}", "batch_size: 12, drop_last: true}}"),),
    "SP620_one_shuffle": (("batch_size: 8}}", "batch_size: 12, drop_last: true, shuffle: true, reshuffle: false}}"),),
    "SP656_of_scikit_learn": (("losses: [net], sampler", "losses: [forest, net], sampler"),),
    "SP656_trained_before": (
        ("  - {phase: eval", "  - {phase: train, label: again, split: train, active: [Net], losses: [net, other], sampler: {use: simple}}\n  - {phase: eval"),
        ("losses: [net], sampler", "losses: [net, other], sampler"),
        ("  net: {use", "  other: {use: mse, node: Other}\n  net: {use"),
        ("    Net:", "    Other: {model: {use: mlp}, input: Cells.curve, target: Cells.soh}\n    Net:"),
    ),
    "SP717_pooled_split": (
        (
            "  - {phase: eval, label: test",
            "  - group: cv\n    for_each: {use: folds, train: known, val: judged, of: [train]}\n    do:\n"
            "      - {phase: fit, label: grow, split: train, active: [Forest]}\n"
            "      - {phase: eval, label: judge, split: judged, losses: [forest]}\n"
            "  - {phase: eval, label: test",
        ),
        ("active: [Forest], losses: [forest]}", "active: [Forest], losses: [forest], freeze_after_fit: false}"),
    ),
}  # fmt: skip

OF_ALL: dict[str, Edits] = {
    "SP306_node": (("  optimizer", "    Idle: {model: {use: mlp, output_shape: [1]}, input: Cells.curve}\n    After: {model: {use: mlp, output_shape: [1]}, input: Idle}\n  optimizer"),),
    "SP306_split": (("test: 0.1}", "test: 0.05, spare: 0.05}"),),
    "SP306_loss": (("losses:\n  mse", "losses:\n  l1: {use: l1, node: Head}\n  mse"),),
    "SP306_metric": (("metrics:\n", "metrics:\n  r2: {use: r2, node: Head}\n"),),
    "SP306_parameter": (("run: {", "params: {width: 8}\nrun: {"),),
    "SP306_column": (("targets: [soh,", "targets: [pair, soh,"),),
    "SP306_feature_set": (("graph:\n", "  Other: {source: {use: parquet, path: data/cells.parquet}, features: [pair]}\ngraph:\n"),),
    "SP608_unreached": (
        ("  optimizer", "    Aux: {model: {use: mlp, output_shape: [1]}, input: Cells.curve}\n  optimizer"),
        ("results", "  - {phase: eval, label: aux, split: test, active: [Aux]}\nresults"),
    ),
    "SP608_active": (("        losses: [mse, ce]\n", "        losses: [mse, ce]\n        active: [Head, Classes]\n"),),
    "SP608_frozen": (("      input: [Cells.curve, Cells.temperature]\n", "      input: [Cells.curve, Cells.temperature]\n      frozen: true\n"),),
    "SP608_frozen_with_an_optimizer": (
        ("  optimizer: {use: adamw, lr: 0.01}\n", ""),
        ("    Head:\n", "    Head:\n      optimizer: {use: adamw}\n"),
        ("      target: Cells.kind\n", "      target: Cells.kind\n      frozen: true\n      optimizer: {use: sgd}\n"),
        ("input: [Enc, Scaled]", "input: [Cells.curve, Scaled]"),
        ("    Enc:\n      model: {use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}\n      input: [Cells.curve, Cells.temperature]\n", ""),
        ("features: [curve, temperature, image]", "features: [curve, image]"),
    ),
    "SP608_weight": (("weight: 0.5", "weight: 0"),),
    "SP609_crossing": (
        ("input: Cells.curve\n    Fuse", "input: Enc\n    Fuse"),
        ("input: [Enc, Scaled]", "input: [Cells.curve, Scaled]"),
    ),
    "SP610_fitted_before": (
        ("  - {phase: fit, label: forest, split: train, active: [Forest], metrics: [forest_r2]}\n", ""),
        ("  - group", "  - {phase: fit, label: forest, split: train, active: [Forest], metrics: [forest_r2]}\n  - group"),
    ),
    "SP610_trained_before": (
        ("  - {phase: fit, label: forest", "  - {phase: train, label: more, split: train, active: [Enc], losses: [again], sampler: {use: simple}}\n  - {phase: fit, label: forest"),
        ("  ce:", "  again: {use: mse, node: Dec}\n  ce:"),
        ("  optimizer", "    Dec: {model: {use: mlp}, input: Enc, target: Cells.curve}\n  optimizer"),
        ("        losses: [mse, ce]\n", "        losses: [mse, ce, again]\n"),
    ),
    "SP611_evaluated_before": (
        ("  - {phase: eval, label: test, split: test, losses: [mse, ce], metrics: [rmse, accuracy, forest_r2]}\n", ""),
        ("  - group", "  - {phase: eval, label: test, split: test, losses: [mse, ce], metrics: [rmse, accuracy]}\n  - group"),
    ),
    "SP613_negative_weight": (("weight: 0.5", "weight: -0.5"),),
    "SP614_rate": (("lr: 0.01", "lr: 0"),),
    "SP614_rate_of_a_node": (
        ("  optimizer: {use: adamw, lr: 0.01}\n", ""),
        ("    Head:\n", "    Head:\n      optimizer: {use: adamw, lr: 0}\n"),
        ("      target: Cells.kind\n", "      target: Cells.kind\n      optimizer: {use: sgd}\n"),
        ("input: [Enc, Scaled]", "input: [Cells.curve, Scaled]"),
        ("    Enc:\n      model: {use: mlp, output_shape: [4], n_layers: 1, hidden_dim: 8}\n      input: [Cells.curve, Cells.temperature]\n", ""),
        ("features: [curve, temperature, image]", "features: [curve, image]"),
    ),
    "SP615_all_rows": (("label: scale, split: train,", "label: scale,"),),
    "SP616_keeps_nothing": (("results", "  - {phase: eval, label: idle, split: test, record: none}\nresults"),),
    "SP617_repeated": (("results", "  - {phase: eval, label: again, split: test, losses: [mse, ce], metrics: [rmse, accuracy, forest_r2]}\nresults"),),
    "SP618_empty_group": (("results", "  - {group: more, do: []}\nresults"),),
    "SP658_mode": (("monitor: val_mse,", "monitor: val_mse, mode: max,"),),
    "SP658_monitor": (
        ("metrics: [rmse], every_n", "metrics: [accuracy], every_n"),
        ("monitor: val_mse,", "monitor: val_accuracy,"),
    ),
    "SP659_patience": (("patience: 2, restore_best: true", "patience: 4"),),
    "SP660_never_evaluated": (("every_n_epochs: 2", "every_n_epochs: 5"), ("monitor: val_mse", "monitor: mse")),
    "SP661_amounts": (
        ("  optimizer", "    Amount: {model: {use: mlp}, input: Cells.curve, target: Cells.kind}\n  optimizer"),
        ("  ce:", "  amount: {use: mse, node: Amount}\n  ce:"),
        ("        losses: [mse, ce]\n", "        losses: [mse, ce, amount]\n"),
    ),
    "SP661_metric": (
        ("  optimizer", "    Tree: {model: {use: \"sklearn.tree:DecisionTreeClassifier\"}, input: Cells.curve, target: Cells.kind}\n  optimizer"),
        ("metrics:\n", "metrics:\n  tree: {use: r2, node: Tree}\n"),
        ("active: [Forest], metrics: [forest_r2]", "active: [Forest, Tree], metrics: [forest_r2, tree]"),
    ),
    "SP662_logits": (
        ("  optimizer", "    Both: {model: {use: mlp}, input: Cells.curve, target: Cells.kind}\n  optimizer"),
        ("  ce:", "  both: {use: bce_with_logits, node: Both}\n  ce:"),
        ("metrics:\n", "metrics:\n  both_mae: {use: rmse, node: Both}\n"),
        ("        losses: [mse, ce]\n", "        losses: [mse, ce, both]\n"),
        ("metrics: [rmse, accuracy", "metrics: [both_mae, rmse, accuracy"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*OF_SMALL, *OF_ALL])
def test_rendered_text(
    name: str, folder: Path, spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    text, edits = (SMALL, OF_SMALL[name]) if name in OF_SMALL else (spec_text, OF_ALL[name])
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    Path("spec.yaml").write_text(text, encoding="utf-8")
    warnings = compile_path("spec.yaml").warnings
    rendered = "\n\n".join(render(item) for item in warnings) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")
    assert [(item.code, item.severity) for item in warnings] == [(name[:5], "warning")]
    assert not any((item.hint or item.message).endswith(".") for item in warnings)
    with pytest.raises(SpecError) as caught:
        compile_path("spec.yaml", strict=True)
    assert [item.severity for item in caught.value.diagnostics] == ["error"]


def test_without_an_edit_nothing_is_odd(folder: Path, spec_text: str) -> None:
    for text in (SMALL, spec_text):
        (folder / "spec.yaml").write_text(text, encoding="utf-8")
        assert compile_path(folder / "spec.yaml", strict=True).warnings == ()


def test_no_text_without_its_case() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == {*OF_SMALL, *OF_ALL}
