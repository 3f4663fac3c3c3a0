"""What an object of the user's learned, as plain values: numbers, text, lists, mappings and arrays of them.

An object that has `state_dict` and `load_state_dict` says itself what that is; of any other it is the attributes
whose names end in `_`, as scikit-learn has them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = "biufU"


class LearnedError(ValueError):
    """Something that was learned is no plain value."""


def learned(value: object) -> dict[str, Any]:
    """What an object learned, in values of JSON.

    Raises:
        LearnedError: some of it is nothing that a file could hold without code.
    """
    if _says_itself(value):
        given = value.state_dict()  # type: ignore[attr-defined]
        if not isinstance(given, dict):
            raise LearnedError(f"gave {type(given).__name__} as its `state_dict`, not a mapping")
        return {str(name): _plain(str(name), item) for name, item in given.items()}
    return {name: _plain(name, item) for name, item in vars(value).items() if _is_learned(name)}


def learn_again(value: object, state: Mapping[str, Any]) -> None:
    """Give an object what `learned` told of another of its kind."""
    live = {name: _live(item) for name, item in state.items()}
    if _says_itself(value):
        value.load_state_dict(live)  # type: ignore[attr-defined]
        return
    for name, item in live.items():
        setattr(value, name, item)


def stray(value: object, fresh: object) -> str:
    """Attributes that an object has and a fresh one has not, and that are not kept: their names, quoted."""
    return quoted(
        [name for name in vars(value) if name not in vars(fresh) and not _is_learned(name)]
    )


def _says_itself(value: object) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("state_dict", "load_state_dict"))


def _is_learned(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _plain(name: str, value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return _array(np.asarray(value))
        case None | bool() | int() | float() | str() if type(value) in _PLAIN:
            return value
        case np.ndarray() | np.generic() if value.dtype.kind in _KINDS:
            return _array(np.asarray(value))
        case list() | tuple():
            items = [_plain(name, item) for item in value]
            return items if isinstance(value, list) else {"tuple": items}
        case dict() if all(isinstance(key, str) for key in value):
            return {"mapping": {key: _plain(name, item) for key, item in value.items()}}
    held = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise LearnedError(
        f"learned `{name}`, which holds {held}; what is kept is numbers, text, lists, mappings and arrays of them"
    )


_PLAIN = (type(None), bool, int, float, str)


def _array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    dtype = array.dtype.str if array.dtype.kind == "U" else array.dtype.name
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        # JSON has no such numbers; numpy reads their names.
        values = [item if math.isfinite(item) else str(item) for item in values]
    return {"dtype": dtype, "shape": list(array.shape), "values": values}


def _live(value: Any) -> Any:
    match value:
        case list():
            return [_live(item) for item in value]
        case {"dtype": dtype, "shape": shape, "values": values}:
            array = np.array(values, dtype=dtype).reshape(shape)
            return array if shape else array[()]
        case {"tuple": items}:
            return tuple(map(_live, items))
        case {"mapping": entries}:
            return {key: _live(item) for key, item in entries.items()}
    return value
