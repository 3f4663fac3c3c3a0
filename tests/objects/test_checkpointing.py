"""States that are put aside at boundaries of a run or when a program asks, and gone back to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from specplan import (
    Checkpointing,
    EvalPhase,
    Experiment,
    PhaseGroup,
    SimpleSampler,
    TrainPhase,
)
from specplan.archive.archive import Archive, writing
from specplan.errors import ArchiveError, RunError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan.objects.phase_results import PhaseResults
    from tests.objects.parts import Parts

SAMPLER = SimpleSampler(batch_size=15, shuffle=True, seed=1)


def training(parts: Parts, label: str = "train", epochs: int = 2, **arguments: Any) -> TrainPhase:
    return TrainPhase.from_split(label, "train", SAMPLER, [parts.loss], epochs, **arguments)


def values(results: PhaseResults) -> NDArray[np.float64]:
    rows = results.run.metrics(phase=results.path).arrow
    measured: NDArray[np.float64] = rows.column("value").to_numpy()
    return measured


def bits(results: PhaseResults) -> list[bytes]:
    return [values(results).tobytes(), *(b.tobytes() for b in results.tensors("MLP").values())]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.mml"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"mode": "ram"}, "mode is `memory`, `disk`, not 'ram'"),
        ({"save_on": "epoch_over"}, "save_on: there is no 'epoch_over'; known: "),
        ({"save_on": []}, "save_on names at least one boundary"),
        ({"every_n": 0}, "every_n"),
        ({"max_to_keep": 0}, "max_to_keep"),
        ({"name_template": "{step}"}, "name_template has no {step}; it can have: "),
        ({"name_template": "../{phase}"}, "cannot be the name of a file"),
        ({"name_template": "{phase}{"}, "cannot be the name of a file"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Checkpointing(**arguments)


def test_an_experiment_and_a_train_phase_have_boundaries_of_their_own(parts: Parts) -> None:
    experiment = parts.experiment
    with pytest.raises(ValueError, match='has only mode="disk"'):
        experiment.set_checkpointing(Checkpointing(save_on="phase_end"))
    with pytest.raises(ValueError, match="save_on: the experiment has no `epoch_end`; it has: "):
        experiment.set_checkpointing(Checkpointing(mode="disk"))
    with pytest.raises(ValueError, match="the experiment has no {epoch}; it has: `label`"):
        Experiment(
            "e",
            checkpointing=Checkpointing(mode="disk", save_on="phase_end", name_template="{epoch}"),
        )
    with pytest.raises(ValueError, match="save_on: the train phase has no `group_end`"):
        training(parts, checkpointing=Checkpointing(save_on="group_end"))
    with pytest.raises(ValueError, match="the train phase has no {label}"):
        training(parts, checkpointing=Checkpointing(name_template="{label}"))
    with pytest.raises(TypeError, match="checkpointing is a Checkpointing, not str"):
        Experiment("e", checkpointing="disk")  # type: ignore[arg-type]


def test_a_checkpoint_is_gone_back_to_with_equal_bits(parts: Parts, tmp_path: Path) -> None:
    experiment, phase = parts.experiment, training(parts)
    experiment.set_checkpoint_dir(tmp_path)
    experiment.run_phase(phase)
    path = experiment.save_checkpoint("after_training", meta={"why": "to go back"})
    assert path == tmp_path / "after_training.ckpt.mml"
    assert experiment.available_checkpoints == {"after_training": path}
    gone_on = bits(experiment.run_phase(phase))
    assert len(experiment.history) == 2
    for where in ("after_training", path, str(path)):
        experiment.restore_checkpoint(where)
        assert len(experiment.history) == 1
        assert bits(experiment.run_phase(phase)) == gone_on


def test_a_checkpoint_of_fresh_weights_is_the_beginning(parts: Parts, tmp_path: Path) -> None:
    experiment, phase = parts.experiment, training(parts)
    experiment.set_checkpoint_dir(tmp_path)
    experiment.save_checkpoint("fresh")
    first = bits(experiment.run_phase(phase))
    experiment.restore_checkpoint("fresh")
    assert bits(experiment.run_phase(phase)) == first


def test_what_is_wrong_with_a_checkpoint_is_said(parts: Parts, tmp_path: Path) -> None:
    experiment = parts.experiment
    with pytest.raises(RuntimeError, match="has no directory for checkpoints; set one"):
        experiment.save_checkpoint("first")
    experiment.set_checkpoint_dir(tmp_path)
    path = experiment.save_checkpoint("first")
    with pytest.raises(ValueError, match="there is a checkpoint `first` already; overwrite=True"):
        experiment.save_checkpoint("first")
    experiment.save_checkpoint("first", overwrite=True)
    with pytest.raises(ValueError, match="'../first' cannot be the name of a checkpoint"):
        experiment.save_checkpoint("../first")
    with pytest.raises(ValueError, match="there is no checkpoint `frist`; available: `first`"):
        experiment.restore_checkpoint("frist")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArchiveError, match="or was cut"):
        experiment.restore_checkpoint("first")


def test_a_checkpoint_of_another_graph_is_refused(parts: Parts, tmp_path: Path) -> None:
    from specplan import ModelGraph, ModelNode, SequentialMLP
    from tests.objects.parts import sensor_data

    parts.experiment.set_checkpoint_dir(tmp_path)
    parts.experiment.save_checkpoint("small")
    other = Experiment("other")
    node = ModelNode("MLP", SequentialMLP(hidden_dim=9), sensor_data().reference())
    ModelGraph(nodes=[node])
    with pytest.raises(RunError, match="node `MLP`: `.*` is of shape .* in the state and of shape"):
        other.restore_checkpoint(tmp_path / "small.ckpt.mml")


def test_files_of_another_time_are_warned_of_and_available(parts: Parts, tmp_path: Path) -> None:
    parts.experiment.set_checkpoint_dir(tmp_path)
    parts.experiment.save_checkpoint("before")
    again = Experiment.from_active_context("again", overwrite=True)
    with pytest.warns(UserWarning, match="has 1 checkpoints already"):
        again.set_checkpoint_dir(tmp_path)
    assert list(again.available_checkpoints) == ["before"]
    again.restore_checkpoint("before")


def planned(parts: Parts) -> Experiment:
    inner = PhaseGroup("inner", [training(parts)])
    test = EvalPhase.from_split("test", "test", [parts.loss])
    parts.experiment.execution_plan.add_group(PhaseGroup("outer", [inner, test]))
    return parts.experiment


def test_each_boundary_of_an_experiment_has_its_file(parts: Parts, tmp_path: Path) -> None:
    experiment = planned(parts)
    labels = {"phase": ["train", "test"], "group": ["inner", "outer"], "experiment": ["exp"]}
    for hook in ("phase_start", "phase_end", "group_start", "group_end"):
        folder = tmp_path / hook
        experiment.set_checkpointing(Checkpointing(mode="disk", save_on=hook, directory=folder))
        experiment.run()
        wanted = labels[hook.partition("_")[0]]
        assert files(folder) == sorted(f"{label}.ckpt.mml" for label in wanted)
    for hook in ("experiment_start", "experiment_end"):
        folder = tmp_path / hook
        experiment.set_checkpointing(Checkpointing(mode="disk", save_on=[hook], directory=folder))
        experiment.run_phase(training(parts))
        assert files(folder) == []
        experiment.run()
        assert files(folder) == ["exp.ckpt.mml"]


def test_a_run_goes_on_from_its_checkpoint_with_equal_bits(parts: Parts, tmp_path: Path) -> None:
    experiment = planned(parts)
    experiment.set_checkpointing(
        Checkpointing(mode="disk", save_on="phase_end", directory=tmp_path)
    )
    experiment.run()
    tested = EvalPhase.from_split("tested", "test", [parts.loss])
    with experiment.disable_checkpointing():
        expected = bits(experiment.run_phase(tested))
        experiment.run_phase(training(parts))
        experiment.restore_checkpoint("train")
        assert bits(experiment.run_phase(tested)) == expected
    assert list(experiment.available_checkpoints) == ["train", "test"]


def test_nothing_is_saved_while_checkpointing_is_disabled(parts: Parts, tmp_path: Path) -> None:
    experiment = parts.experiment
    every = ["phase_start", "phase_end", "experiment_start", "experiment_end"]
    experiment.set_checkpointing(Checkpointing(mode="disk", save_on=every, directory=tmp_path))
    own = Checkpointing(mode="disk", directory=tmp_path / "own")
    phase = training(parts, checkpointing=own)
    experiment.execution_plan.add_phase(phase)
    with experiment.disable_checkpointing():
        experiment.run()
        experiment.run_phase(phase)
    experiment.preview_phase(phase)
    assert files(tmp_path) == []
    assert own.saved_keys == []
    experiment.run()
    assert files(tmp_path) == [
        *(
            "exp.ckpt.mml",
            "own/train_epoch0.ckpt.mml",
            "own/train_epoch1.ckpt.mml",
            "train.ckpt.mml",
        ),
    ]


@pytest.mark.parametrize(
    ("arguments", "keys", "names"),
    [
        ({}, [0, 1, 2, 3, 4], [f"train_epoch{epoch}" for epoch in range(5)]),
        ({"every_n": 2}, [1, 3], ["train_epoch1", "train_epoch3"]),
        ({"max_to_keep": 2}, [3, 4], ["train_epoch3", "train_epoch4"]),
        ({"save_on": "epoch_start", "every_n": 5}, [4], ["train_epoch4"]),
        ({"save_on": "phase_start"}, ["train_start"], ["train_start"]),
        ({"save_on": ["phase_end"]}, ["train_end"], ["train_end"]),
        (
            {"save_on": "batch_end", "every_n": 7},
            ["2.0", "4.1"],
            ["train_epoch2_batch0", "train_epoch4_batch1"],
        ),
        ({"save_on": "batch_start", "max_to_keep": 1}, ["4.2"], ["train_epoch4_batch2"]),
        ({"name_template": "{epoch}-of-{phase}", "every_n": 3}, [2], ["2-of-train"]),
    ],
)
@pytest.mark.parametrize("mode", ["disk", "memory"])
def test_a_train_phase_keeps_what_it_was_told_to(
    parts: Parts, tmp_path: Path, mode: Any, arguments: Any, keys: list[object], names: list[str]
) -> None:
    own = Checkpointing(mode=mode, **arguments)
    parts.experiment.set_checkpoint_dir(tmp_path)
    parts.experiment.run_phase(training(parts, epochs=5, checkpointing=own))
    assert own.saved_keys == keys
    if mode == "memory":
        assert files(tmp_path) == []
        assert all(own.get_state(key) is not None for key in own.saved_keys)
        return
    assert files(tmp_path) == sorted(f"train/{name}.ckpt.mml" for name in names)
    assert [own.get_path(key).name for key in own.saved_keys] == [  # type: ignore[union-attr]
        f"{name}.ckpt.mml" for name in names
    ]
    assert sorted(parts.experiment.available_checkpoints) == sorted(names)


def test_the_state_of_an_epoch_is_restored_by_name(parts: Parts, tmp_path: Path) -> None:
    parts.experiment.set_checkpoint_dir(tmp_path)
    test = EvalPhase.from_split("test", "test", [parts.loss])
    own = Checkpointing(mode="disk")
    parts.experiment.run_phase(training(parts, epochs=1))
    expected = bits(parts.experiment.run_phase(test))
    again = Experiment.from_active_context("again", overwrite=True)
    again.set_checkpoint_dir(tmp_path / "again")
    again.run_phase(training(parts, epochs=4, checkpointing=own))
    again.restore_checkpoint("train_epoch0")
    assert bits(again.run_phase(test)) == expected
    with Archive(again.available_checkpoints["train_epoch3"], "ckpt") as archive:
        about = archive.read_json("about.json", dict)
    assert about == {
        "name": "train_epoch3",
        "experiment": "again",
        "graph": None,
        "hook": "epoch_end",
        "at": {"phase": "train", "epoch": 3},
        "history": 0,
        "meta": {},
    }


def test_a_checkpoint_of_an_earlier_version_is_read(parts: Parts, tmp_path: Path) -> None:
    test = EvalPhase.from_split("test", "test", [parts.loss])
    parts.experiment.set_checkpoint_dir(tmp_path)
    parts.experiment.run_phase(training(parts, epochs=1))
    expected = bits(parts.experiment.run_phase(test))
    path, earlier = parts.experiment.save_checkpoint("now"), tmp_path / "earlier.ckpt.mml"
    with Archive(path, "ckpt") as now, writing(earlier, "ckpt", overwrite=False) as then:
        for name in now.names:
            then.add("checkpoint.json" if name == "about.json" else name, now.read(name))
    parts.experiment.run_phase(training(parts, epochs=1))
    parts.experiment.restore_checkpoint("earlier")
    assert bits(parts.experiment.run_phase(test)) == expected


def test_a_file_that_may_not_be_replaced_ends_the_run(parts: Parts, tmp_path: Path) -> None:
    own = Checkpointing(mode="disk", directory=tmp_path, overwrite=False)
    phase = training(parts, checkpointing=own)
    parts.experiment.run_phase(phase)
    with pytest.raises(RunError, match="is there already; overwrite=True replaces it"):
        parts.experiment.run_phase(phase)
    assert parts.experiment.history[-1].status == "failed"


def test_saving_changes_no_bit(parts: Parts, tmp_path: Path) -> None:
    every = ["phase_start", "batch_start", "batch_end", "epoch_start", "epoch_end", "phase_end"]
    plain = bits(parts.experiment.run_phase(training(parts)))
    other = Experiment.from_active_context("exp", overwrite=True)
    own = Checkpointing(mode="disk", save_on=every, directory=tmp_path)
    saved = other.run_phase(training(parts, checkpointing=own))
    assert bits(saved) == plain
    assert np.isfinite(values(saved)).all()


def test_its_arguments_can_be_had_and_given_again(tmp_path: Path) -> None:
    given = Checkpointing(mode="disk", save_on="phase_end", directory=tmp_path, max_to_keep=3)
    again = Checkpointing.from_config(given.get_config())
    assert again.get_config() == given.get_config()
    assert repr(again) == (
        "Checkpointing(mode='disk', save_on=['phase_end'], every_n=1, "
        f"directory={str(tmp_path)!r}, max_to_keep=3, overwrite=True)"
    )
