"""Files `<name>.exp.mml`: an experiment with its weights, its phases, its FeatureSets and its runs (docs/archive.md)."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.archive.archive import Archive, archive_path, writing
from specplan.archive.names import experiment_fault, run_fault
from specplan.base.files import write_atomically
from specplan.data.context import ExperimentContext, active_context
from specplan.data.feature_set import FeatureSet
from specplan.data.feature_set_file import (
    ROWS,
    add_feature_set,
    differences,
    load_feature_set,
    read_described,
    read_feature_set,
)
from specplan.errors import ArchiveError
from specplan.objects.callback_states import States, add_states
from specplan.objects.history_entries import StoredRun, stored_run
from specplan.objects.state_entries import add_snapshot
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from specplan.objects.history import ExperimentRun
    from specplan.run.state import Snapshot

CONFIG = "config.json"
HISTORY = "history.json"
FEATURE_SETS = "featuresets"
CHECKPOINTS = "checkpoints"
RUNS = "runs"


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment is made of.

    Attributes:
        config: as `Experiment.get_config` gives it.
        feature_sets: those of its context.
        snapshot: weights, estimators and optimizer; None without a graph.
        history: its entries.
        checkpoints: the file of each, by name.
        callbacks: what they want to be kept.
    """

    config: dict[str, Any]
    feature_sets: Sequence[FeatureSet]
    snapshot: Snapshot | None
    history: Sequence[ExperimentRun]
    checkpoints: Mapping[str, Path]
    callbacks: States


def save_parts(parts: Parts, path: str | os.PathLike[str], *, overwrite: bool, rows: bool) -> Path:
    """Write `<path>.exp.mml`; without `rows`, the FeatureSets have all but their rows.

    Raises:
        FileExistsError: it is there already, and is not to be overwritten.
        ValueError: an object, a scaler or an estimator cannot be stored without pickle.
    """
    for stored in parts.config["objects"].values():
        if "refused" in stored:
            raise ValueError(f"the experiment cannot be saved: {stored['refused']}")
    target = archive_path(path, "exp")
    with writing(target, "exp", overwrite=overwrite) as archive:
        archive.add_json(CONFIG, parts.config)
        for feature_set in parts.feature_sets:
            add_feature_set(archive, f"{FEATURE_SETS}/{feature_set.label}/", feature_set, rows=rows)
        if parts.snapshot is not None:
            add_snapshot(archive, parts.snapshot)
        add_states(archive, parts.callbacks)
        archive.add_json(HISTORY, [stored_run(entry) for entry in parts.history])
        for run in {entry.run.id: entry.run for entry in parts.history if entry.run}.values():
            archive.add_folder(f"{RUNS}/{run.experiment}/{run.id}", run.folder.path)
        for name, file in parts.checkpoints.items():
            archive.add_file(f"{CHECKPOINTS}/{name}.ckpt.mml", file)
    return target


@contextmanager
def loading(
    path: Path, given: Sequence[FeatureSet | str | os.PathLike[str]], *, overwrite: bool
) -> Iterator[tuple[Archive, dict[str, Any]]]:
    """The archive and the config in it, while a context of its own is active that has the FeatureSets.

    That stays active if none of its labels was taken, or `overwrite` says so.
    """
    before = active_context()
    with Archive(path, "exp") as archive:
        config = archive.read_json(CONFIG, dict[str, Any])
        try:
            context = ExperimentContext(config["registration_policy"])
            context.activate()
            for each in read_feature_sets(archive, given):
                context.register("node", each.label, each)
            yield archive, config
        finally:
            before.activate()
    if overwrite or not collisions(before, context):
        warn_of_replaced(path, before, context)
        context.activate()


def read_feature_sets(
    archive: Archive, given: Sequence[FeatureSet | str | os.PathLike[str]]
) -> list[FeatureSet]:
    """The FeatureSets of an archive, registered nowhere; those without rows are among `given`.

    Raises:
        TypeError: what is given is neither a FeatureSet nor the path of one.
        ValueError: one that is needed was not given, does not fit, or one that was given is not needed.
    """
    by_label = {each.label: each for each in map(_feature_set, given)}
    known = quoted(by_label) or "none"
    labels = dict.fromkeys(name.partition("/")[0] for name in archive.below(FEATURE_SETS))
    found = []
    for label in labels:
        folder = f"{FEATURE_SETS}/{label}/"
        stored = read_described(archive, folder)
        if stored.label != label:
            raise ArchiveError(f"`{archive.path}`: `{folder}` is FeatureSet {stored.label!r}")
        if folder + ROWS in archive.names and label not in by_label:
            found.append(read_feature_set(archive, folder))
            continue
        if label not in by_label:
            raise ValueError(
                f"`{archive.path}` was saved without the rows of FeatureSet `{label}`; "
                f"give it: featuresets=[...], a FeatureSet or the path of one; given: {known}"
            )
        feature_set = by_label.pop(label)
        if reasons := differences(stored, feature_set):
            raise ValueError(
                f"FeatureSet `{label}` is not the one that `{archive.path}` was saved with: "
                + "; ".join(reasons)
            )
        feature_set.id = stored.id
        found.append(feature_set)
    if by_label:
        raise ValueError(
            f"`{archive.path}` has no FeatureSet {quoted(by_label)}; it has: {quoted(labels)}"
        )
    return found


def read_history(archive: Archive) -> list[StoredRun]:
    """The entries of the history in an archive."""
    return archive.read_json(HISTORY, list[StoredRun])


def extract_run(archive: Archive, run: str, root: Path) -> Path:
    """The folder of a run, `<experiment>/<run id>`, below `root`; one that is there is taken as it is. A prefix has
    several parts.

    Raises:
        FileExistsError: another run of that id is there.
        ArchiveError: the archive has no such run.
    """
    experiment, _, run_id = run.rpartition("/")
    if fault := experiment_fault(experiment) or run_fault(run_id):
        raise ArchiveError(f"`{archive.path}`: {run!r} cannot be the name of a run: {fault}")
    folder = root / run
    if not folder.exists():
        archive.extract(f"{RUNS}/{run}", folder)
    elif _content(folder / "run.json") != archive.read(f"{RUNS}/{run}/run.json"):
        raise FileExistsError(f"`{folder}` is there already, and is another run")
    return folder


def extract_checkpoints(archive: Archive, directory: Path, *, overwrite: bool) -> None:
    """Write the checkpoints of an archive below `directory`.

    Raises:
        FileExistsError: another file of a name is there, and is not to be overwritten.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in archive.below(CHECKPOINTS):
        if "/" in name:
            raise ArchiveError(
                f"`{archive.path}`: `{CHECKPOINTS}/{name}` is no file of a checkpoint"
            )
        content = archive.read(f"{CHECKPOINTS}/{name}")
        if _content(directory / name) not in (None, content) and not overwrite:
            raise FileExistsError(f"`{directory / name}` is there already, and is another one")
        write_atomically(directory / name, content)


def warn_of_replaced(path: Path, before: ExperimentContext, after: ExperimentContext) -> None:
    """Warn of objects of the context before that are found no more by their labels."""
    taken = collisions(before, after)
    if taken:
        warnings.warn(
            f"the active context is that of `{path}` now; it replaces {quoted(taken)}", stacklevel=3
        )


def collisions(before: ExperimentContext, after: ExperimentContext) -> list[str]:
    """Labels that objects of both contexts have."""
    return [label for label in after.labels() if label in before.labels()]


def _feature_set(given: FeatureSet | str | os.PathLike[str]) -> FeatureSet:
    if isinstance(given, FeatureSet):
        return given
    try:
        return load_feature_set(given)
    except TypeError:
        raise TypeError(
            f"featuresets has FeatureSets and paths of such, not {type(given).__name__}"
        ) from None


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
