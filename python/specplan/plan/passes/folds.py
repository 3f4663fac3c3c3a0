"""Cross-validation: which rows the splits of a fold have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.components.repetition import Folds
from specplan.data.folds import part_sizes
from specplan.data.scaler_faults import learns
from specplan.plan.model import Fold, Split
from specplan.plan.passes.fold_keys import (
    fold_keys,
    keyed_sizes,
    too_few,
    warn_of_parted_groups,
)
from specplan.plan.streams import written_seed_of
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.fold_keys import FoldKeys
    from specplan.spec.diagnostics import Path

Sizes = dict[str, int | None]
# Rows to learn from, and rows to measure.
PartSizes = tuple[int | None, int | None]
_UNKNOWN: PartSizes = (None, None)


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """The splits of a FeatureSet as the phases of one fold see them.

    Attributes:
        path: of the pass; None where a fault keeps the fold out of the plan.
        pooled: splits outside that share rows with the part that is left out.
        names: of the two parts.
        group: path of the group that is run for the folds.
        ordered: whether `train` is what comes before.
    """

    feature_set: str
    path: str | None
    sizes: Sizes
    pooled: frozenset[str]
    names: tuple[str, str]
    group: str
    ordered: bool


class Cutter:
    """Cuts the rows for one `for_each` inside the folds around it.

    Attributes:
        folds: what the plan says of each fold, by FeatureSet and path.
        pooled: the splits that were cut, by FeatureSet; None for all rows.
        places: of each group, by its path, where the spec says that it is run for folds.
    """

    def __init__(self, context: Context, data: Mapping[str, FeatureSet]) -> None:
        self.folds: dict[str, dict[str, Fold]] = {label: {} for label in data}
        self.pooled: dict[str, set[str | None]] = {label: set() for label in data}
        self.places: dict[str, Path] = {}
        self._context = context
        self._data = data

    def cut(
        self, folds: Folds, place: Path, group: str, around: Mapping[str, Cut]
    ) -> list[tuple[Cut, ...]] | None:
        """The cuts of each fold, one for each FeatureSet; None where it is not known what is cut."""
        together = [(folds, place)]
        own = folds.data or next(iter(self._data), None)
        for label, beside in folds.also.items():
            at = (*place, "also", label)
            if label == own or label not in self._data:
                self._wrong_beside(label, at)
                return None
            known = msgspec.structs.asdict(beside)
            together.append((msgspec.structs.replace(folds, data=label, also={}, **known), at))
        cuts = [self._cut(one, at, place, group, around) for one, at in together]
        known_cuts = [each for each in cuts if each is not None]
        if len(known_cuts) < len(cuts):
            return None
        self.places[group] = place
        return list(zip(*known_cuts, strict=True))

    def _wrong_beside(self, label: str, place: Path) -> None:
        if label in self._data:
            message = f"`{label}` is what these folds cut anyway"
            self._context.error("SP304", message, place, key=True, hint="leave it out of `also`")
        elif not self._context.lost(("data", label)):
            message = f"no FeatureSet `{label}`; known: {quoted(self._data)}"
            hint = did_you_mean(label, self._data)
            self._context.error("SP301", message, place, key=True, hint=hint)

    def _cut(
        self, folds: Folds, place: Path, whole: Path, group: str, around: Mapping[str, Cut]
    ) -> list[Cut] | None:
        """The cut of one FeatureSet for each fold. `whole` is where the spec has all of the folds."""
        feature_set = self._feature_set(folds, place)
        if folds.train == folds.val:
            message = f"`train` and `val` are both called `{folds.val}`"
            written = "val" if folds.train == Folds().train else "train"
            hint = f"give one another name; without a word they are `{Folds().train}` and `{Folds().val}`"
            self._context.error("SP304", message, (*place, written), hint=hint)
            return None
        if feature_set is None:
            return None
        outer = around.get(feature_set)
        if not self._keeps_order(folds, feature_set, outer, whole):
            return None
        keys = fold_keys(self._context, self._data[feature_set], folds, place)
        if keys is None:
            return None
        sizes = outer.sizes if outer is not None else self._data[feature_set].splits
        of = self._pooled(folds, place, feature_set, sizes, outer)
        self.pooled[feature_set].update(of or (None,))
        if keys.group_by and keys.path[0] != "data" and of and outer is None:
            warn_of_parted_groups(self._context, self._data[feature_set], keys, of, keys.path)
        rows = self._rows(feature_set, of, sizes)
        fold = None
        if rows is not None and of is not None:
            seed = self._seed(folds, feature_set, group)
            within = outer.path if outer is not None else None
            fold = _uncut(folds, keys, of, rows, seed=seed, within=within)
        pooled = frozenset(of or ()) | (outer.pooled if outer is not None else frozenset())
        cuts = []
        parts = self._sizes(fold, keys, feature_set, whole)
        for index, (left, size) in enumerate(parts or [_UNKNOWN] * folds.n):
            path = f"{group}.fold_{index}"
            if fold is not None and left is not None and size is not None:
                self.folds[feature_set][path] = msgspec.structs.replace(
                    fold,
                    index=index,
                    train=Split(name=folds.train, rows=left),
                    val=Split(name=folds.val, rows=size),
                )
            cuts.append(
                Cut(
                    feature_set=feature_set,
                    path=path,
                    sizes={**sizes, folds.train: left, folds.val: size},
                    pooled=pooled - {folds.train, folds.val},
                    names=(folds.train, folds.val),
                    group=group,
                    ordered=folds.ordered,
                )
            )
        if of is not None:
            self._check_scalers(feature_set, cuts[0], place)
        return cuts

    def _check_scalers(self, feature_set: str, cut: Cut, place: Path) -> None:
        """Warn of scalers that learn from rows that a fold leaves out."""
        for index, scale in enumerate(self._context.spec.data[feature_set].scale):
            whole = scale.fit_on is None and not self._data[feature_set].splits
            use = scale.component["use"]
            part = scale.component.get("scaler") if use == "segmented" else None
            if not learns(use, part) or not (whole or scale.fit_on in cut.pooled):
                continue
            learned_from = "all rows" if scale.fit_on is None else f"`{scale.fit_on}`"
            message = (
                f"the scaler learns from {learned_from}, also from rows that a fold leaves out"
            )
            where: Path = ("data", feature_set, "scale", index)
            hint = f"`fit_on: {cut.names[0]}` of a split of that name means, in each fold, its rows"
            self._context.warning(
                "SP516", message, where, hint=hint, also=[(place, "folds cut here")]
            )

    def _keeps_order(self, folds: Folds, feature_set: str, outer: Cut | None, place: Path) -> bool:
        """Whether folds leave rows in the order that something else gives them, and ask for no other."""
        if folds.ordered:
            if folds.seed is None:
                return True
            message = "`seed` is that of a shuffle, and `ordered` folds have none"
            self._context.error("SP718", message, (*place, "seed"), hint="remove `seed`")
            return False
        splitter = self._context.spec.data[feature_set].splits or {}
        if splitter.get("use") == "ordered":
            said: Path = ("data", feature_set, "splits", "use")
        elif outer is not None and outer.ordered:
            said = (*self.places[outer.group], "ordered")
        else:
            return True
        message = f"the rows of {feature_set} are in an order that folds do not keep"
        hint = "`ordered: true` here lets each fold learn from what comes before it"
        self._context.error("SP718", message, place, hint=hint, also=[(said, "said here")])
        return False

    def _sizes(
        self, fold: Fold | None, keys: FoldKeys, feature_set: str, place: Path
    ) -> list[PartSizes]:
        """Rows of each part; none where they cannot be known, or there are too few."""
        if fold is None:
            return []
        rows = fold.train.rows
        if fold.n + fold.ordered > rows:
            only = ", of which no fold measures the first" if fold.ordered else ""
            too_few(self._context, fold.n, f"{rows} rows{only}", rows - fold.ordered, place)
        elif not keys.columns:
            return [
                part_sizes(rows, fold.n, index, ordered=fold.ordered) for index in range(fold.n)
            ]
        else:
            known = self._data[feature_set]
            sizes = keyed_sizes(self._context, known, fold, keys, self.folds[feature_set], place)
            if sizes is not None:
                return [(None if size is None else rows - size, size) for size in sizes]
        return []

    def _feature_set(self, folds: Folds, place: Path) -> str | None:
        if folds.data is None and len(self._data) == 1:
            return next(iter(self._data))
        if folds.data in self._data:
            return folds.data
        known = quoted(self._data)
        if not self._data:
            return None
        if folds.data is None:
            message = f"there are several FeatureSets, so folds need `data`: one of {known}"
            example = f"such as `data: {next(iter(self._data))}`"
            self._context.error("SP204", message, place, hint=example)
        elif not self._context.lost(("data", folds.data)):
            message = f"no FeatureSet `{folds.data}`; known: {known}"
            hint = did_you_mean(folds.data, self._data)
            self._context.error("SP301", message, (*place, "data"), hint=hint)
        return None

    def _pooled(
        self,
        folds: Folds,
        place: Path,
        feature_set: str,
        sizes: Mapping[str, int | None],
        outer: Cut | None,
    ) -> tuple[str, ...] | None:
        """The splits that are put together, empty for all rows; None where a name is not known."""
        if self._context.undivided(feature_set):
            return None
        if folds.of is None and outer is not None:
            return (outer.names[0],)
        if folds.of is None:
            found = tuple(name for name in (folds.train, folds.val) if name in sizes)
            if found or not sizes:
                return found
            message = f"neither `{folds.train}` nor `{folds.val}` is a split of {feature_set}; it has {quoted(sizes)}"
            hint = f"say which rows are cut, such as `of: [{next(iter(sizes))}]`"
            self._context.error("SP303", message, place, hint=hint)
            return None
        right = True
        for index, name in enumerate(folds.of):
            item = (*place, "of", index)
            if name not in sizes:
                message = f"split `{name}` is not defined; {feature_set} has {quoted(sizes) or 'no splits'}"
                self._context.error("SP303", message, item, hint=did_you_mean(name, sizes))
            elif name in folds.of[:index]:
                message = f"`{name}` is listed twice"
                self._context.error("SP304", message, item, hint="remove one of the two")
            elif outer is not None and name in outer.pooled:
                message = f"`{name}` holds rows of `{outer.names[1]}` of the folds around"
                hint = f"pool `{outer.names[0]}`"
                self._context.error("SP303", message, item, hint=hint)
            else:
                continue
            right = False
        return folds.of if right else None

    def _rows(
        self, feature_set: str, of: tuple[str, ...] | None, sizes: Mapping[str, int | None]
    ) -> int | None:
        if of is None:
            return None
        if not of:
            return self._data[feature_set].rows
        total = 0
        for name in of:
            size = sizes[name]
            if size is None:
                return None
            total += size
        return total

    def _seed(self, folds: Folds, feature_set: str, group: str) -> int | None:
        if folds.ordered or not folds.shuffle:
            return None
        if folds.seed is not None:
            return folds.seed
        return written_seed_of(self._context.spec.run.seed, f"split/{feature_set}/{group}")


def _uncut(
    folds: Folds,
    keys: FoldKeys,
    of: tuple[str, ...],
    rows: int,
    *,
    seed: int | None,
    within: str | None,
) -> Fold:
    return Fold(
        n=folds.n,
        index=0,
        seed=seed,
        of=of,
        within=within,
        train=Split(name=folds.train, rows=rows),
        val=Split(name=folds.val, rows=0),
        group_by=keys.group_by,
        stratify_by=keys.stratify_by,
        ordered=folds.ordered,
    )
