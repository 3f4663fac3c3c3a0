"""The optimizer of a graph or of one node."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from specplan.components import COMPONENTS
from specplan.models.torch.table import MODULES, OPTIMIZERS
from specplan.spec.arguments import plain_arguments, written
from specplan.spec.wording import choices, with_article

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from specplan.spec.model import ComponentSpec


class Optimizer:
    """An optimizer, with the defaults of `torch.optim`.

    Args:
        opt: name of a class of `torch.optim`, in any case, or the class itself.
        opt_kwargs: its arguments.
        factory: makes the optimizer of a list of parameters, in place of `opt`.
        backend: "torch"; a name needs one.
        clip_norm: largest norm of all gradients together when it makes a step; they are scaled down to it.
        clip_value: largest size of each element of a gradient, which is cut to it first.

    Raises:
        TypeError: the optimizer has no such argument, or `opt` is neither a name nor a class.
        ValueError: both or neither of `opt` and `factory`, no backend, an unknown optimizer or backend, or
            a value that is not allowed.
    """

    def __init__(
        self,
        opt: str | type | None = None,
        *,
        opt_kwargs: Mapping[str, Any] | None = None,
        factory: Callable[..., Any] | None = None,
        backend: str | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.clip_norm = _limit("clip_norm", clip_norm)
        self.clip_value = _limit("clip_value", clip_value)
        if (opt is None) == (factory is None):
            raise ValueError("an Optimizer takes either `opt` or `factory`")
        self.opt_kwargs = dict(opt_kwargs or {})
        self.factory = factory
        self.cls = opt if isinstance(opt, type) else None
        self.component: ComponentSpec = {}
        self.live: Any = None
        if isinstance(opt, str):
            self.backend = checked_backend("Optimizer", opt, backend)
            self.name = _known_name(opt)
            self.component = _component(self.name, opt_kwargs or {})
            return
        self.backend = "torch" if backend is None else checked_backend("Optimizer", None, backend)
        if factory is not None:
            if not callable(factory):
                raise TypeError(
                    f"`factory` is a function of parameters, not {type(factory).__name__}"
                )
            self.name = getattr(factory, "__name__", type(factory).__name__)
            self.live = functools.partial(factory, **self.opt_kwargs) if opt_kwargs else factory
            return
        if self.cls is None or not is_optimizer_class(self.cls):
            raise TypeError(
                "opt is the name of an optimizer or a subclass of torch.optim.Optimizer, "
                f"not {with_article(type(opt).__name__)}"
            )
        self.name = self.cls.__name__
        if self.cls.__module__.startswith("torch.optim.") and self.name in OPTIMIZERS:
            self.name = _known_name(self.name)
            self.component = _component(self.name, opt_kwargs or {})
        else:
            self.live = functools.partial(self.cls, **self.opt_kwargs)

    def spec(self, name: str) -> ComponentSpec:
        """The optimizer as a spec writes it; `name` is what an object is called that no spec can say."""
        return dict(self.component) if self.live is None else {"use": f"live:{name}"}

    def section(self, name: str) -> dict[str, Any]:
        """The keys that a graph or node of a spec has of it: `optimizer`, and `clip` where there are limits."""
        limits = {"value": self.clip_value, "norm": self.clip_norm}
        clip = {key: limit for key, limit in limits.items() if limit is not None}
        return {"optimizer": self.spec(name)} | ({"clip": clip} if clip else {})

    def __repr__(self) -> str:
        what = f"factory={self.name}" if self.factory is not None else repr(self.name)
        said = f", opt_kwargs={self.opt_kwargs}" if self.opt_kwargs else ""
        limits = [("clip_norm", self.clip_norm), ("clip_value", self.clip_value)]
        said += "".join(f", {name}={limit:g}" for name, limit in limits if limit is not None)
        return f"Optimizer({what}{said}, backend={self.backend!r})"


def _limit(name: str, limit: float | None) -> float | None:
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise TypeError(f"{name} is a number, not {type(limit).__name__}")
    if not limit > 0:
        raise ValueError(f"{name} is a number above 0, not {limit}")
    return float(limit)


def is_optimizer_class(value: type) -> bool:
    """Whether a class is an optimizer of torch. Imports no torch."""
    return any(
        base.__module__ == "torch.optim.optimizer" and base.__name__ == "Optimizer"
        for base in value.__mro__
    )


def checked_backend(what: str, name: str | None, backend: str | None) -> str:
    """The backend, where it is "torch".

    Raises:
        ValueError: it is another, or there is none for a name.
    """
    if backend is None:
        raise ValueError(f'{what} {name!r} needs a backend: {what}({name!r}, backend="torch")')
    if backend != "torch":
        which = what if name is None else f"{what} {name!r}"
        raise ValueError(f'{which}: the backend is "torch", not {backend!r}')
    return backend


def _known_name(opt: str) -> str:
    """The short name of what is built in, or the name of the class in `torch.optim`."""
    short = COMPONENTS["optimizer"]
    folded = opt.lower().replace("_", "")
    if folded in short:
        return folded
    by_name = {name.lower(): name for name in OPTIMIZERS}
    if folded not in by_name:
        known = [*short, *(name for name in OPTIMIZERS if name.lower() not in short)]
        raise ValueError(f"there is no optimizer `{opt}`; known: {choices(opt, known)}")
    return by_name[folded]


def _component(name: str, arguments: Mapping[str, Any]) -> ComponentSpec:
    cls = {known.lower(): known for known in OPTIMIZERS}[name.lower()]
    known = OPTIMIZERS[cls].parameters
    declared = COMPONENTS["optimizer"].get(name)
    if declared is not None:
        short = declared.__struct_encode_fields__
        # Arguments that neither has are told of with those that are usual.
        if set(arguments) <= set(short) or not set(arguments) <= set(known):
            return written("optimizer", name, arguments)
    name = cls
    return {
        "use": f"{MODULES['optimizer']}:{name}",
        **plain_arguments(f"optimizer `{name}`", arguments, known),
    }
