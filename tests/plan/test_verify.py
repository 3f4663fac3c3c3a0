from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from specplan.errors import PlanError
from specplan.plan.canonical import plan_bytes
from specplan.plan.compile import compile_path
from specplan.plan.model import Plan
from specplan.plan.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _node(value: dict[str, Any], label: str) -> dict[str, Any]:
    node: dict[str, Any] = value["graph"]["nodes"][label]
    return node


FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "experiment.id is no name: it has to be a relative path without `.`, `..` and empty parts": lambda v: (
        v["experiment"].update(id="../up")
    ),
    "data.Cells has other splits": lambda v: v["data"]["Cells"]["splits"][0].update(rows=1),
    "data.Cells has no rows": lambda v: v["data"]["Cells"].update(rows=0),
    "data.Cells.curve has the impossible shape (0,)": lambda v: v["data"]["Cells"]["columns"][
        "curve"
    ].update(shape=[0]),
    "graph.order does not list every node once": lambda v: v["graph"]["order"].pop(),
    "graph.nodes.Head reads Fuse, which no node before it gives": lambda v: v["graph"][
        "order"
    ].sort(reverse=True),
    "graph.nodes.Enc has no input": lambda v: _node(v, "Enc").update(inputs=[]),
    "graph.nodes.Scaled reads the unknown Cells.x": lambda v: _node(v, "Scaled")["inputs"][
        0
    ].update(value="Cells.x", columns=["x"]),
    "graph.nodes.Scaled reads Cells.curve as the shape (9,)": lambda v: _node(v, "Scaled")[
        "inputs"
    ][0].update(shape=[9]),
    "graph.nodes.Head gives values of type object": lambda v: _node(v, "Head").update(
        dtype="object"
    ),
    "phases[0] has a path that is no label": lambda v: v["phases"][0].update(path="a/b"),
    "phases[2] repeats the path scale": lambda v: v["phases"][2].update(path="scale"),
    "phases[0] reads the unknown FeatureSet Cell": lambda v: v["phases"][0].update(data="Cell"),
    "phases[3] reads the wrong rows of Cells": lambda v: v["phases"][3].update(split="tset"),
    "phases[1] has no steps": lambda v: v["phases"][1].update(steps=0),
    "phases[1] trains Scale, which it does not compute": lambda v: v["phases"][1].update(
        trainable=["Scale"]
    ),
    "phases[2] fits Head, which it does not compute": lambda v: v["phases"][2].update(
        fitted=["Head"]
    ),
    "phases[2] does not compute Enc, which Fuse reads": lambda v: v["phases"][2]["nodes"].remove(
        "Enc"
    ),
    "phases[2] computes its nodes in another order": lambda v: v["phases"][2]["nodes"].reverse(),
    "phases[2] computes an unknown node": lambda v: v["phases"][2]["nodes"].append("Tree"),
    "phases[3] records the unknown Tree": lambda v: v["phases"][3]["records"][1].update(
        node="Tree"
    ),
    "phases[3] gives mse the shape (2,)": lambda v: v["phases"][3]["losses"][0]["arguments"][
        0
    ].update(shape=[2]),
    "phases[1] evaluates the wrong val": lambda v: v["phases"][1]["evaluations"][0].update(rows=1),
    "data.Cells does not say where its rows are": lambda v: v["data"]["Cells"]["source"].update(
        path=None
    ),
    "data.Cells does not say how it is split": lambda v: v["data"]["Cells"].update(splitter=None),
    "data.Cells has the impossible seed -1": lambda v: v["data"]["Cells"]["splitter"][
        "args"
    ].update(seed=-1),
    "numerics has an impossible number of threads": lambda v: v["numerics"].update(threads=0),
    "graph.nodes.Enc names the unknown model `os.system`": lambda v: _node(v, "Enc")[
        "component"
    ].update(use="os.system"),
    "graph.nodes.Enc has wrong arguments for `mlp`: Expected `int` >= 1 - at `$.hidden_dim`": (
        lambda v: _node(v, "Enc")["component"]["args"].update(hidden_dim=-1)
    ),
    "graph.nodes.Enc leaves arguments of `mlp` open": lambda v: _node(v, "Enc")["component"][
        "args"
    ].pop("dropout"),
    "graph.nodes.Enc does not give rows of the shape (4,)": lambda v: _node(v, "Enc")["component"][
        "args"
    ].update(output_shape=[5]),
    "graph.nodes.Fuse: cannot concatenate (4,) and (10,) on axis 9: rows have 1 axis": (
        lambda v: _node(v, "Fuse")["component"]["args"].update(axis=9)
    ),
    "graph.nodes.Classes: cnn reads rows of shape (channels, length) or (channels, height, width), "
    "not (2, 2, 4, 4)": lambda v: _node(v, "Classes")["inputs"][0].update(shape=[2, 2, 4, 4]),
    "graph.nodes.Scaled names the unknown estimator `os:system`": lambda v: _node(v, "Scaled")[
        "component"
    ].update(use="os:system"),
    "graph.nodes.Scaled has a `$float` that is no number": lambda v: _node(v, "Scaled")[
        "component"
    ]["args"].update(copy={"$float": "x"}),
    "graph.nodes.Scaled gives `sklearn.preprocessing:StandardScaler` a wrong `copy`": (
        lambda v: _node(v, "Scaled")["component"]["args"].update(copy=3)
    ),
    "graph.nodes.Scaled has other arguments than those of `sklearn.preprocessing:StandardScaler`": (
        lambda v: _node(v, "Scaled")["component"]["args"].update(memory="folder")
    ),
    "graph.nodes.Enc has the impossible shape (4503599627370496, 4503599627370496)": lambda v: (
        _node(v, "Enc")["inputs"][0].update(shape=[2**52, 2**52])
    ),
    "graph.nodes.Enc reads curve, no numbers": lambda v: v["data"]["Cells"]["columns"][
        "curve"
    ].update(dtype="string"),
    "phases[1] names the unknown optimizer `os`": lambda v: v["phases"][1]["optimizer"].update(
        use="os"
    ),
    "phases[1] has the impossible seed -1": lambda v: v["phases"][1]["sampler"].update(seed=-1),
    "phases[1] trains nodes that are not of torch, or none": lambda v: v["phases"][1].update(
        trainable=[]
    ),
    "phases[2] fits nodes that are not of sklearn, or none": lambda v: v["phases"][2].update(
        fitted=["Enc"]
    ),
    "phases[1] evaluates after no epoch": lambda v: v["phases"][1]["evaluations"][0].update(
        every_n_epochs=0
    ),
    "phases[1] does not compare two values for mse": lambda v: v["phases"][1]["losses"][0].update(
        arguments=[]
    ),
    "phases[1] gives mse values of type object": lambda v: v["phases"][1]["losses"][0]["arguments"][
        0
    ].update(dtype="object"),
    "phases[3] names the unknown metric `os`": lambda v: v["phases"][3]["metrics"][0][
        "component"
    ].update(use="os"),
    "phases[3] records outputs of Head as something else": lambda v: next(
        record for record in v["phases"][3]["records"] if record["node"] == "Head"
    ).update(shape=[7]),
    "phases[3] records a role that is no label": lambda v: v["phases"][3]["records"][1].update(
        role="../up"
    ),
    "phases[3] has a path that is no label": lambda v: v["phases"][3].update(path="p" * 201),
    "phases[3] has an impossible batch_size": lambda v: v["phases"][3].update(batch_size=0),
}


@pytest.mark.parametrize("message", FAULTS)
def test_plans_that_do_not_hold_together(message: str, folder: Path) -> None:
    value = json.loads(plan_bytes(compile_path(folder / "spec.yaml").plan))
    FAULTS[message](value)
    with pytest.raises(PlanError) as caught:
        verify(msgspec.convert(value, Plan))
    assert str(caught.value) == message
