"""Where nodes compute."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEVICE = re.compile(r"cpu|mps|(?:cuda|gpu)(?::[0-9]+)?")


class Accelerator:
    """A device.

    Args:
        device: cpu, cuda, cuda:N, gpu, gpu:N or mps; gpu is another word for cuda.
        pin_memory: whether rows are put into page-locked memory before they go to a CUDA device.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there is no such kind of device.
    """

    def __init__(self, device: str = "cpu", *, pin_memory: bool = False) -> None:
        if not isinstance(device, str):
            raise TypeError(f"a device is a str, not {type(device).__name__}")
        if not _DEVICE.fullmatch(device.lower()):
            raise ValueError(f"{device!r} is no device: cpu, cuda, cuda:N, gpu, gpu:N or mps")
        self.device = device.lower()
        self.pin_memory = bool(pin_memory)

    @classmethod
    def cpu(cls) -> Accelerator:
        """The processor."""
        return cls("cpu")

    @classmethod
    def mps(cls) -> Accelerator:
        """Metal on Apple silicon."""
        return cls("mps")

    @classmethod
    def cuda(cls, index: int = 0, pin_memory: bool = False) -> Accelerator:  # noqa: FBT001, FBT002 -- as documented
        """A CUDA device."""
        return cls(f"cuda:{index}", pin_memory=pin_memory)

    @classmethod
    def gpu(cls, index: int = 0, pin_memory: bool = False) -> Accelerator:  # noqa: FBT001, FBT002 -- as documented
        """The same by its other name."""
        return cls(f"gpu:{index}", pin_memory=pin_memory)

    def torch_device_str(self) -> str:
        """The device in the words of torch."""
        return self.device.replace("gpu", "cuda")

    def tf_device_str(self) -> str:
        """The device in the words of TensorFlow, which has no mps."""
        kind, _, index = self.torch_device_str().partition(":")
        return f"/GPU:{index or 0}" if kind == "cuda" else "/CPU:0"

    def is_available(self) -> bool:
        """Whether this machine has it. Asks torch for anything but the processor."""
        if self.device == "cpu":
            return True
        from specplan.models.torch.device import is_available

        return is_available(self.torch_device_str())

    def get_config(self) -> dict[str, Any]:
        """The arguments that it was made with."""
        return {"device": self.device, "pin_memory": self.pin_memory}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Accelerator:
        """The accelerator that `get_config` was asked of."""
        return cls(config["device"], pin_memory=config["pin_memory"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Accelerator) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((self.device, self.pin_memory))

    def __repr__(self) -> str:
        pinned = ", pin_memory=True" if self.pin_memory else ""
        return f"Accelerator({self.device!r}{pinned})"


def accelerator_of(value: Accelerator | str | None) -> Accelerator | None:
    """An accelerator, also of the name of its device.

    Raises:
        TypeError: it is neither.
        ValueError: there is no such kind of device, or this machine has none.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value = Accelerator(value)
    if not isinstance(value, Accelerator):
        raise TypeError(
            f"accelerator is an Accelerator or the name of a device, not {type(value).__name__}"
        )
    if not value.is_available():
        raise ValueError(
            f"this machine has no device `{value.device}`; Accelerator.is_available() tells"
        )
    return value


def one_device(accelerators: Iterable[Accelerator | None]) -> str | None:
    """The device that some accelerators name, in the words of torch; None where none is named.

    Raises:
        ValueError: they name several. A run computes on one.
    """
    words = (each.torch_device_str() for each in accelerators if each is not None)
    named = dict.fromkeys("cuda:0" if word == "cuda" else word for word in words)
    if len(named) > 1:
        raise ValueError(
            f"a run computes on one device, and its phases and nodes name {quoted(named)}"
        )
    return next(iter(named), None)
