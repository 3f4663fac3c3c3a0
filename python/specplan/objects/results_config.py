"""Where the results of an experiment are stored."""

from __future__ import annotations

import os
import re
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from specplan.results.locate import all_runs, runs_of
from specplan.spec.wording import quoted

IN_MEMORY = "in-memory"
KINDS = ("execution", "metrics", "artifacts")

Place = str | os.PathLike[str] | None
Kind = Literal["execution", "metrics", "artifacts"]


class ResultsConfig:
    """Where run folders are made, and which parts of them lie elsewhere.

    Results are read in the same way wherever they lie. What is "in-memory" lies in a temporary folder
    that goes when the results do. A run folder always has the metrics.

    Args:
        results_dir: folder of the runs; without it, the first of `execution`, `metrics` and `artifacts`
            that is a path, and where none is, everything is in memory.
        save_execution: whether `execution` of None means below `results_dir`, not in memory; so do
            `save_metrics` and `save_artifacts`.
        base_dir: another name of `results_dir`.
        artifacts: a folder, "in-memory", or None: as `save_artifacts` says.
        metrics: a folder, "in-memory", or None: as `save_metrics` says.
        execution: a folder, "in-memory", or None: as `save_execution` says.

    Raises:
        TypeError: a place is neither a path nor "in-memory", or a flag is no bool.
        ValueError: `results_dir` and `base_dir` differ, or the folder holds something else than runs.
    """

    def __init__(
        self,
        results_dir: Place = None,
        save_execution: bool = True,  # noqa: FBT001, FBT002 -- as documented
        save_metrics: bool = False,  # noqa: FBT001, FBT002 -- as documented
        save_artifacts: bool = True,  # noqa: FBT001, FBT002 -- as documented
        *,
        base_dir: Place = None,
        artifacts: Place = None,
        metrics: Place = None,
        execution: Place = None,
    ) -> None:
        self._root = _one_root(results_dir, base_dir)
        self.execution = _checked_place("execution", execution)
        self.metrics = _checked_place("metrics", metrics)
        self.artifacts = _checked_place("artifacts", artifacts)
        self._saves = {
            "execution": _checked_flag("save_execution", save_execution),
            "metrics": _checked_flag("save_metrics", save_metrics),
            "artifacts": _checked_flag("save_artifacts", save_artifacts),
        }
        self.check(None)

    @property
    def results_dir(self) -> Path | None:
        """The folder of the runs, as it was given."""
        return self._root

    @property
    def base_dir(self) -> Path | None:
        """The same folder."""
        return self._root

    @property
    def save_execution(self) -> bool:
        """Whether what batches recorded is on disk."""
        return self.location("execution") is not None

    @property
    def save_metrics(self) -> bool:
        """Whether the metrics were asked for on disk; a run folder on disk has them anyway."""
        return self.location("metrics") is not None

    @property
    def save_artifacts(self) -> bool:
        """Whether artifacts are on disk."""
        return self.location("artifacts") is not None

    def location(self, kind: Kind) -> Path | None:
        """The folder below which results of a kind lie; None for memory."""
        place: Path | str | None = getattr(self, kind)
        if isinstance(place, Path):
            return place
        return self._root if place is None and self._saves[kind] else None

    @property
    def home(self) -> Path | None:
        """The folder below which run folders are made; None for a temporary one."""
        if self._root is not None:
            return self._root
        return next(
            (place for kind in KINDS if isinstance(place := getattr(self, kind), Path)), None
        )

    def check(self, experiment: str | None) -> None:
        """Check that `results_dir` holds nothing but runs; of one experiment, where its label or prefix is named.

        Raises:
            ValueError: it holds something else.
        """
        if self._root is None or not self._root.exists():
            return
        if not self._root.is_dir():
            raise ValueError(f"results_dir `{self._root}` is not a folder")
        others = [
            path.name for path in sorted(self._root.iterdir()) if not _is_ours(path, experiment)
        ]
        if others:
            whose = "runs" if experiment is None else f"runs of experiment `{experiment}`"
            raise ValueError(
                f"results_dir `{self._root}` must be empty, absent, or hold nothing but {whose}; "
                f"it has {quoted(others[:3])}"
            )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one, as plain values."""
        given = {"results_dir": self._root, **{kind: getattr(self, kind) for kind in KINDS}}
        return {
            **{
                name: _written(place) if isinstance(place, Path) else place
                for name, place in given.items()
            },
            **{f"save_{kind}": self._saves[kind] for kind in KINDS},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ResultsConfig:
        """Make one of what `get_config` gave."""
        places = {
            kind: Path(place)
            for kind in KINDS
            if (place := config.get(kind)) is not None and place != IN_MEMORY
        }
        return cls(**config | places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResultsConfig) and self.get_config() == other.get_config()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = {name: value for name, value in self.get_config().items() if value is not None}
        return f"ResultsConfig({', '.join(f'{name}={value!r}' for name, value in said.items())})"


def _one_root(results_dir: Place, base_dir: Place) -> Path | None:
    given = {"results_dir": results_dir, "base_dir": base_dir}
    roots = []
    for name, place in given.items():
        if place is not None:
            if not isinstance(place, str | os.PathLike):
                raise TypeError(f"{name} is a path or None, not {type(place).__name__}")
            roots.append(Path(place))
    if len(roots) == 2 and roots[0].absolute() != roots[1].absolute():
        raise ValueError(
            f"results_dir and base_dir are two names of one folder; these differ: `{roots[0]}` and "
            f"`{roots[1]}`"
        )
    return roots[0] if roots else None


def _checked_place(kind: str, place: Place) -> Path | str | None:
    if place is None or place == IN_MEMORY:
        return None if place is None else IN_MEMORY
    if not isinstance(place, str | os.PathLike):
        raise TypeError(f'{kind} is a path, "{IN_MEMORY}" or None, not {type(place).__name__}')
    if isinstance(place, str) and _sounds_like_memory(place):
        raise ValueError(
            f'{kind}: {place!r} would be a folder; memory is "{IN_MEMORY}", and that folder '
            f'"{_written(Path(place))}"'
        )
    return Path(place)


def _sounds_like_memory(word: str) -> bool:
    return re.sub("[-_ ]", "", word.lower()) in ("inmemory", "memory", "ram")


def _written(place: Path) -> str:
    """A path as a text that is a folder to every reader, whatever its name."""
    text = str(place)
    return f"./{text}" if _sounds_like_memory(text) else text


def _checked_flag(name: str, flag: object) -> bool:
    if not isinstance(flag, bool):
        raise TypeError(f"{name} is True or False, not {type(flag).__name__}")
    return flag


def _is_ours(path: Path, experiment: str | None) -> bool:
    if path.name.startswith("."):
        return True
    # Runs of a prefix are below its first part; earlier versions had them below its last one.
    is_named = experiment is None or path.name in (
        *experiment.split("/")[:1],
        Path(experiment).name,
    )
    return is_named and any(True for _ in chain(runs_of(path), all_runs(path)))
