"""Live objects of an experiment, models and callbacks, as plain values in an archive and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from specplan.code.named_class import arguments_of, class_named, name_of
from specplan.errors import ArchiveError
from specplan.models.torch.wrapper import TorchModelWrapper, is_module, is_module_class
from specplan.objects.experiment_callback import ExperimentCallback
from specplan.run.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Mapping

Stored = dict[str, Any]


def stored_object(what: str, value: object) -> Stored:
    """An object as its class and arguments; `what` it is, for the message.

    Raises:
        ValueError: it cannot be stored without pickle, and why.
    """
    try:
        return _stored(value)
    except ValueError as error:
        raise ValueError(f"{what} cannot be saved: it {error}") from None


def stored_or_refused(what: str, value: object) -> Stored:
    """As `stored_object`; what cannot be stored is `{"refused": the reason}`."""
    try:
        return stored_object(what, value)
    except ValueError as error:
        return {"refused": str(error)}


def object_from(what: str, stored: Mapping[str, Any], *, allow_import: bool) -> Any:
    """An object of which `stored_object` was asked. Weights are not part of it.

    Raises:
        ArchiveError: its class is not known here, or does not take the arguments.
    """
    if "refused" in stored:
        raise ArchiveError(f"{what} cannot be made again: {stored['refused']}")
    try:
        return _made(stored, allow_import=allow_import)
    except (ValueError, TypeError, KeyError) as error:
        raise ArchiveError(f"{what} cannot be loaded: {error}") from error


def _stored(value: object) -> Stored:
    if isinstance(value, TorchModelWrapper):
        if value.model is not None:
            return {"kind": "wrapped module", "module": _stored(value.model)}
        assert value.model_class is not None
        return {
            "kind": "wrapped class",
            "class": name_of(value.model_class),
            "arguments": arguments_of(value, value.model_kwargs),
            "inject_input_shape_as": value.inject_input_shape_as,
            "inject_output_shape_as": value.inject_output_shape_as,
        }
    if is_module(value):
        from specplan.models.torch.described import described

        return {"kind": "module", **described(cast("Any", value))}
    if is_module_class(value):
        return {"kind": "class", "class": name_of(cast("type", value))}
    if isinstance(value, Callback | ExperimentCallback):
        return {"kind": "callback", "class": name_of(type(value)), "arguments": arguments_of(value)}
    raise ValueError(f"is a {type(value).__name__}, which cannot be stored without pickle")


def _made(stored: Mapping[str, Any], *, allow_import: bool) -> Any:
    kind = stored["kind"]
    if kind == "callback":
        cls = _callback_class(stored["class"], allow_import=allow_import)
        return cls(**stored["arguments"])
    if kind == "wrapped module":
        return TorchModelWrapper(_made(stored["module"], allow_import=allow_import))
    if kind == "module":
        from specplan.models.torch.described import made

        return made(stored, allow_import=allow_import)
    cls = _module_class(stored["class"], allow_import=allow_import)
    if kind == "class":
        return cls
    return TorchModelWrapper(
        model_class=cls,
        model_kwargs=stored["arguments"],
        inject_input_shape_as=stored["inject_input_shape_as"],
        inject_output_shape_as=stored["inject_output_shape_as"],
    )


def _module_class(use: str, *, allow_import: bool) -> Any:
    from specplan.models.torch.described import module_class

    return module_class(use, allow_import=allow_import)


def _callback_class(use: str, *, allow_import: bool) -> Any:
    try:
        return class_named(use, Callback, allow_import=allow_import)
    except ValueError:
        return class_named(use, ExperimentCallback, allow_import=allow_import)
