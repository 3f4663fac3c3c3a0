"""What components of a plan are while it runs, whether they are built in or code of the user."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from specplan.code.batches import OwnBatches, bound_maker, maker
from specplan.code.division import divided, divider
from specplan.code.load import place_of
from specplan.code.signature import called
from specplan.data.scaling import made as built_in_scaler
from specplan.errors import CodeError, RunError, SpecplanError
from specplan.models.own import arguments, own_scaling
from specplan.models.torch import live as live_objects
from specplan.models.torch import own
from specplan.models.torch.build import build_module
from specplan.models.torch.losses import build_loss, weighted_loss
from specplan.models.torch.optimizers import build_optimizer
from specplan.run.callback import Callback
from specplan.run.metrics import build_metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from specplan.code.division import Rows
    from specplan.code.signature import Signature
    from specplan.components import Kind
    from specplan.data.scaling import Scaling
    from specplan.plan.model import Callback as PlanCallback
    from specplan.plan.model import Component, Node, Objective
    from specplan.plan.own_code import Admitted

    Registers = list[Any]


class Builder:
    """Makes modules, merges, losses, metrics, optimizers, samplers, scalers and splitters.

    Args:
        admitted: the code of the user that may run, by kind, `use` and digest. It is imported here.
        live: objects of the program, by the name under which the plan calls them.
        places: where the spec has models, losses and metrics, by kind and label.

    Raises:
        CodeError: the code fails when it is imported, or is not what it is used as.
    """

    def __init__(
        self,
        admitted: Mapping[tuple[Kind, str, str], Admitted] | None = None,
        live: Mapping[str, Any] | None = None,
        places: Mapping[tuple[Kind, str], str] | None = None,
    ) -> None:
        self._admitted = admitted or {}
        self._live = live or {}
        self._places = places or {}
        self._made = {
            key: own.imported(code.source, code.kind) for key, code in self._admitted.items()
        }

    def bound(self, component: Component) -> Any:
        """The object of the program that a component is."""
        return self._live[component.use.partition(":")[2]]

    def module(self, node: Node) -> nn.Module:
        """The module of a torch node, its weights drawn from torch's global generator or copied."""
        component = node.component
        if component.live is not None:
            return live_objects.made(self.bound(component), node.inputs[0].shape, node.shape)
        if component.code is None:
            return build_module(
                component.use,
                component.args,
                input_shape=node.inputs[0].shape,
                output_shape=node.shape,
            )
        code = self._own(node.kind, component)
        module: nn.Module = code.guarded(code.make)(**code.given)
        if own.has_lazy_layers(module):
            msg = (
                f"`{component.use}` has lazy layers, whose sizes are not known before its first rows\n"
                "hint: take `input_shape`, and say their sizes"
            )
            raise RunError(msg)
        return module

    def estimator(self, node: Node) -> Any:
        """The estimator of a scikit-learn node, not fitted."""
        from specplan.models.sklearn.build import build_estimator, unfitted

        if node.component.live is not None:
            return unfitted(self.bound(node.component))
        return build_estimator(node.component.use, node.component.args)

    def forward(
        self,
        label: str,
        node: Node,
        module: nn.Module,
        sources: Sequence[int],
        destination: int,
        *,
        apart: bool = False,
    ) -> Callable[[Registers], None]:
        """The operation that computes a torch node. What a model of the user gives is checked.

        No gradient passes to what a node reads that is `apart`.
        """
        if apart:
            inside = self.forward(label, node, module, sources, destination)

            def operate_apart(registers: Registers) -> None:
                whole = [registers[source] for source in sources]
                for source, rows in zip(sources, whole, strict=True):
                    registers[source] = rows.detach()
                inside(registers)
                for source, rows in zip(sources, whole, strict=True):
                    registers[source] = rows

            return operate_apart
        if node.kind == "merge":
            join = self._checked_merge(label, node, module)

            def operate_merge(registers: Registers) -> None:
                registers[destination] = join(*[registers[source] for source in sources])

            return operate_merge
        (source,) = sources
        if node.component.code is None:

            def operate(registers: Registers) -> None:
                registers[destination] = module(registers[source])

            return operate

        compute = self._guarded("model", node.component, module, label)
        check = own.rows_of(node.shape, f"{self._place('model', label)}node `{label}`")

        def operate_own(registers: Registers) -> None:
            rows = registers[source]
            outputs = compute(rows)
            check(outputs, len(rows))
            registers[destination] = outputs

        return operate_own

    def merge(self, label: str, node: Node) -> Callable[..., Tensor]:
        """What a function of the user's makes of its inputs, which is checked."""
        code = self._own("merge", node.component)
        return self._checked_merge(label, node, partial(code.make, **code.given))

    def _checked_merge(
        self, label: str, node: Node, function: Callable[[list[Tensor]], Any]
    ) -> Callable[..., Tensor]:
        compute = self._guarded("merge", node.component, function, label)
        check = own.rows_of(node.shape, f"{self._place('merge', label)}node `{label}`")

        def join(*inputs: Tensor) -> Tensor:
            outputs: Tensor = compute(list(inputs))
            check(outputs, len(inputs[0]))
            return outputs

        return join

    def loss(self, objective: Objective) -> Callable[..., Tensor]:
        """A loss: a function of outputs and targets."""
        component = objective.component
        if component.live is not None:
            name = f"loss `{objective.label}`"
            return own.own_loss(self.bound(component), {}, name, averages=True)
        if component.code is None:
            return build_loss(component.use, component.args)
        code = self._own("loss", component, objective.label)
        name = f"{self._place('loss', objective.label)}loss `{objective.label}`"
        made = code.guarded(own.own_loss)(code.make, code.given, name)
        loss: Callable[..., Tensor] = code.guarded(made)
        return loss

    def weighted_loss(self, objective: Objective) -> Callable[..., Tensor]:
        """A built-in loss as a function of its arguments and of the weight of each row."""
        return weighted_loss(objective.component.use, objective.component.args)

    def metric(self, objective: Objective) -> Callable[[NDArray[Any], NDArray[Any]], float]:
        """A metric: a function of all outputs and targets of a split."""
        component = objective.component
        if component.live is not None:
            return own.own_metric(self.bound(component), {}, f"metric `{objective.label}`")
        if component.code is None:
            return build_metric(component.use, component.args)
        code = self._own("metric", component, objective.label)
        name = f"{self._place('metric', objective.label)}metric `{objective.label}`"
        metric: Callable[..., float] = code.guarded(own.own_metric(code.make, code.given, name))
        return metric

    def optimizer(
        self, component: Component, parameters: Iterable[torch.nn.Parameter]
    ) -> torch.optim.Optimizer:
        """The optimizer of `parameters`, in their order."""
        if component.live is not None:
            return live_objects.optimizer(self.bound(component), parameters)
        if component.code is None:
            return build_optimizer(component.use, component.args, parameters)
        code = self._own("optimizer", component)
        optimizer: torch.optim.Optimizer = code.guarded(code.make)(parameters, **code.given)
        return optimizer

    def batches(
        self,
        component: Component,
        seed: int,
        rows: int,
        columns: Mapping[str, NDArray[Any]],
        label: str,
    ) -> OwnBatches:
        """What a sampler of the user's makes of the rows of a split, for the phase `label`."""
        if component.live is not None:
            bound = bound_maker(self.bound(component), columns)
            return OwnBatches(bound, f"sampler `{component.use}`", seed, rows)
        code = self._own("sampler", component, label)
        make = maker(code.make, code.given, code.declared, columns)
        return OwnBatches(code.guarded(make), code.name, seed, rows)

    def scaler(self, component: Component) -> Scaling:
        """A scaler, not fitted.

        Raises:
            ValueError: no object of a class of the user's can be made.
            ModuleNotFoundError: it is one of scikit-learn's, which is not installed.
        """
        if component.code is None:
            return built_in_scaler(component.use, component.args)
        code = self._admitted[_key("scaler", component)]
        return own_scaling(code.source, code.signature, component.args)

    def divided(
        self,
        component: Component,
        seed: int,
        rows: int,
        columns: Mapping[str, NDArray[Any]],
        label: str,
    ) -> Rows:
        """The rows of each split that a splitter of the user's makes of those of the FeatureSet `label`."""
        code = self._own("split", component, label)
        divide = divider(code.make, code.given, code.declared, columns)
        return divided(code.guarded(divide), code.name, seed, rows)

    def callback(self, named: PlanCallback) -> Callback:
        """What is called inside a phase: the object of the program itself, or a new one of the user's class.

        Raises:
            CodeError: the class is none of a callback.
        """
        component = named.component
        if component.live is not None:
            bound: Callback = self.bound(component)
            return bound
        code = self._own("callback", component)
        made = code.guarded(code.make)(**code.given)
        if not isinstance(made, Callback):
            message = (
                f"`{component.use}` is not a callback: that is a subclass of specplan.Callback"
            )
            hint = f"write `class {component.use.rpartition(':')[2]}(specplan.Callback):`"
            raise CodeError("SP406", message, hint)
        return made

    def _own(self, kind: Kind, component: Component, label: str = "") -> _Own:
        key = _key(kind, component)
        code = self._admitted[key]
        return _Own(
            make=self._made[key],
            given=arguments(code.source, code.signature, component.args),
            declared=code.signature,
            name=f"{self._place(kind, label)}{called(kind)} `{component.use}`",
            guarded=lambda function: self._guarded(kind, component, function, label),
        )

    def _place(self, kind: Kind, label: str) -> str:
        place = self._places.get((kind, label))
        return "" if place is None else f"{place}: "

    def _guarded(
        self, kind: Kind, component: Component, function: Callable[..., Any], label: str = ""
    ) -> Callable[..., Any]:
        """`function`, whose exceptions name the line of the user's code that they come from."""
        name = f"{self._place(kind, label)}{called(kind)} `{component.use}`"
        source = self._admitted[_key(kind, component)].source

        def call(*arguments: Any, **given: Any) -> Any:
            try:
                return function(*arguments, **given)
            except (SpecplanError, MemoryError):
                raise
            except Exception as error:
                place = place_of(error, source)
                message = f"{name} failed, {place}: {type(error).__name__}: {error}"
                raise RunError(message) from error

        return call


class _Own(NamedTuple):
    """What a component is that is code of the user.

    Attributes:
        make: the class or function; `given` are its arguments, as it has `declared` them.
        name: what messages call it, after its place in the spec.
        guarded: gives a function whose exceptions name the line of this code that they come from.
    """

    make: Callable[..., Any]
    given: dict[str, Any]
    declared: Signature
    name: str
    guarded: Callable[[Callable[..., Any]], Callable[..., Any]]


def _key(kind: Kind, component: Component) -> tuple[Kind, str, str]:
    assert component.code is not None
    return kind, component.use, component.code.digest
