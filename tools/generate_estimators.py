"""Write python/specplan/models/sklearn/estimators.json from the installed scikit-learn.

    python tools/generate_estimators.py          write the file
    python tools/generate_estimators.py --check  exit 1 if it would change

The compiler reads this table instead of importing scikit-learn.
"""

from __future__ import annotations

import importlib
import inspect
import json
import math
import sys
import warnings
from collections.abc import Hashable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import sklearn
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import (
    Hidden,
    Interval,
    MissingValues,
    Options,
    StrOptions,
)

TABLE = Path(__file__).parents[1] / "python/specplan/models/sklearn/estimators.json"

# Transformers whose output has the width of the input, or of an integer parameter.
INPUT_WIDTH = {
    "MaxAbsScaler",
    "MinMaxScaler",
    "Normalizer",
    "PowerTransformer",
    "QuantileTransformer",
    "RobustScaler",
    "StandardScaler",
}
PARAMETER_WIDTH = {
    "FactorAnalysis": "n_components",
    "FastICA": "n_components",
    "IncrementalPCA": "n_components",
    "KernelPCA": "n_components",
    "NMF": "n_components",
    "Nystroem": "n_components",
    "PCA": "n_components",
    "RBFSampler": "n_components",
    "SparsePCA": "n_components",
    "TruncatedSVD": "n_components",
}
# One needs another estimator in spite of its default, the other reads one column only.
LEFT_OUT = {"IsotonicRegression", "SelfTrainingClassifier"}
# Transformers whose output is never wider than their input.
NARROWS = {"FactorAnalysis", "FastICA", "IncrementalPCA", "PCA", "TruncatedSVD"}
# A default by which scikit-learn says that a parameter should not be set.
SENTINELS = {"deprecated", "warn"}

# The constraints of scikit-learn that are not made of an interval or of options.
WORDS: dict[Hashable, list[str]] = {
    None: ["none"],
    "boolean": ["bool"],
    bool: ["bool"],
    "verbose": ["bool", "int[0,inf)"],
    "random_state": ["none", "int[0,4294967295]"],
    "cv_object": ["none", "int[2,inf)"],
    Integral: ["int(-inf,inf)"],
    int: ["int(-inf,inf)"],
    Real: ["real(-inf,inf)"],
    float: ["real(-inf,inf)"],
    str: ["str"],
    "array-like": ["collection"],
    dict: ["collection"],
    list: ["collection"],
    tuple: ["tuple"],
}


def public_name(cls: type) -> str | None:
    """`sklearn.linear_model:Ridge`, or None for a class that no public module exports."""
    parts = cls.__module__.split(".")
    public = [part for part in parts if not part.startswith("_")]
    for length in range(2, len(public) + 1):
        module = ".".join(public[:length])
        if parts[:length] != public[:length]:
            return None
        if getattr(importlib.import_module(module), cls.__name__, None) is cls:
            return f"{module}:{cls.__name__}"
    return None


def as_json(value: Any) -> Any:
    """A default as JSON; raises TypeError where there is no JSON for it."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        # JSON has no infinity, and canonical JSON has no 1.0.
        plain = math.isfinite(value) and not value.is_integer()
        return value if plain else {"$float": repr(value)}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    raise TypeError(type(value).__name__)


def allowed(constraints: Any) -> list[str] | None:
    """What a parameter accepts, as short words; None where JSON cannot be told right from wrong.

    `none`, `bool`, `str`, `=value` for one of several, `int[1,inf)` and `real(0,1]` for intervals.
    """
    if constraints == "no_validation":
        return None
    words: list[str] = []
    for constraint in constraints:
        inner = constraint.constraint if isinstance(constraint, Hidden) else constraint
        if inner == "missing_values" or isinstance(inner, MissingValues):
            return None
        words += in_words(inner)
    return list(dict.fromkeys(words))


def in_words(constraint: Any) -> list[str]:
    """One constraint of scikit-learn; nothing for one that only a Python object satisfies."""
    if isinstance(constraint, StrOptions | Options):
        options = sorted(constraint.options, key=str)
        return [option_in_word(option) for option in options if option not in SENTINELS]
    if isinstance(constraint, Interval):
        kind = "int" if constraint.type is Integral else "real"
        left = "-inf" if constraint.left is None else f"{constraint.left:g}"
        right = "inf" if constraint.right is None else f"{constraint.right:g}"
        opening = "[" if constraint.closed in ("left", "both") else "("
        closing = "]" if constraint.closed in ("right", "both") else ")"
        return [f"{kind}{opening}{left},{right}{closing}"]
    if isinstance(constraint, Hashable):
        return WORDS.get(constraint, [])
    return []


def option_in_word(option: Any) -> str:
    """One of several values that a parameter takes."""
    if isinstance(option, str):
        return f"={option}"
    return "bool" if isinstance(option, bool) else f"real[{option:g},{option:g}]"


def parameters_of(cls: type) -> dict[str, Any] | None:
    """The part of an entry that says what can be set; None for a class that needs an argument."""
    parameters: dict[str, Any] = {}
    accepts: dict[str, list[str]] = {}
    closed: list[str] = []
    constraints = getattr(cls, "_parameter_constraints", {})
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.default is inspect.Parameter.empty:
            return None
        if isinstance(parameter.default, str) and parameter.default in SENTINELS:
            continue
        words = allowed(constraints.get(parameter.name, "no_validation"))
        if words in ([], ["none"]):
            closed.append(parameter.name)
            continue
        parameters[parameter.name] = as_json(parameter.default)
        if words is not None:
            accepts[parameter.name] = words
    entry: dict[str, Any] = {"parameters": parameters, "accepts": accepts}
    return entry | {"closed": closed} if closed else entry


def describe(name: str, cls: type, kind: str) -> dict[str, Any] | None:
    """The entry of one estimator; None for one that cannot be made from JSON."""
    settable = parameters_of(cls)
    if settable is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tags = cls().__sklearn_tags__()
    entry: dict[str, Any] = {"kind": kind, **settable}
    if hasattr(cls, "partial_fit"):
        entry["partial_fit"] = True
    if hasattr(cls, "predict_proba"):
        entry["predict_proba"] = True
    if tags.target_tags.multi_output:
        entry["multi_output"] = True
    if not tags.target_tags.single_output:
        entry["single_output"] = False
    if name in NARROWS:
        entry["narrows"] = True
    if kind == "transformer":
        entry["width"] = PARAMETER_WIDTH.get(name, "input")
    return entry


def table() -> dict[str, Any]:
    """Every estimator that a spec can name."""
    estimators: dict[str, Any] = {}
    for kind in ("regressor", "classifier", "transformer"):
        for name, cls in all_estimators(type_filter=kind):
            if kind == "transformer" and name not in INPUT_WIDTH | set(PARAMETER_WIDTH):
                continue
            if name in LEFT_OUT:
                continue
            use = public_name(cls)
            entry = describe(name, cls, kind) if use else None
            if use and entry:
                estimators[use] = entry
    return {
        "scikit_learn": sklearn.__version__,
        "estimators": dict(sorted(estimators.items())),
    }


def main() -> int:
    """Write or check the table."""
    contents = table()
    lines = ",\n".join(
        f"  {json.dumps(use)}: {json.dumps(entry, separators=(', ', ': '))}"
        for use, entry in contents["estimators"].items()
    )
    version = json.dumps(contents["scikit_learn"])
    text = f'{{"scikit_learn": {version}, "estimators": {{\n{lines}\n}}}}\n'
    if sys.argv[1:] == ["--check"]:
        return int(TABLE.read_text(encoding="utf-8") != text)
    TABLE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
