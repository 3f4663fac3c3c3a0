"""In which order, and how many at a time, the rows of a split are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

import msgspec

from specplan.components import COMPONENTS
from specplan.components.reference import LABEL, live_name, parse
from specplan.components.sampler import Condition
from specplan.spec.arguments import checked_int, checked_list, written
from specplan.spec.wording import choices

__all__ = [
    "NSampler",
    "OwnSampler",
    "PairedSampler",
    "SimilarityCondition",
    "SimpleSampler",
    "TripletSampler",
]

_DOMAINS = ("features.", "targets.", "tags.")
Columns = str | list[str] | tuple[str, ...]


class Sampler:
    """What all samplers have in common; make one of its subclasses.

    Attributes:
        component: the sampler as a spec writes it.
    """

    def __init__(self, use: str, arguments: Mapping[str, Any]) -> None:
        self.component = written("sampler", use, arguments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sampler) and self.component == other.component

    def __hash__(self) -> int:
        return hash(msgspec.json.encode(self.component))

    def describe(self) -> str:
        """The sampler without its conditions, in a few words."""
        return self._said(conditions=False)

    def __repr__(self) -> str:
        return self._said(conditions=True)

    def _said(self, *, conditions: bool) -> str:
        """The sampler with those of its arguments that are not the default."""
        declared = COMPONENTS["sampler"][self.component["use"]]
        defaults = {field.name: field.default for field in msgspec.structs.fields(declared)}
        said = ", ".join(
            f"{key}={_as_object(value)!r}"
            for key, value in self.component.items()
            if key != "use"
            and value != defaults[key]
            and (conditions or not isinstance(value, Mapping))
        )
        return f"{type(self).__name__}({said})"


class SimpleSampler(Sampler):
    """Batches of consecutive rows, in the order of the split or shuffled.

    Args:
        batch_size: rows in a batch.
        shuffle: whether the rows are shuffled.
        group_by: columns by whose values rows are grouped; no batch has rows of two groups.
        stratify_by: columns of which each batch has as many rows of each value, up to one; not
            together with `group_by`.
        strict_stratification: whether an epoch ends with the smallest stratum, instead of going on
            with the others.
        drop_last: whether a last batch with fewer rows is left out.
        seed: seed of the shuffle; without it, one is derived from the seed of the run.
        reshuffle: whether each epoch has its own order; False repeats
            `numpy.random.default_rng(seed).permutation(rows)` in every epoch.

    Raises:
        TypeError: what names columns is no text and no list of texts.
        ValueError: an argument has a value that is not allowed.
    """

    def __init__(
        self,
        batch_size: int = 1,
        shuffle: bool = False,  # noqa: FBT001, FBT002 -- as documented
        group_by: Columns | None = None,
        stratify_by: Columns | None = None,
        strict_stratification: bool = True,  # noqa: FBT001, FBT002
        drop_last: bool = False,  # noqa: FBT001, FBT002
        seed: int | None = None,
        reshuffle: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        groups, strata = _columns("group_by", group_by), _columns("stratify_by", stratify_by)
        if groups and strata:
            raise ValueError("`group_by` and `stratify_by` cannot be had together")
        by: dict[str, Any] = {}
        if groups:
            by["group_by"] = groups
        if strata:
            by |= {"stratify_by": strata, "strict_stratification": strict_stratification}
        super().__init__(
            "simple",
            {
                "batch_size": batch_size,
                "shuffle": shuffle,
                **by,
                "drop_last": drop_last,
                "seed": seed,
                "reshuffle": reshuffle,
            },
        )


class SimilarityCondition:
    """When two rows belong together, by the values of one column.

    Args:
        mode: "similar" for rows that are near each other, "dissimilar" for those that are not.
        tolerance: the largest distance that is near; 0 stands for equal values.
        metric: "euclidean", "manhattan", "chebyshev" or "cosine", for numbers; texts and truth values
            are at distance 0 or 1.
        weight_mode: "binary" weighs all pairs alike, "linear" and "exp" less the worse they fit.
        max_weight: weight in the losses of rows that fit best.
        min_weight: weight of those that just fit, and of fallbacks.
        allow_fallback: whether an anchor for which no row fits gets the rows that fit best; otherwise
            it is left out.

    Raises:
        ValueError: an argument has a value that is not allowed.
    """

    def __init__(
        self,
        mode: str = "similar",
        tolerance: float = 0.0,
        metric: str | None = None,
        weight_mode: str = "binary",
        max_weight: float = 1.0,
        min_weight: float = 0.0,
        allow_fallback: bool = False,  # noqa: FBT001, FBT002 -- as documented
    ) -> None:
        given = {
            "mode": mode,
            "tolerance": tolerance,
            "metric": "euclidean" if metric is None else metric,
            "weight_mode": weight_mode,
            "max_weight": max_weight,
            "min_weight": min_weight,
            "allow_fallback": allow_fallback,
        }
        try:
            msgspec.convert(given, Condition)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at `$.")
            raise ValueError(f"a condition: `{place.rstrip('`')}`: {message}") from None
        self.spec = given

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SimilarityCondition) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash(tuple(self.spec.values()))

    def __repr__(self) -> str:
        defaults = msgspec.to_builtins(Condition())
        said = ", ".join(
            f"{key}={value!r}" for key, value in self.spec.items() if value != defaults[key]
        )
        return f"SimilarityCondition({said})"


ConditionsByColumn = Mapping[str, SimilarityCondition]


class RoleOptions(TypedDict, total=False):
    """What all samplers of roles take by keyword.

    Attributes:
        batch_size: tuples in a batch, 1 by default; shuffle: whether they are shuffled.
        max_samples_per_anchor: tuples with one anchor, at most; 3 by default.
        choose_best_only: whether the rows that fit best are taken; otherwise any that fit.
        drop_last, seed, reshuffle: as in SimpleSampler.
        n_workers: is taken and changes nothing: rows are compared for all anchors at once.
    """

    batch_size: int
    shuffle: bool
    max_samples_per_anchor: int
    choose_best_only: bool
    drop_last: bool
    seed: int | None
    reshuffle: bool
    n_workers: int | None


_ROLE_DEFAULTS: Mapping[str, Any] = {
    "batch_size": 1,
    "shuffle": False,
    "max_samples_per_anchor": 3,
    "choose_best_only": False,
    "drop_last": False,
    "seed": None,
    "reshuffle": True,
}


class RoleSampler(Sampler):
    """What samplers have in common whose batches are tuples of rows; make one of its subclasses.

    A node of the phase is computed once for each role, and losses read `outputs.anchor` or
    `targets.positive`. The tuples are drawn once for a phase, by `numpy.random.default_rng(seed)`.
    """

    def __init__(self, use: str, conditions: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        options = dict(options)
        workers = options.pop("n_workers", None)
        if workers is not None:
            checked_int("n_workers", workers, least=1)
        super().__init__(use, {**conditions, **_ROLE_DEFAULTS, **options})


class PairedSampler(RoleSampler):
    """Pairs of rows: an `anchor`, and as `positive` a row that belongs to it.

    Args:
        conditions: by column, when a row belongs to the anchor; all have to hold.
        options: see `RoleOptions`.

    Raises:
        TypeError: a condition is no SimilarityCondition, or there is no such option.
        ValueError: an argument has a value that is not allowed.
    """

    def __init__(self, conditions: ConditionsByColumn, **options: Unpack[RoleOptions]) -> None:
        super().__init__("paired", {"conditions": _conditions("conditions", conditions)}, options)


class TripletSampler(RoleSampler):
    """Triplets of rows: an `anchor`, a `positive` row that belongs to it, and a `negative` one.

    No triplet has a row twice.

    Args:
        pos_conditions: by column, when a row can be the positive one.
        neg_conditions: by column, when a row can be the negative one.
        options: see `RoleOptions`.

    Raises:
        TypeError: a condition is no SimilarityCondition, or there is no such option.
        ValueError: an argument has a value that is not allowed.
    """

    def __init__(
        self,
        pos_conditions: ConditionsByColumn,
        neg_conditions: ConditionsByColumn,
        **options: Unpack[RoleOptions],
    ) -> None:
        conditions = {
            "pos_conditions": _conditions("pos_conditions", pos_conditions),
            "neg_conditions": _conditions("neg_conditions", neg_conditions),
        }
        super().__init__("triplet", conditions, options)


class NSampler(RoleSampler):
    """Tuples of rows: an `anchor`, and one row for each role that the mapping names.

    Args:
        condition_mapping: for each role, by column, when a row can have it.
        options: see `RoleOptions`.

    Raises:
        TypeError: a condition is no SimilarityCondition, or there is no such option.
        ValueError: an argument has a value that is not allowed, or a role is called `anchor`.
    """

    def __init__(
        self,
        condition_mapping: Mapping[str, ConditionsByColumn],
        **options: Unpack[RoleOptions],
    ) -> None:
        if not isinstance(condition_mapping, Mapping):
            found = type(condition_mapping).__name__
            raise TypeError(f"condition_mapping is a mapping of roles to conditions, not {found}")
        conditions = {
            role: _conditions(f"condition_mapping[{role!r}]", each)
            for role, each in condition_mapping.items()
        }
        super().__init__("roles", {"condition_mapping": conditions}, options)


SAMPLERS: Mapping[str, type[Sampler]] = {
    "simple": SimpleSampler,
    "paired": PairedSampler,
    "triplet": TripletSampler,
    "roles": NSampler,
}


class OwnSampler(Sampler):
    """A function of the program, or another object that can be called, which makes the batches of each epoch.

    Args:
        make: is called with the number of rows, the number of the epoch and a generator of numpy, and gives
            lists of numbers of rows; every epoch has as many batches, and as many rows.
        columns: columns whose values it is given as well, as `columns`, a mapping.
        name: what a spec calls it; by default the name of the function or class.

    Raises:
        TypeError: it cannot be called.
        ValueError: the name has characters that a label cannot have.
    """

    def __init__(
        self, make: Callable[..., Any], columns: Columns | None = None, name: str | None = None
    ) -> None:
        if not callable(make):
            raise TypeError(f"a sampler is a function or can be called, not {type(make).__name__}")
        called = name or str(getattr(make, "__name__", type(make).__name__))
        if LABEL.fullmatch(called) is None:
            raise ValueError(f"{called!r} is no name of a sampler; give it one by `name`")
        listed = _columns("columns", columns)
        self.live = make
        self.component = {"use": f"live:{called}", **({"columns": listed} if listed else {})}

    @property
    def live_name(self) -> str:
        """The name under which a spec binds it."""
        return str(self.component["use"]).partition(":")[2]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnSampler) and self.live is other.live and super().__eq__(other)

    def __hash__(self) -> int:
        return super().__hash__()

    def _said(self, *, conditions: bool) -> str:
        columns = self.component.get("columns") if conditions else None
        return f"OwnSampler({self.live_name}{'' if columns is None else f', columns={columns}'})"


def sampler_of(component: Mapping[str, Any], live: Mapping[str, Any] | None = None) -> Sampler:
    """The sampler that a spec writes as `component`; `live` are the objects that it calls `live:NAME`.

    Raises:
        TypeError: it has no such argument.
        ValueError: there is no such sampler, or an argument has a value that is not allowed.
    """
    name = live_name(str(component["use"]))
    if name is not None:
        if name not in (live or {}):
            known = choices(name, live or {})
            raise ValueError(f"the object `live:{name}` was not given; given: {known}")
        return OwnSampler((live or {})[name], component.get("columns"), name)
    if parse(str(component["use"])) is not None:
        message = (
            f"the sampler `{component['use']}` is code that a spec names: run the spec by `mlx run`, or bind the "
            "object as `live:NAME`"
        )
        raise ValueError(message)
    if component["use"] not in SAMPLERS:
        known = choices(str(component["use"]), SAMPLERS)
        raise ValueError(f"there is no sampler `{component['use']}`; known: {known}")
    arguments = {name: _as_object(value) for name, value in component.items() if name != "use"}
    return SAMPLERS[component["use"]](**arguments)


def _as_object(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if all(isinstance(item, Mapping) for item in value.values()) and value:
        return {name: _as_object(item) for name, item in value.items()}
    return SimilarityCondition(**value)


def _columns(parameter: str, names: Columns | None) -> list[str]:
    listed = [names] if isinstance(names, str) else checked_list(parameter, names or ())
    for name in listed:
        if not isinstance(name, str):
            raise TypeError(f"{parameter} names columns by str, not by {type(name).__name__}")
    return [_column(name) for name in listed]


def _column(name: str) -> str:
    """`cell_id` of `tags.cell_id.raw`: a spec names the columns of a FeatureSet by their keys."""
    key = next((name.removeprefix(each) for each in _DOMAINS if name.startswith(each)), name)
    return key.removesuffix(".raw")


def _conditions(parameter: str, conditions: ConditionsByColumn) -> dict[str, Any]:
    if not isinstance(conditions, Mapping):
        found = type(conditions).__name__
        raise TypeError(f"{parameter} is a mapping of columns to conditions, not {found}")
    for condition in conditions.values():
        if not isinstance(condition, SimilarityCondition):
            found = type(condition).__name__
            raise TypeError(f"{parameter}: a condition is a SimilarityCondition, not {found}")
    return {_column(name): dict(condition.spec) for name, condition in conditions.items()}
