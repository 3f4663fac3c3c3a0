"""A scikit-learn estimator as the model of a node, with how it is fitted and asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from specplan.models.sklearn.instance import checked_unfitted, component_of, is_estimator
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.spec.model import ComponentSpec

TrainingMode = Literal["auto", "partial_fit", "batch_fit"]
OutputMethod = Literal["auto", "predict", "predict_proba", "decision_function"]


class ScikitModelWrapper:
    """An unfitted estimator.

    Args:
        model: the estimator. One that no spec can write, as one that holds others, stays an object of the program.
        training_mode: "batch_fit" by a fit phase, or "partial_fit" in the batches of a train phase; "auto" is
            "partial_fit" where the estimator has that.
        output_method: what the node gives: "predict", "predict_proba" or "decision_function"; "auto" is what
            it transforms or predicts.
        partial_fit_kwargs: arguments of every `partial_fit`, such as `{"classes": [0, 1]}`; by default the
            classes of a classifier are those of its target.

    Attributes:
        component: the estimator as a spec writes it; empty where none can.

    Raises:
        TypeError: `model` is no estimator.
        ValueError: it is fitted already, a mode or method is unknown, or one that it does not have.
    """

    def __init__(
        self,
        model: Any,
        training_mode: TrainingMode = "auto",
        output_method: OutputMethod = "auto",
        partial_fit_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not is_estimator(model):
            raise TypeError(f"model is a scikit-learn estimator, not {type(model).__name__}")
        if training_mode not in get_args(TrainingMode):
            raise ValueError(
                f"training_mode is {quoted(get_args(TrainingMode))}, not {training_mode!r}"
            )
        if output_method not in get_args(OutputMethod):
            raise ValueError(
                f"output_method is {quoted(get_args(OutputMethod))}, not {output_method!r}"
            )
        checked_unfitted(model)
        self.model = model
        self.training_mode = training_mode
        self.output_method = output_method
        self.partial_fit_kwargs = dict(partial_fit_kwargs or {})
        if training_mode == "partial_fit" and not self.supports_partial_fit:
            raise ValueError(f"{type(model).__name__} has no partial_fit; fit it in a FitPhase")
        if output_method != "auto" and not hasattr(model, output_method):
            raise ValueError(f"{type(model).__name__} has no {output_method}")
        self.component: ComponentSpec = component_of(model) or {}

    @property
    def backend(self) -> str:
        """ "sklearn"."""
        return "sklearn"

    @property
    def supports_partial_fit(self) -> bool:
        """Whether the estimator learns from one batch after the other."""
        return hasattr(self.model, "partial_fit")

    @property
    def resolved_training_mode(self) -> TrainingMode:
        """ "partial_fit" or "batch_fit"."""
        if self.training_mode != "auto":
            return self.training_mode
        return "partial_fit" if self.supports_partial_fit else "batch_fit"

    def node_section(self) -> dict[str, Any]:
        """What a spec says of the node beside its model."""
        section: dict[str, Any] = {}
        if self.training_mode != "auto":
            section["training_mode"] = self.training_mode
        if self.output_method != "auto":
            section["output_method"] = self.output_method
        if self.partial_fit_kwargs:
            section["partial_fit_kwargs"] = self.partial_fit_kwargs
        return section

    def bound(self) -> Any:
        """The object that a spec calls `live:NAME`."""
        return self.model

    def __repr__(self) -> str:
        return repr(self.model)
