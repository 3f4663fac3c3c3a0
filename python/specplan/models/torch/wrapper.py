"""A torch module of a Python program as the model of a node, with what its class has to be told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specplan.spec.wording import with_article

if TYPE_CHECKING:
    from torch import nn

    from specplan.spec.model import ComponentSpec

Shape = tuple[int, ...]


class TorchModelWrapper:
    """A module, or the class that makes one once the shapes are known.

    Args:
        model: a module; a run trains a copy of it and gives the weights back.
        model_class: a subclass of `torch.nn.Module`; its weights are drawn from the seed of the run.
        model_kwargs: arguments of the class.
        inject_input_shape_as: name of the argument of the class that is the shape of one input row; by
            default `input_shape`, where the class has it and `model_kwargs` do not say it.
        inject_output_shape_as: name of the argument that is the shape of one output row, that of the
            node's target; by default `output_shape`, in the same way.

    Attributes:
        component: empty: no spec can say what it is.
        input_shape: shape of one input row; None until it is built.
        output_shape: shape of one output row; None until it is built.

    Raises:
        TypeError: an argument is of another type.
        ValueError: neither or both of model and class, or arguments without a class.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        *,
        model_class: type[nn.Module] | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        inject_input_shape_as: str | None = None,
        inject_output_shape_as: str | None = None,
    ) -> None:
        if (model is None) == (model_class is None):
            raise ValueError("TorchModelWrapper takes either `model` or `model_class`")
        if model is not None and (model_kwargs or inject_input_shape_as or inject_output_shape_as):
            raise ValueError("`model` is made already; arguments are for `model_class`")
        if model is not None and not is_module(model):
            raise TypeError(f"`model` is a torch.nn.Module, not {type(model).__name__}")
        if model_class is not None and not is_module_class(model_class):
            raise TypeError(f"`model_class` is a subclass of torch.nn.Module, not {model_class!r}")
        if not isinstance(model_kwargs or {}, Mapping):
            raise TypeError(
                f"`model_kwargs` is a mapping, not {with_article(type(model_kwargs).__name__)}"
            )
        self.model = model
        self.model_class = model_class
        self.model_kwargs = dict(model_kwargs or {})
        self.inject_input_shape_as = inject_input_shape_as or self._asked("input_shape")
        self.inject_output_shape_as = inject_output_shape_as or self._asked("output_shape")
        self.component: ComponentSpec = {}
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None

    @property
    def backend(self) -> str:
        """ "torch"."""
        return "torch"

    @property
    def is_built(self) -> bool:
        """Whether both shapes are known."""
        return self.input_shape is not None and self.output_shape is not None

    def build(self, input_shape: Shape, output_shape: Shape | None = None) -> None:
        """Run the model on a few rows of a shape, and remember what it gives.

        Raises:
            ValueError: it fails, or gives rows of another shape.
        """
        from specplan.models.torch.live import given_shape

        self.output_shape = given_shape(self, input_shape, output_shape)
        self.input_shape = input_shape

    def node_section(self) -> dict[str, Any]:
        """What a spec says of the node beside its model: nothing."""
        return {}

    def bound(self) -> object:
        """The object that a spec calls `live:NAME`."""
        return self.model if self.model_class is None else self

    def meaning(self) -> dict[str, Any]:
        """What tells one wrapper of a class from another."""
        return {
            "model_kwargs": self.model_kwargs,
            "inject_input_shape_as": self.inject_input_shape_as,
            "inject_output_shape_as": self.inject_output_shape_as,
        }

    def _asked(self, name: str) -> str | None:
        """`name`, where the class has such an argument that is not given."""
        if self.model_class is None or name in self.model_kwargs:
            return None
        return name if name in inspect.signature(self.model_class).parameters else None

    def made(self, input_shape: Shape, output_shape: Shape | None) -> nn.Module:
        """A copy of the module, or a new one of the class, with torch's global generator."""
        if self.model_class is None:
            import copy

            return copy.deepcopy(self.model)  # type: ignore[return-value]
        given = dict(self.model_kwargs)
        if self.inject_input_shape_as is not None:
            given[self.inject_input_shape_as] = input_shape
        if self.inject_output_shape_as is not None:
            given[self.inject_output_shape_as] = output_shape
        return self.model_class(**given)

    def __repr__(self) -> str:
        if self.model_class is None:
            return f"TorchModelWrapper({type(self.model).__name__})"
        said = "".join(f", {key}={value!r}" for key, value in self.model_kwargs.items())
        return f"TorchModelWrapper(model_class={self.model_class.__name__}{said})"


def is_module(value: object) -> bool:
    """Whether `value` is a torch module. Imports no torch: who has a module has imported it."""
    return _has_module_base(type(value))


def is_module_class(value: object) -> bool:
    """Whether `value` is a subclass of `torch.nn.Module`."""
    return isinstance(value, type) and _has_module_base(value)


def _has_module_base(cls: type) -> bool:
    return any(
        base.__module__ == "torch.nn.modules.module" and base.__name__ == "Module"
        for base in cls.__mro__
    )


def held_module(model: object) -> nn.Module | None:
    """The module that a program holds as a model, also in a wrapper; None where it holds none."""
    held = model.model if isinstance(model, TorchModelWrapper) else model
    return held if is_module(held) else None  # type: ignore[return-value]
