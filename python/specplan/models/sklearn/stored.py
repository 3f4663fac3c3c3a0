"""Fitted estimators as files, by skops: a zip of JSON and arrays, and no pickle."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from specplan.errors import RunError, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection

_FUNCTIONS = frozenset(
    {
        "numpy.dtype",
        "numpy.mean",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.feature_selection._univariate_selection.f_classif",
    }
)
"""What listed estimators hold besides classes of scikit-learn, and skops does not know by itself."""


def store_estimator(estimator: Any, label: str, *, trusted: Collection[str] = ()) -> bytes:
    """An estimator as the bytes of a `.skops` file.

    Raises:
        RunError: it holds what only a pickle could store, or what nobody but `trusted` vouches for.
    """
    from skops import io

    try:
        content: bytes = io.dumps(estimator)
        unknown = io.get_untrusted_types(data=content)
    except Exception as error:
        # What skops cannot take ends in exceptions of many kinds, all with the same meaning.
        raise RunError(
            f"the estimator of node `{label}` cannot be stored without pickle: {error}"
        ) from error
    refused = _refused(unknown, trusted)
    if refused:
        raise RunError(
            f"the estimator of node `{label}` cannot be stored: {_listed(refused)} "
            f"{'is' if len(refused) == 1 else 'are'} not part of scikit-learn"
        )
    return content


def load_estimator(content: bytes, label: str, *, trusted: Collection[str] = ()) -> Any:
    """The estimator that `store_estimator` made bytes of. Nothing is built of a type that is not trusted.

    Raises:
        StoreError: the bytes are damaged, or name other types than those of scikit-learn and `trusted`.
    """
    from skops import io

    try:
        unknown = io.get_untrusted_types(data=content)
        refused = _refused(unknown, trusted)
        if not refused:
            return io.loads(content, trusted=unknown)
    except Exception as error:
        # Damaged bytes end in exceptions of many kinds, all with the same meaning.
        raise StoreError(f"the estimator of node `{label}` is damaged: {error}") from error
    raise StoreError(
        f"the estimator of node `{label}` holds {_listed(refused)}, "
        f"which {'is' if len(refused) == 1 else 'are'} not part of scikit-learn"
    )


def _refused(names: Collection[str], trusted: Collection[str]) -> list[str]:
    return [
        name
        for name in names
        if name not in trusted and name not in _FUNCTIONS and not _is_class(name)
    ]


def _is_class(name: str) -> bool:
    """Whether a name is that of a class of scikit-learn's: one is filled with values, no function called."""
    module, _, last = name.rpartition(".")
    if module.partition(".")[0] != "sklearn" or ".tests" in module:
        return False
    try:
        return isinstance(getattr(import_module(module), last, None), type)
    except ImportError:
        return False


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
