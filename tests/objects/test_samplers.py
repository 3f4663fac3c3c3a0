from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specplan import (
    AppliedLoss,
    EvalPhase,
    Experiment,
    FeatureSet,
    InputBinding,
    Loss,
    ModelGraph,
    ModelNode,
    NSampler,
    Optimizer,
    PairedSampler,
    PhaseGroup,
    RunError,
    SequentialMLP,
    SimilarityCondition,
    SimpleSampler,
    TrainPhase,
    TripletSampler,
)
from specplan.objects.from_spec import fill_from
from specplan.samplers import sampler_of
from tests.objects.parts import mse

SIMILAR, OTHER = SimilarityCondition(), SimilarityCondition(mode="dissimilar")


def set_of(label: str, rows: int) -> FeatureSet:
    rng = np.random.default_rng(rows)
    columns = {
        "x": rng.standard_normal((rows, 4)),
        "y": rng.standard_normal((rows, 1)),
        "cell": rng.integers(0, 3, rows).astype(str),
    }
    return FeatureSet.from_dict(label, columns, "x", "y", "cell")


def two_heads(rows: tuple[int, int] = (96, 64)) -> tuple[Experiment, list[ModelNode]]:
    experiment = Experiment("exp")
    nodes = [
        ModelNode(label, SequentialMLP(), set_of(source, count).reference("x", "y"))
        for label, source, count in zip(("One", "Two"), ("A", "B"), rows, strict=True)
    ]
    ModelGraph(nodes=nodes, optimizer=Optimizer("adam", backend="torch")).build()
    return experiment, nodes


def train(nodes: list[ModelNode], samplers: list[Any], **changes: Any) -> TrainPhase:
    bindings = [
        InputBinding.for_training(node, sampler)
        for node, sampler in zip(nodes, samplers, strict=True)
    ]
    losses = [mse(node, f"loss_{node.label}") for node in nodes]
    return TrainPhase("train", input_sources=bindings, losses=losses, **changes)


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [("zip_strict", 2), ("zip_cycle", 3), ("alternate_strict", 4), ("alternate_cycle", 6)],
)
def test_a_schedule_decides_how_batches_make_steps(schedule: str, steps: int) -> None:
    experiment, nodes = two_heads()
    phase = train(nodes, [SimpleSampler(32), SimpleSampler(32)], batch_schedule=schedule)
    results = experiment.run_phase(phase)
    (planned,) = results.run.plan.phases
    assert planned.steps == steps
    rows = results.run.metrics().arrow.to_pylist()
    losses = [
        [
            row["value"]
            for row in rows
            if row["name"] == f"loss_{label}" and row["batch"] is not None
        ]
        for label in ("One", "Two")
    ]
    assert [len(values) for values in losses] == [steps, steps]
    idle = [[value == 0.0 for value in values] for values in losses]
    if schedule.startswith("zip"):
        assert not any(map(any, idle))
    else:
        assert idle == [
            [step % 2 == 1 for step in range(steps)],
            [step % 2 == 0 for step in range(steps)],
        ]
    first, second = (
        [ids.tolist() for ids in results.run.tensors(name, "sample_id").values()] for name in "AB"
    )
    if schedule.startswith("zip"):
        assert results.run.execution("train").num_rows == 32 * steps
    else:
        with pytest.raises(RunError, match=r"^the inputs of phase `train` have rows of their own"):
            results.run.execution("train")
    each = steps if schedule.startswith("zip") else steps // 2
    assert first == [list(range(32 * n, 32 * n + 32)) for n in range(each)]
    assert second == [list(range(32 * (n % 2), 32 * (n % 2) + 32)) for n in range(each)]


def test_batches_that_do_not_meet_may_differ_in_rows() -> None:
    experiment, nodes = two_heads()
    run = experiment.run_phase(train(nodes, [SimpleSampler(32), SimpleSampler(16)])).run
    assert [run.tensors(name).index()["rows"].tolist() for name in ("One", "Two")] == [
        [32] * 3,
        [16] * 3,
    ]


def one_head(width: int = 2) -> tuple[Experiment, ModelNode]:
    experiment = Experiment("exp")
    node = ModelNode(
        "Enc", SequentialMLP(output_shape=(width,)), set_of("A", 60).reference("x", [])
    )
    ModelGraph(
        nodes=[node], optimizer=Optimizer("sgd", opt_kwargs={"lr": 0.1}, backend="torch")
    ).build()
    return experiment, node


def triplets(**changes: Any) -> TripletSampler:
    return TripletSampler(
        {"tags.cell": SIMILAR}, {"cell": OTHER}, batch_size=16, shuffle=True, seed=5, **changes
    )


def margin(node: ModelNode) -> AppliedLoss:
    return AppliedLoss(
        Loss("TripletMarginLoss", backend="torch"),
        node,
        {
            "anchor": "outputs.anchor",
            "positive": "outputs.positive",
            "negative": "outputs.negative",
        },
    )


def test_a_node_is_computed_once_for_each_role() -> None:
    experiment, node = one_head()
    binding = InputBinding.for_training(node, triplets())
    phase = TrainPhase("train", input_sources=[binding], losses=[margin(node)], n_epochs=2)
    run = experiment.run_phase(phase).run
    cell = node.source.feature_set.columns["cell"]
    rows, outputs = (
        {
            role: run.tensors(name, field, role=role).stacked()
            for role in ("anchor", "positive", "negative")
        }
        for name, field in (("A", "sample_id"), ("Enc", "outputs"))
    )
    assert len(rows["anchor"]) == 2 * 3 * 60
    assert (cell[rows["anchor"]] == cell[rows["positive"]]).all()
    assert (cell[rows["anchor"]] != cell[rows["negative"]]).all()
    assert (rows["anchor"] != rows["positive"]).all()
    near, far = (
        np.linalg.norm(outputs["anchor"] - outputs[role], axis=1)
        for role in ("positive", "negative")
    )
    with pytest.raises(RunError, match="say which: role=`anchor`, `positive`, `negative`"):
        run.tensors("Enc", "outputs")
    (first, *_) = [
        row["value"] for row in run.metrics().arrow.to_pylist() if row["name"] == "triplet_margin"
    ]
    expected = np.maximum(near - far + 1, 0)[:16].mean()
    assert first == pytest.approx(expected, rel=1e-4)


def test_roles_of_any_name_are_found_in_any_order() -> None:
    experiment, node = one_head()
    sampler = NSampler({"near": {"cell": SIMILAR}, "far": {"cell": OTHER}}, batch_size=8, seed=1)
    roles = {"anchor": "outputs.anchor", "positive": "outputs.near", "negative": "outputs.far"}
    loss = AppliedLoss(Loss("triplet_margin", backend="torch"), node, roles)
    binding = InputBinding.for_training(node, sampler)
    run = experiment.run_phase(TrainPhase("train", input_sources=[binding], losses=[loss])).run
    cell = node.source.feature_set.columns["cell"]
    anchor, near, far = (
        cell[run.tensors("A", "sample_id", role=role).stacked()]
        for role in ("anchor", "near", "far")
    )
    assert (anchor == near).all()
    assert (anchor != far).all()


def test_weights_of_pairs_count_in_the_losses() -> None:
    experiment, node = one_head()
    near = SimilarityCondition(tolerance=4.0, weight_mode="linear", max_weight=2.0, min_weight=0.5)
    sampler = PairedSampler({"x": near}, batch_size=500, max_samples_per_anchor=1, seed=1)
    loss = AppliedLoss(Loss("mse", backend="torch"), node, ["outputs.anchor", "outputs.positive"])
    binding = InputBinding.for_training(node, sampler)
    run = experiment.run_phase(TrainPhase("train", input_sources=[binding], losses=[loss])).run
    x = node.source.feature_set.columns["x"]
    anchor, other = (
        run.tensors("A", "sample_id", role=role).stacked() for role in ("anchor", "positive")
    )
    distance = np.linalg.norm(x[anchor] - x[other], axis=1)
    weight = 0.5 + 1.5 * (1 - distance / 4)
    one, two = (run.tensors("Enc", role=role).stacked() for role in ("anchor", "positive"))
    expected = (weight * np.square(one - two).mean(axis=1)).mean()
    values = [row["value"] for row in run.metrics().arrow.to_pylist() if row["name"] == "mse"]
    assert values[0] == pytest.approx(expected, rel=1e-4)


def test_a_role_needs_a_sampler_that_gives_it() -> None:
    experiment, node = one_head()
    simple = InputBinding.for_training(node, SimpleSampler(8))
    with pytest.raises(Exception, match="which has no roles here"):
        experiment.run_phase(TrainPhase("train", input_sources=[simple], losses=[margin(node)]))
    with pytest.raises(ValueError, match=r"^a loss has no input `outputs.`; known"):
        AppliedLoss(Loss("mse", backend="torch"), node, ["outputs.", "targets"])


@pytest.mark.parametrize(
    "sampler",
    [
        SimpleSampler(8, group_by="cell"),
        SimpleSampler(8, stratify_by=["cell"], strict_stratification=False),
        PairedSampler({"cell": SIMILAR}, n_workers=4),
        triplets(choose_best_only=True),
        NSampler({"near": {"cell": SIMILAR}, "far": {"cell": OTHER, "x": OTHER}}),
    ],
)
def test_a_sampler_is_what_its_spec_says(sampler: Any) -> None:
    again = sampler_of(sampler.component)
    assert type(again) is type(sampler)
    assert again == sampler
    assert hash(again) == hash(sampler)
    assert eval(repr(SIMILAR)) == SIMILAR


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: SimpleSampler(8, group_by="a", stratify_by="b"),
            ValueError,
            "`group_by` and `stratify_by` cannot be had together",
        ),
        (lambda: SimpleSampler(8, group_by=3), TypeError, "group_by is a list, not int"),  # type: ignore[arg-type]
        (
            lambda: SimilarityCondition("near"),
            ValueError,
            "a condition: `mode`: Invalid enum value 'near'",
        ),
        (
            lambda: PairedSampler({"cell": "similar"}),  # type: ignore[dict-item]
            TypeError,
            "conditions: a condition is a SimilarityCondition, not str",
        ),
        (
            lambda: PairedSampler({"cell": SIMILAR}, batchsize=3),  # type: ignore[call-arg]
            TypeError,
            "sampler `paired` has no argument `batchsize`",
        ),
        (
            lambda: PairedSampler({"cell": SIMILAR}, n_workers=0),
            ValueError,
            "n_workers is at least 1, not 0",
        ),
        (lambda: PairedSampler({}), ValueError, "sampler `paired`: `conditions`"),
        (
            lambda: NSampler([SIMILAR]),  # type: ignore[arg-type]
            TypeError,
            "condition_mapping is a mapping of roles to conditions, not list",
        ),
    ],
)
def test_a_sampler_of_tuples_is_checked(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        make()


def test_batches_of_groups_and_strata_are_what_was_planned() -> None:
    for sampler in (
        SimpleSampler(8, shuffle=True, group_by="cell", seed=1),
        SimpleSampler(9, shuffle=True, stratify_by="cell", seed=1),
    ):
        experiment, nodes = two_heads()
        phase = TrainPhase(
            "train",
            input_sources=[InputBinding.for_training(node, sampler) for node in nodes],
            losses=[mse(nodes[0])],
            n_epochs=2,
        )
        run = experiment.run_phase(phase).run
        cell = nodes[0].source.feature_set.columns["cell"]
        (planned,) = run.plan.phases
        batches = [cell[ids] for ids in run.tensors("A", "sample_id").values()]
        assert len(batches) == 2 * planned.steps
        for batch in batches if "group_by" in sampler.component else ():
            assert len(set(batch.tolist())) == 1


def test_the_execution_plan_is_replaced_where_that_is_said() -> None:
    experiment, nodes = two_heads()
    plan = experiment.execution_plan
    phase = EvalPhase("eval", [InputBinding.for_evaluation(nodes[0])], active_nodes=[nodes[0]])
    experiment.set_execution_plan([phase])
    assert plan.all == [phase]
    with pytest.raises(ValueError, match=r"^Experiment `exp` has an execution plan of `eval`; "):
        experiment.set_execution_plan([])
    experiment.set_execution_plan([], overwrite=True)
    assert experiment.execution_plan is plan
    assert plan.all == []


def test_phases_are_made_again_from_their_spec() -> None:
    experiment, nodes = two_heads()
    samplers = [SimpleSampler(8, group_by="cell"), SimpleSampler(16, shuffle=True)]
    phase = train(nodes, samplers, batch_schedule="zip_cycle", n_epochs=2)
    spec = phase.spec()
    group = PhaseGroup("again")
    graph = experiment.model_graph
    assert graph is not None
    losses = {loss.label: loss.spec() for loss in phase.losses}
    fill_from(group, {"run": {}, "losses": losses, "plan": [spec]}, graph, {})
    assert group.get_train_phase("train").spec() == spec
