"""The scaler that a Python program names, by whatever it names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.components import COMPONENTS
from specplan.data.own_scalers import Absolute, Negate, PerSampleMinMaxScaler, PerSampleZeroStart
from specplan.data.scaler_faults import fault
from specplan.data.scaling import joined, made
from specplan.spec.arguments import checked_list, written
from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from specplan.data.scaling import Scaling

_NAMES: Mapping[str, str] = {
    "Absolute": "absolute",
    "MaxAbsScaler": "max_abs",
    "MinMaxScaler": "min_max",
    "Negate": "negate",
    "Normalizer": "normalizer",
    "PerSampleMinMaxScaler": "per_sample_min_max",
    "PerSampleZeroStart": "per_sample_zero_start",
    "PowerTransformer": "power",
    "QuantileTransformer": "quantile",
    "RobustScaler": "robust",
    "SegmentedScaler": "segmented",
    "StandardScaler": "standard",
}
supported_scalers = list(_NAMES)
"""The scalers that have a name."""

_OWN = (Absolute, Negate, PerSampleMinMaxScaler, PerSampleZeroStart)


class Scaler:
    """A scaler, and what it learned.

    Args:
        scaler: one of `supported_scalers`, in any case, or the name that a spec has for it; its class;
            an instance; or an object of yours with `fit` and `transform`.
        scaler_kwargs: arguments, where it is a name or a class.

    Attributes:
        component: the scaler as a spec writes it; None for an object of yours.

    Raises:
        TypeError: it is no scaler, or has no such argument.
        ValueError: there is no such scaler, or an argument has an impossible value.
    """

    def __init__(self, scaler: object, scaler_kwargs: Mapping[str, Any] | None = None) -> None:
        self.component: dict[str, Any] | None
        if isinstance(scaler, Scaler):
            scaler = scaler.scaling if scaler.component is None else scaler.component
        self.component = _component(scaler, scaler_kwargs or {})
        self._scaling: Scaling = _live(scaler) if self.component is None else _made(self.component)
        self._is_fit = False

    @property
    def scaler_name(self) -> str:
        """Its name in `supported_scalers`, or that of its class."""
        if self.component is None:
            return type(self._scaling).__name__
        use = self.component["use"]
        return next(name for name, known in _NAMES.items() if known == use)

    @property
    def is_fit(self) -> bool:
        """Whether it was fitted."""
        return self._is_fit

    @property
    def scaling(self) -> Scaling:
        """What computes."""
        return self._scaling

    def fit(self, data: NDArray[Any]) -> Scaler:
        """Learn from rows of shape (rows, elements); raises ValueError where it cannot."""
        self._scaling.fit(_rows(data))
        self._is_fit = True
        return self

    def transform(self, data: NDArray[Any]) -> NDArray[Any]:
        """The rows, scaled.

        Raises:
            RuntimeError: it was not fitted.
            ValueError: the rows are of another shape.
        """
        self._check_fit()
        return np.asarray(self._scaling.transform(_rows(data)))

    def fit_transform(self, data: NDArray[Any]) -> NDArray[Any]:
        """`fit`, then `transform`."""
        return self.fit(data).transform(data)

    def inverse_transform(self, data: NDArray[Any]) -> NDArray[Any]:
        """The rows as they were before `transform`.

        Raises:
            RuntimeError: it was not fitted.
            ValueError: that cannot be known.
        """
        self._check_fit()
        return inverse(self._scaling, _rows(data))

    def clone_unfitted(self) -> Scaler:
        """The same scaler, which has learned nothing."""
        if self.component is not None:
            return Scaler(self.component)
        live: Any = self._scaling
        given = live.get_params(deep=False) if hasattr(live, "get_params") else {}
        return Scaler(type(live)(**given))

    def fitted(self) -> Scaler:
        """The same object, which has learned by `scaling` what it knows."""
        self._is_fit = True
        return self

    def _check_fit(self) -> None:
        if not self._is_fit:
            raise RuntimeError(f"{self.scaler_name} was not fitted; call `fit` first")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scaler):
            return NotImplemented
        same = self.component is not None or self._scaling is other._scaling
        return self.component == other.component and same

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        given = {} if self.component is None else self.component
        arguments = [f"{key}={value!r}" for key, value in given.items() if key != "use"]
        return f"Scaler({', '.join([repr(self.scaler_name), *arguments])})"


class SegmentedScaler:
    """Another scaler for each part of a row, all of one kind.

    Args:
        boundaries: where the parts begin, and where the last one ends: from 0 to the number of elements.
        scaler: what `Scaler` takes, but no object of yours.
        scaler_kwargs: its arguments.

    Raises:
        TypeError: it is no scaler, or the boundaries are no integers.
        ValueError: the boundaries do not ascend from 0.
    """

    def __init__(
        self,
        boundaries: Sequence[int],
        scaler: object,
        scaler_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        inner = Scaler(scaler, scaler_kwargs).component
        if inner is None or inner["use"] == "segmented":
            raise TypeError(
                "the scaler of the parts is one of `supported_scalers`, and not segmented"
            )
        arguments = {key: value for key, value in inner.items() if key != "use"}
        self.component = _checked(
            "segmented",
            {
                "boundaries": checked_list("boundaries", boundaries),
                "scaler": inner["use"],
                **({"arguments": arguments} if arguments else {}),
            },
        )

    def __repr__(self) -> str:
        return f"SegmentedScaler(boundaries={self.component['boundaries']}, scaler={self.component['scaler']!r})"


def inverse(scaling: Scaling, rows: NDArray[Any]) -> NDArray[Any]:
    """The rows before a scaler; raises ValueError where it cannot say."""
    if not hasattr(scaling, "inverse_transform"):
        raise ValueError(f"{type(scaling).__name__} has no `inverse_transform`")
    return np.asarray(scaling.inverse_transform(rows))


def restored(component: Mapping[str, Any], state: Mapping[str, Any]) -> Scaler:
    """A scaler that has learned `state`."""
    scaler = Scaler(component)
    if state:
        scaler.scaling.state = state
    return scaler.fitted()


def _component(scaler: object, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The scaler as a spec writes it; None for an object of the program's."""
    match scaler:
        case str():
            return _checked(_use(scaler), arguments)
        case dict():
            given = {name: value for name, value in scaler.items() if name != "use"}
            return _checked(scaler["use"], {**given, **arguments})
        case type():
            if scaler in _OWN or _is_of_sklearn(scaler) or scaler is SegmentedScaler:
                return _checked(_use(scaler.__name__), arguments)
            return _component(scaler(**arguments), {})
    if isinstance(scaler, (*_OWN, SegmentedScaler)):
        return _checked(
            scaler.component["use"], {k: v for k, v in scaler.component.items() if k != "use"}
        )
    if _is_of_sklearn(type(scaler)):
        return _of_instance(scaler)
    return None


def _live(scaler: object) -> Any:
    live = scaler() if isinstance(scaler, type) else scaler
    missing = [name for name in ("fit", "transform") if not callable(getattr(live, name, None))]
    if missing:
        raise TypeError(
            f"a scaler is a name, a class or an object with `fit` and `transform`, not {type(live).__name__}"
        )
    return live


def _use(name: str) -> str:
    for known, use in _NAMES.items():
        if name.lower() in (known.lower(), use):
            return use
    raise ValueError(f"there is no scaler `{name}`; known: {choices(name, _NAMES)}")


def _is_of_sklearn(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "sklearn" and cls.__name__ in _NAMES


def _of_instance(scaler: Any) -> dict[str, Any]:
    use = _NAMES[type(scaler).__name__]
    declared = {
        field.name: field.default for field in msgspec.structs.fields(COMPONENTS["scaler"][use])
    }
    plain = type(scaler)().get_params(deep=False)
    given: dict[str, Any] = {}
    for name, value in scaler.get_params(deep=False).items():
        if name in declared:
            # scikit-learn draws rows anew each time where it gets no seed; a plan repeats itself.
            if value is not None or name == "subsample":
                given[name] = list(value) if isinstance(value, tuple) else value
        elif name != "copy" and value != plain[name]:
            raise ValueError(f"{type(scaler).__name__}: a spec cannot set `{name}` to {value!r}")
    return _checked(use, given)


def _checked(use: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    component = written("scaler", use, arguments)
    declared: Any = msgspec.convert(component, COMPONENTS["scaler"][use])
    found = fault(declared, None)
    if found is not None:
        raise ValueError(f"scaler `{use}`: `{found[0]}`: {found[1]}")
    return {key: value for key, value in component.items() if not _is_default(declared, key)}


def _is_default(declared: Any, name: str) -> bool:
    defaults = {field.name: field.default for field in msgspec.structs.fields(declared)}
    default = defaults.get(name, msgspec.NODEFAULT)
    return default is not msgspec.NODEFAULT and getattr(declared, name) == default


def _made(component: Mapping[str, Any]) -> Scaling:
    arguments = {key: value for key, value in component.items() if key != "use"}
    return made(component["use"], arguments)


def _rows(data: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(data)
    if array.ndim != 2:
        raise ValueError(f"a scaler takes rows of shape (rows, elements), not {array.shape}")
    return joined([array])
