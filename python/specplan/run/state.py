"""The live side of a plan: modules, estimators, optimizer; and how it is put aside and brought back."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RunError
from specplan.plan.streams import seed_of
from specplan.run.device import CPU, generator_state, set_generator_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import torch
    from torch import nn

    from specplan.plan.model import Component, Node, Plan, Train
    from specplan.run.builder import Builder

LiveNode = Any
"""`torch.nn.Module` or a scikit-learn estimator."""


class Kept(msgspec.Struct, frozen=True):
    """An optimizer put aside.

    Attributes:
        live: the object, which serves on when the state is put back.
        component: what it was made of.
        groups: the names of its parameters, `<node>.<parameter>`, group by group.
        values: its state_dict.
    """

    live: torch.optim.Optimizer
    component: Component
    groups: tuple[tuple[str, ...], ...]
    values: Mapping[str, Any]


class Snapshot(msgspec.Struct, frozen=True):
    """A state put aside. Shares nothing that changes with the state it was taken from.

    Attributes:
        generator: state of torch's global generator; `device_generator` is that of the device, with its
            name, None where the state was on the processor.
    """

    modules: Mapping[str, Mapping[str, torch.Tensor]]
    estimators: Mapping[str, Any]
    optimizer: Kept | None
    steps: int
    generator: torch.Tensor
    own_optimizers: Mapping[str, Kept] = {}
    fitted: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    device_generator: tuple[str, torch.Tensor] | None = None


class State:
    """What a run changes.

    Attributes:
        device: where the modules are.
        nodes: the live module or estimator of each node by label; merges have none. Modules are the
            same objects for the whole life of the state, estimators are replaced when they are fitted.
        optimizer: None until the first train phase.
        own_optimizers: those of single nodes by label, each with what it was made of.
        learning_in_batches: estimators that a train phase changes in place.
        steps: optimizer steps done so far.
        fitted: scikit-learn nodes that a fit phase has fitted.
        frozen: nodes that were frozen by hand.
    """

    def __init__(self) -> None:
        self._builder: Builder | None = None
        self.device = CPU
        self.nodes: dict[str, LiveNode] = {}
        self.optimizer: torch.optim.Optimizer | None = None
        self.own_optimizers: dict[str, tuple[torch.optim.Optimizer, Component]] = {}
        self.learning_in_batches: set[str] = set()
        self.steps = 0
        self.fitted: set[str] = set()
        self.frozen: set[str] = set()
        self._optimizer_component: Component | None = None
        self._described: dict[str, Node] = {}
        self._fixed: set[int] = set()

    @property
    def builder(self) -> Builder:
        """Makes what the components of the plan that is run are. Imported when a plan has some."""
        if self._builder is None:
            from specplan.run.builder import Builder

            self._builder = Builder()
        return self._builder

    @builder.setter
    def builder(self, builder: Builder) -> None:
        self._builder = builder

    def move(self, device: str) -> None:
        """Take modules and optimizers to a device; nodes that are added later are made there."""
        if device == self.device:
            return
        self.device = device
        for module in self.modules().values():
            module.to(device)
        live = [optimizer for optimizer, _ in self.own_optimizers.values()]
        for optimizer in [*live, *([] if self.optimizer is None else [self.optimizer])]:
            # What it keeps of each parameter goes to where the parameter is.
            optimizer.load_state_dict(optimizer.state_dict())

    def add_nodes(self, plan: Plan) -> None:
        """Build the nodes of `plan` that are not here yet. Modules are left in eval mode, with gradients.

        Raises:
            RunError: a node of that name is here, and was built from another description; or there
                is not enough memory for a node.
        """
        for label in plan.graph.order:
            node = plan.graph.nodes[label]
            if label not in self._described:
                live = self._built(label, node, seed_of(plan.numerics.seed, f"init/{label}"))
                if live is not None:
                    self.nodes[label] = live
            elif _description(self._described[label]) != _description(node):
                msg = (
                    f"node `{label}` has weights from a run in which it was described differently\n"
                    "hint: start from a fresh state, or give the node another label"
                )
                raise RunError(msg)
            self._described[label] = node
        for module in self.modules().values():
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(id(parameter) not in self._fixed)

    def modules(self) -> dict[str, nn.Module]:
        """The torch nodes, in order of creation."""
        if not self.nodes:
            return {}  # a run that only calls code of the user does not wait for torch
        from torch import nn

        return {label: live for label, live in self.nodes.items() if isinstance(live, nn.Module)}

    def gradients(self) -> dict[str, torch.Tensor]:
        """Those that are there, by `<node>.<parameter>`."""
        return {
            name: parameter.grad
            for name, parameter in self._parameters().items()
            if parameter.grad is not None
        }

    def put_gradients(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Bring back what `gradients` gave."""
        parameters = self._parameters()
        for name, gradient in gradients.items():
            parameters[name].grad = gradient.to(self.device)

    def _parameters(self) -> dict[str, nn.Parameter]:
        return {
            f"{label}.{name}": parameter
            for label, module in self.modules().items()
            for name, parameter in module.named_parameters()
        }

    def optimizers_for(self, phase: Train) -> list[torch.optim.Optimizer]:
        """What a train phase makes steps with: the optimizer of all modules, or one for each node that it trains."""
        if phase.optimizer is not None:
            return [self.optimizer_for(phase.optimizer)]
        modules = self.modules()
        for label, component in phase.optimizers.items():
            if label not in self.own_optimizers:
                parameters = list(modules[label].parameters())
                live = self.builder.optimizer(component, parameters)
                self.own_optimizers[label] = (live, component)
        return [self.own_optimizers[label][0] for label in phase.optimizers]

    def optimizer_for(self, component: Component) -> torch.optim.Optimizer:
        """The one optimizer of all modules, created at the first call and extended by modules that came later."""
        parameters = [p for module in self.modules().values() for p in module.parameters()]
        if self.optimizer is None:
            self.optimizer = self.builder.optimizer(component, parameters)
            self._optimizer_component = component
            return self.optimizer
        known = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        new = [p for p in parameters if id(p) not in known]
        if new:
            self.optimizer.add_param_group({"params": new})
        return self.optimizer

    def _built(self, label: str, node: Node, seed: int) -> LiveNode | None:
        try:
            match node.backend:
                case "torch":
                    return self._module(node, seed)
                case "sklearn":
                    return self.builder.estimator(node)
                case "merge":
                    return None
        except RunError:
            raise
        except (MemoryError, RuntimeError) as error:
            # torch says with a RuntimeError that it gets no memory.
            raise RunError(f"node `{label}` cannot be built: {error}") from error

    def _module(self, node: Node, seed: int) -> nn.Module:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.builder.module(node).to(self.device)
        # What a model of the user freezes itself is never trained.
        self._fixed |= {id(p) for p in module.parameters() if not p.requires_grad}
        return module

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Take back how modules are set up, and what makes components, from code that may run phases itself."""
        builder, frozen = self._builder, set(self.frozen)
        modules = [part for module in self.modules().values() for part in module.modules()]
        modes = [(part, part.training) for part in modules]
        learning = [
            (each, each.requires_grad)
            for part in modules
            for each in part.parameters(recurse=False)
        ]
        try:
            yield
        finally:
            self._builder, self.frozen = builder, frozen
            for part, training in modes:
                part.training = training
            for parameter, learns in learning:
                parameter.requires_grad = learns

    def capture(self) -> Snapshot:
        """Put aside weights, estimators, optimizer, step count, torch's global generator and the device's."""
        import torch
        from torch import nn

        of_device = generator_state(self.device)

        return Snapshot(
            modules={
                label: {name: value.clone() for name, value in module.state_dict().items()}
                for label, module in self.modules().items()
            },
            estimators={
                label: self._put_aside(label, live)
                for label, live in self.nodes.items()
                if not isinstance(live, nn.Module)
            },
            optimizer=None
            if self.optimizer is None or self._optimizer_component is None
            else self._kept(self.optimizer, self._optimizer_component),
            own_optimizers={
                label: self._kept(live, component)
                for label, (live, component) in self.own_optimizers.items()
            },
            steps=self.steps,
            generator=torch.get_rng_state(),
            fitted=frozenset(self.fitted),
            frozen=frozenset(self.frozen),
            device_generator=None if of_device is None else (self.device, of_device),
        )

    def kept_optimizer(
        self, component: Component, groups: Sequence[Sequence[str]], values: Mapping[str, Any]
    ) -> Kept:
        """An optimizer of parameters by name, for a snapshot that comes from elsewhere than this state."""
        named = self._parameters()
        first, *later = ([named[name] for name in group] for group in groups)
        live = self.builder.optimizer(component, first)
        for group in later:
            live.add_param_group({"params": group})
        return Kept(live, component, tuple(tuple(group) for group in groups), values)

    def _put_aside(self, label: str, estimator: Any) -> Any:
        """The estimator, which is never changed but by partial_fit."""
        return copy.deepcopy(estimator) if label in self.learning_in_batches else estimator

    def _kept(self, optimizer: torch.optim.Optimizer, component: Component) -> Kept:
        names = {id(parameter): name for name, parameter in self._parameters().items()}
        groups = tuple(
            tuple(names[id(parameter)] for parameter in group["params"])
            for group in optimizer.param_groups
        )
        return Kept(optimizer, component, groups, copy.deepcopy(optimizer.state_dict()))

    def restore(self, snapshot: Snapshot) -> None:
        """Bring back what `capture` put aside. A snapshot can be restored many times."""
        import torch

        modules = self.modules()
        for label, values in snapshot.modules.items():
            modules[label].load_state_dict(values)
        for label, estimator in snapshot.estimators.items():
            self.nodes[label] = self._put_aside(label, estimator)
        self.own_optimizers = {}
        for label, own in snapshot.own_optimizers.items():
            own.live.load_state_dict(copy.deepcopy(dict(own.values)))
            self.own_optimizers[label] = (own.live, own.component)
        self.optimizer = None
        if (kept := snapshot.optimizer) is not None:
            self.optimizer, self._optimizer_component = kept.live, kept.component
            self.optimizer.load_state_dict(copy.deepcopy(dict(kept.values)))
        self.steps = snapshot.steps
        self.fitted = set(snapshot.fitted)
        self.frozen = set(snapshot.frozen)
        torch.set_rng_state(snapshot.generator)
        if snapshot.device_generator is not None:
            device, generator = snapshot.device_generator
            # What is gone on with on another kind of device has another generator.
            if device.partition(":")[0] == self.device.partition(":")[0]:
                set_generator_state(self.device, generator)

    def go_back(self, snapshot: Snapshot) -> None:
        """Bring back what `capture` put aside, while the count of steps goes on."""
        steps = self.steps
        self.restore(snapshot)
        self.steps = steps

    def renew(self, plan: Plan, labels: Iterable[str], seed: int) -> None:
        """Give torch nodes the initial weights that another root seed gives, and the optimizer no memory of them."""
        modules = self.modules()
        for label in labels:
            fresh = self._module(plan.graph.nodes[label], seed_of(seed, f"init/{label}"))
            modules[label].load_state_dict(fresh.state_dict())
            self.own_optimizers.pop(label, None)
            if self.optimizer is not None:
                for parameter in modules[label].parameters():
                    self.optimizer.state.pop(parameter, None)


def _description(node: Node) -> tuple[object, ...]:
    """What decides the form of a live node: not where its inputs come from, nor what weights it began with."""
    inputs = tuple((read.dtype, read.shape) for read in node.inputs)
    component = node.component
    if component.live is not None:
        return (node.backend, component.live.type, inputs, node.dtype, node.shape)
    return (node.backend, component, inputs, node.dtype, node.shape)
