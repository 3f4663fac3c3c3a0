from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from specplan import AppliedLoss, Loss

if TYPE_CHECKING:
    from tests.objects.parts import Parts


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("mse", "mse"),
        ("MSE", "mse"),
        ("MSELoss", "mse"),
        ("CrossEntropyLoss", "cross_entropy"),
        ("cross_entropy", "cross_entropy"),
        ("SmoothL1Loss", "smooth_l1"),
        ("BCEWithLogitsLoss", "bce_with_logits"),
        ("huberloss", "huber"),
    ],
)
def test_a_loss_has_many_spellings(name: str, known: str) -> None:
    assert Loss(name, backend="torch").name == known


def test_a_loss_needs_a_backend_and_a_name_that_is_known() -> None:
    with pytest.raises(
        ValueError, match=r"^Loss 'mse' needs a backend: Loss\('mse', backend=\"torch\"\)$"
    ):
        Loss("mse")
    with pytest.raises(
        ValueError, match=r"^there is no loss `msq`; known: `mse`, .*; did you mean `mse`"
    ):
        Loss("msq", backend="torch")
    with pytest.raises(ValueError, match=r"^loss `huber`: `delta`: Expected `float` > 0"):
        Loss("huber", loss_kwargs={"delta": 0}, backend="torch")


def applied(parts: Parts, **changes: Any) -> AppliedLoss:
    arguments: dict[str, Any] = {
        "loss": Loss("mse", backend="torch"),
        "on": parts.node,
        "inputs": ["outputs", "targets"],
    }
    return AppliedLoss(**{**arguments, **changes})


def test_a_loss_applies_to_a_node_or_its_label(parts: Parts) -> None:
    loss = applied(parts, on="MLP")
    assert loss.node is parts.node
    assert loss.node_id == parts.node.id
    assert (loss.label, loss.weight) == ("mse", 1.0)
    named = applied(parts, inputs={"target": "targets", "input": "outputs"})
    assert named.inputs == ("outputs", "targets")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"loss": "mse"}, TypeError, 'loss is a Loss, as in Loss("mse", backend="torch"), not str'),
        ({"on": "MPL"}, ValueError, "there is no node `MPL`; known: `MLP`; did you mean `MLP`?"),
        (
            {"inputs": ["output", "targets"]},
            ValueError,
            "a loss has no input `output`; known: `outputs`, `targets`; did you mean `outputs`?",
        ),
        (
            {"inputs": {"a": "outputs"}},
            ValueError,
            "the inputs of mse are named `input`, `target`, not `a`",
        ),
        (
            {"inputs": "outputs"},
            TypeError,
            "inputs is a list, not str",
        ),
        ({"on": 3}, TypeError, "a node is a ModelNode or the label of one, not int"),
        ({"weight": "x"}, TypeError, "the weight of a loss is a number, not str"),
        ({"weight": math.inf}, ValueError, "the weight of a loss is finite, not inf"),
        (
            {"label": "train_loss"},
            ValueError,
            "`train_loss` is the name of a sum of losses; choose another label",
        ),
    ],
)
def test_what_a_loss_cannot_be_applied_to(
    parts: Parts, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        applied(parts, **changes)
