from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from specplan import Accelerator, EvalPhase, ModelNode, SequentialMLP, SimpleSampler, TrainPhase
from specplan.objects.accelerator import accelerator_of, one_device

if TYPE_CHECKING:
    from tests.objects.parts import Parts


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cpu", ("cpu", "/CPU:0")),
        ("cuda", ("cuda", "/GPU:0")),
        ("CUDA:1", ("cuda:1", "/GPU:1")),
        ("gpu", ("cuda", "/GPU:0")),
        ("gpu:2", ("cuda:2", "/GPU:2")),
        ("mps", ("mps", "/CPU:0")),
    ],
)
def test_devices_have_names(device: str, words: tuple[str, str]) -> None:
    accelerator = Accelerator(device)
    assert (accelerator.torch_device_str(), accelerator.tf_device_str()) == words
    assert Accelerator.from_config(accelerator.get_config()) == accelerator


def test_what_is_no_device_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^'tpu' is no device: cpu, cuda, cuda:N, gpu, gpu:N or"):
        Accelerator("tpu")
    with pytest.raises(TypeError, match="^accelerator is an Accelerator or the name of a device"):
        accelerator_of(3)  # type: ignore[arg-type]
    assert repr(Accelerator.cuda(1, pin_memory=True)) == "Accelerator('cuda:1', pin_memory=True)"


def test_the_processor_is_taken_everywhere(parts: Parts) -> None:
    assert Accelerator.cpu().is_available()
    train = TrainPhase.from_split(
        "train", "train", SimpleSampler(8), [parts.loss], accelerator=Accelerator.cpu()
    )
    test = EvalPhase.from_split("test", "test", [parts.loss], accelerator="cpu")
    assert train.accelerator == test.accelerator == Accelerator("cpu")
    parts.experiment.run_phase(train)
    node = ModelNode("Other", SequentialMLP(), parts.node, accelerator="cpu")
    assert node.accelerator == Accelerator()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has such a device")
def test_a_device_that_is_not_there_is_told(parts: Parts) -> None:
    assert not Accelerator.gpu().is_available()
    with pytest.raises(ValueError, match=r"^this machine has no device `cuda:0`"):
        EvalPhase.from_split("test", "test", [parts.loss], accelerator=Accelerator.cuda())


def test_a_run_has_one_device(parts: Parts) -> None:
    named = [Accelerator.cuda(1), None, Accelerator("gpu:1")]
    assert one_device([Accelerator("cuda"), Accelerator.cuda()]) == "cuda:0"
    assert one_device([None]) is None
    assert one_device(named) == "cuda:1"
    with pytest.raises(ValueError, match=r"one device, and .* name `cuda:1`, `cpu`$"):
        one_device([*named, Accelerator.cpu()])
    test = EvalPhase.from_split("test", "test", [parts.loss], accelerator="cpu")
    parts.experiment.execution_plan.add_phase(test)
    assert parts.experiment.to_spec()["run"]["device"] == "cpu"
