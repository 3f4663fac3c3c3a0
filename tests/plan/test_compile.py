from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from specplan.errors import SpecError
from specplan.plan.compile import compile_mapping, compile_path
from specplan.plan.model import Eval, Fit, Train
from specplan.plan.streams import written_seed_of
from specplan.plan.verify import verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan.plan.model import Plan

Columns = dict[str, "NDArray[Any]"]


def mlp_spec() -> dict[str, Any]:
    return {
        "experiment": {"id": "soh"},
        "data": {
            "Sensor": {
                "source": {"use": "memory", "name": "sensor"},
                "features": ["voltage", "current"],
                "targets": ["soh", "kind"],
                "splits": {"use": "random", "ratios": {"train": 0.8, "test": 0.2}, "seed": 13},
            }
        },
        "graph": {
            "nodes": {
                "Net": {"model": {"use": "mlp"}, "input": "Sensor.voltage", "target": "Sensor.soh"}
            },
            "optimizer": {"use": "adam"},
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [
            {
                "phase": "train",
                "label": "train",
                "split": "train",
                "sampler": {"use": "simple", "batch_size": 32},
                "losses": ["mse"],
            }
        ],
    }


@pytest.fixture
def tables() -> Mapping[str, Columns]:
    columns: Columns = {
        "voltage": np.ones((50, 10), np.float32),
        "current": np.ones(50, np.int16),
        "soh": np.ones(50),
        "kind": np.ones(50, np.int32),
    }
    return {"sensor": columns}


def plan_of(spec: dict[str, Any], tables: Mapping[str, Columns]) -> Plan:
    return compile_mapping(spec, tables=tables).plan


def test_mlp_is_complete(tables: Mapping[str, Columns]) -> None:
    plan = plan_of(mlp_spec(), tables)
    net = plan.graph.nodes["Net"]
    assert (net.shape, net.dtype, net.parameters) == ((1,), "float32", 1441)
    assert net.component.args == {
        "activation": "relu",
        "dropout": 0,
        "hidden_dim": 32,
        "n_layers": 2,
        "output_shape": [1],
    }
    assert net.target is not None
    assert (net.target.dtype, net.target.shape) == ("float64", (1,))
    [train] = plan.phases
    assert isinstance(train, Train)
    assert (train.rows, train.steps, train.trainable) == (40, 2, ("Net",))
    assert train.sampler.seed == written_seed_of(42, "phase/train/sampler")
    [loss] = train.losses
    assert [(a.dtype, a.shape) for a in loss.arguments] == [("float32", (1,))] * 2


def test_all_of_the_language(folder: Path) -> None:
    compiled = compile_path(folder / "spec.yaml")
    verify(compiled.plan)
    assert not compiled.warnings
    plan = compiled.plan
    assert plan.graph.order == ("Classes", "Enc", "Scaled", "Fuse", "Forest", "Head")
    shapes = {label: (node.dtype, node.shape) for label, node in plan.graph.nodes.items()}
    assert shapes == {
        "Classes": ("float32", (3,)),
        "Enc": ("float32", (4,)),
        "Scaled": ("float64", (10,)),
        "Fuse": ("float32", (14,)),
        "Forest": ("float64", ()),
        "Head": ("float32", (1,)),
    }
    forest = plan.graph.nodes["Forest"].component.args
    assert forest["max_features"] == {"$float": "1.0"}
    assert forest["random_state"] == written_seed_of(7, "init/Forest")
    scale, net, fit, test = plan.phases
    assert isinstance(scale, Fit)
    assert isinstance(net, Train)
    assert isinstance(fit, Fit)
    assert isinstance(test, Eval)
    assert scale.fitted == ("Scaled",)
    assert scale.records == ()
    assert net.path == "deep.net"
    assert net.trainable == ("Classes", "Enc", "Head")
    assert net.early_stopping is not None
    assert [e.name for e in net.evaluations] == ["val"]
    assert fit.nodes == ("Enc", "Scaled", "Fuse", "Forest")
    recorded = [(record.node, record.field, record.dtype) for record in test.records]
    assert recorded == [
        ("Cells", "sample_id", "int64"),
        ("Classes", "outputs", "float32"),
        ("Classes", "targets", "int64"),
        ("Forest", "outputs", "float64"),
        ("Forest", "targets", "float64"),
        ("Head", "outputs", "float32"),
        ("Head", "targets", "float64"),
    ]


def test_class_targets_are_cast(folder: Path) -> None:
    test = compile_path(folder / "spec.yaml").plan.phases[-1]
    [_, cross_entropy] = test.losses
    assert [(a.dtype, a.shape) for a in cross_entropy.arguments] == [
        ("float32", (3,)),
        ("int64", ()),
    ]
    assert cross_entropy.weight == 0.5


def test_a_list_of_columns_is_joined(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    node = spec["graph"]["nodes"]["Net"]
    node["input"] = ["Sensor.voltage", "Sensor.current"]
    listed = plan_of(spec, tables)
    [read] = listed.graph.nodes["Net"].inputs
    assert (read.value, read.columns, read.shape) == (
        "Sensor.features",
        ("voltage", "current"),
        (11,),
    )
    node["input"] = "Sensor.features"
    assert plan_of(spec, tables) == listed


def test_scikit_learn_reads_what_is_stored(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    spec["graph"]["nodes"] = {
        "Ridge": {
            "model": {"use": "sklearn.linear_model:Ridge", "alpha": 1},
            "input": "Sensor.features",
            "target": "Sensor.soh",
        },
        "Classifier": {
            "model": {"use": "sklearn.tree:DecisionTreeClassifier"},
            "input": "Sensor.current",
            "target": "Sensor.kind",
        },
    }
    spec["losses"] = {}
    spec["metrics"] = {"accuracy": {"use": "accuracy", "node": "Classifier"}}
    spec["plan"] = [{"phase": "fit", "label": "fit", "metrics": ["accuracy"]}]
    plan = plan_of(spec, tables)
    ridge, classifier = plan.graph.nodes["Ridge"], plan.graph.nodes["Classifier"]
    assert ridge.component.args["alpha"] == {"$float": "1.0"}
    assert (ridge.inputs[0].dtype, ridge.inputs[0].shape) == ("float32", (11,))
    assert (classifier.inputs[0].dtype, classifier.inputs[0].shape) == ("int16", (1,))
    assert (classifier.dtype, classifier.shape) == ("int32", ())
    [fit] = plan.phases
    assert isinstance(fit, Fit)
    assert fit.fitted == ("Classifier", "Ridge")
    assert (fit.split, fit.rows) == (None, 50)


def test_a_fit_phase_leaves_frozen_nodes_alone(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    scaler = {"use": "sklearn.preprocessing:StandardScaler"}
    spec["graph"]["nodes"] = {
        "A": {"model": scaler, "input": "Sensor.voltage"},
        "B": {"model": scaler, "input": "A"},
    }
    spec["losses"] = {}
    spec["plan"] = [
        {"phase": "fit", "label": "first", "active": ["A"]},
        {"phase": "fit", "label": "rest"},
    ]
    _, rest = plan_of(spec, tables).phases
    assert isinstance(rest, Fit)
    assert (rest.nodes, rest.fitted) == (("A", "B"), ("B",))


def test_a_frozen_torch_node_only_computes(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    spec["graph"]["nodes"]["Enc"] = {
        "model": {"use": "mlp", "output_shape": [2]},
        "input": "Sensor.voltage",
    }
    spec["graph"]["nodes"]["Net"]["input"] = "Enc"
    spec["plan"][0]["active"] = ["Net"]
    [train] = plan_of(spec, tables).phases
    assert isinstance(train, Train)
    assert (train.nodes, train.trainable) == (("Enc", "Net"), ("Net",))


def test_no_gradient_passes_scikit_learn(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    nodes = spec["graph"]["nodes"]
    nodes["Enc"] = {"model": {"use": "mlp", "output_shape": [2]}, "input": "Sensor.voltage"}
    nodes["Scaled"] = {
        "model": {"use": "sklearn.preprocessing:StandardScaler"},
        "input": "Enc",
    }
    nodes["Net"]["input"] = "Scaled"
    spec["plan"].insert(0, {"phase": "fit", "label": "fit"})
    _, train = plan_of(spec, tables).phases
    assert isinstance(train, Train)
    assert (train.nodes, train.trainable) == (("Enc", "Scaled", "Net"), ("Net",))


def test_loss_of_another_nodes_outputs(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    nodes = spec["graph"]["nodes"]
    nodes["Teacher"] = {
        "model": {"use": "mlp", "output_shape": [1]},
        "input": "Sensor.voltage",
    }
    spec["losses"]["mse"]["args"] = ["outputs", "Teacher.outputs"]
    spec["plan"][0]["active"] = ["Net"]
    [train] = plan_of(spec, tables).phases
    assert isinstance(train, Train)
    assert train.nodes == ("Net", "Teacher")
    assert train.trainable == ("Net",)


def test_steps_of_an_eval_in_batches(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    spec["plan"] = [{"phase": "eval", "label": "all", "batch_size": 20}]
    [phase] = plan_of(spec, tables).phases
    assert isinstance(phase, Eval)
    assert (phase.rows, phase.steps, phase.nodes) == (50, 3, ("Net",))
    assert [record.node for record in phase.records] == ["Sensor", "Net", "Net"]


def test_a_plan_of_empty_groups(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    spec["plan"] = [{"group": "none", "do": []}]
    with pytest.raises(SpecError, match=r"plan: error\[SP204\]: the plan has no phases"):
        compile_mapping(spec, tables=tables)


def test_warnings_of_what_is_not_used(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    spec["graph"]["nodes"]["Idle"] = {
        "model": {"use": "mlp", "output_shape": [1]},
        "input": "Sensor.voltage",
    }
    spec["data"]["Other"] = spec["data"]["Sensor"]
    warnings = compile_mapping(spec, tables=tables).warnings
    assert [str(warning) for warning in warnings] == [
        "data.Sensor.features[1]: warning[SP306]: no node reads column `current` of Sensor",
        "data.Sensor.targets[1]: warning[SP306]: no node reads column `kind` of Sensor",
        "data.Sensor.splits.ratios.test: warning[SP306]: no phase reads split `test` of Sensor",
        "data.Other: warning[SP306]: no node reads FeatureSet Other",
        "graph.nodes.Idle: warning[SP306]: node Idle is used by no phase",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"soh": np.ones(49)},
            "error[SP508]: table `sensor`: column `soh` has 49 rows, others have 50",
        ),
        (
            {"soh": np.ones(50, complex)},
            "error[SP508]: table `sensor`: column `soh` has items of type complex128; "
            "they can be numbers, booleans or text",
        ),
        (
            {"soh": np.float64(1)},
            "error[SP508]: table `sensor`: column `soh` is a single value, not an array of rows",
        ),
        (
            {"soh": np.array(["a"] * 50)},
            "error[SP507]: column `soh` is string; targets must be numbers\n"
            "hint: a column that is only kept belongs in `tags`",
        ),
    ],
)
def test_faulty_tables(tables: Mapping[str, Columns], change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_mapping(mlp_spec(), tables={"sensor": {**tables["sensor"], **change}})
    [diagnostic] = caught.value.diagnostics
    assert str(diagnostic).partition(": ")[2] == message


def test_faults_of_a_mapping_come_in_its_order(tables: Mapping[str, Columns]) -> None:
    spec = mlp_spec()
    spec["plan"][0]["split"] = "tran"
    spec["graph"]["optimizer"]["lrr"] = 1
    spec["graph"]["nodes"]["Net"]["input"] = "Sensor.volt"
    with pytest.raises(SpecError) as caught:
        compile_mapping(spec, tables=tables)
    assert [item.code for item in caught.value.diagnostics] == ["SP302", "SP403", "SP303"]


def test_a_table_that_is_not_bound(tables: Mapping[str, Columns]) -> None:
    with pytest.raises(SpecError) as caught:
        compile_mapping(mlp_spec(), tables={"sensors": tables["sensor"]})
    assert str(caught.value) == (
        "data.Sensor.source.name: error[SP501]: no table is bound to `sensor`; bound: `sensors`\n"
        "hint: did you mean `sensors`?"
    )


def test_compiling_loads_no_heavy_library(folder: Path) -> None:
    program = (
        "import sys\n"
        "from specplan.plan.compile import compile_path\n"
        f"compile_path({str(folder / 'spec.yaml')!r})\n"
        "heavy = {'torch', 'pyarrow', 'pandas', 'sklearn', 'numpy', 'jsonschema', 'matplotlib'}\n"
        "heavy |= {'importlib.metadata', 'specplan.code.source'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_shares_of_several_files_are_all_shown(folder: Path) -> None:
    (folder / "top.yaml").write_text(
        "imports: [spec.yaml]\ndata: {Cells: {splits: {ratios: {train: 0.9, test: 0.1}}}}\n"
    )
    with pytest.raises(SpecError) as raised:
        compile_path(folder / "top.yaml")
    (error,) = raised.value.diagnostics
    assert (error.code, error.origin.line) == ("SP503", 2)
    assert [(str(label.origin.file).rpartition("/")[2], label.text) for label in error.labels] == [
        ("top.yaml", "`train` has 0.9"),
        ("spec.yaml", "`val` has 0.2"),
        ("top.yaml", "`test` has 0.1"),
    ]


def test_an_unknown_metric_is_no_second_series_too(folder: Path, spec_text: str) -> None:
    text = spec_text.replace("metrics: [rmse], every", "metrics: [mse], every")
    (folder / "spec.yaml").write_text(text)
    with pytest.raises(SpecError) as raised:
        compile_path(folder / "spec.yaml")
    assert [error.code for error in raised.value.diagnostics] == ["SP301"]
