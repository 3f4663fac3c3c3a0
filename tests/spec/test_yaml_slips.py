"""One slip of the keys in YAML is one problem, on the line that has it, and its edits give back what was meant."""

from __future__ import annotations

import pytest

from specplan._native import parse_text

TEXT = """\
specplan: 1
experiment: {id: line}

data:
  Cells:
    source: {use: parquet, path: cells.parquet}
    features: [curve, temp]
    targets: [soh]
    splits:
      use: random
      ratios: {train: 0.7, val: 0.15, test: 0.15}
      seed: 13

graph:
  nodes:
    Net:
      model:
        use: mlp
        n_layers: 2
        hidden_dim: 32
      input: Cells.features
      target: Cells.soh
  optimizer: {use: adam, lr: 0.001}

losses:
  mse: {use: mse, node: Net}

plan:
  - phase: train
    label: train
    split: train
    epochs: 3
    losses: [mse]
  - phase: eval
    label: test
    split: test
"""

SLIPS = [
    # one space too few or too many
    ("      use: random", "     use: random"),
    ("      ratios: {t", "     ratios: {t"),
    ("      ratios: {t", "       ratios: {t"),
    ("    source: {use", "   source: {use"),
    ("    epochs: 3", "   epochs: 3"),
    ("    epochs: 3", "     epochs: 3"),
    ("  - phase: eval", " - phase: eval"),
    ("      model:", "     model:"),
    ("        hidden_dim: 32", "       hidden_dim: 32"),
    ("        use: mlp", "       use: mlp"),
    ("losses:\n  mse", " losses:\n  mse"),
    ("    label: test", "   label: test"),
    ("    label: test", "     label: test"),
    ("    label: test", "  label: test"),
    # a space, a colon or a comma that is missing
    ("  - phase: eval", "  -phase: eval"),
    ("  - phase: train", "  -phase: train"),
    ("  nodes:\n", "  nodes\n"),
    ("plan:\n", "plan\n"),
    ("      target: Cells.soh", "      target Cells.soh"),
    ("use: adam, lr: 0.001", "use: adam lr: 0.001"),
    ("use: adam, lr: 0.001", "use: adam; lr: 0.001"),
    ("use: adam, lr: 0.001", "use: adam,, lr: 0.001"),
    # brackets and quotes
    ("[curve, temp]", "[curve, temp}"),
    ("test: 0.15}", "test: 0.15]"),
    ("lr: 0.001}", "lr: 0.001"),
    ("lr: 0.001}", "lr: 0.001}}"),
    ("path: cells.parquet}", "path: 'cells.parquet}"),
]


@pytest.mark.parametrize(("right", "wrong"), SLIPS)
def test_one_slip_is_one_problem(right: str, wrong: str) -> None:
    assert TEXT.count(right) == 1
    text = TEXT.replace(right, wrong)
    parsed = parse_text(text, "yaml")
    assert [problem.message for problem in parsed.problems] == [parsed.problems[0].message]
    assert parsed.cut is None
    assert parsed.value == parse_text(TEXT, "yaml").value
    slip = next(
        number
        for number, (one, other) in enumerate(
            zip(text.splitlines(), TEXT.splitlines(), strict=True), 1
        )
        if one != other
    )
    assert parsed.problems[0].span.line == slip


def test_two_keys_on_a_line_are_two_lines() -> None:
    wrong = parse_text(TEXT.replace("seed: 13", "seed: 13, leaks: allow"), "yaml")
    right = parse_text(TEXT.replace("seed: 13", "seed: 13\n      leaks: allow"), "yaml")
    assert [problem.message for problem in wrong.problems] == [
        "a second key begins behind this comma"
    ]
    assert wrong.value == right.value
