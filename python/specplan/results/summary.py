"""What there is to tell of a run, for whoever tells it: `mlx show`, the page of a run, the end of `mlx run`."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.redaction import hidden
from specplan.plan.model import Call, Train
from specplan.results.compare import environment_of
from specplan.results.settings import leaves
from specplan.results.sweep_point import sweep_point
from specplan.results.table import cell_text
from specplan.store.fields import ABOUT
from specplan.store.run_file import seconds_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from specplan.plan.model import Phase
    from specplan.results.open import Run
    from specplan.results.passes import Spread
    from specplan.store.run_file import PhaseTiming

PHASE_COLUMNS = ("phase", "kind", "split", "rows", "steps", "epoch", "kept", "status", "took")
RECORD_COLUMNS = ("phase", "node", "role", "field", "dtype", "shape", "batches", "rows")
METRIC_COLUMNS = ("phase", "split", "node", "name", "epoch", "value")
PARAM_COLUMNS = ("param", "value")
SHOWN_VERSIONS = ("python", "specplan", "torch")


class PhaseLine(msgspec.Struct, frozen=True):
    """A phase of the plan, and how far it came.

    Attributes:
        timing: None where it has not begun.
        epoch: the last one that it has measured something of.
        kept: the one whose weights it left behind.
    """

    phase: Phase
    timing: PhaseTiming | None
    epoch: int | None
    kept: int | None

    def texts(self) -> list[str]:
        """A cell for each of `PHASE_COLUMNS`."""
        phase, timing = self.phase, self.timing
        numbers: tuple[object, ...] = (phase.rows, phase.steps, None, None)
        if isinstance(phase, Train):
            numbers = (phase.rows, f"{phase.epochs} x {phase.steps}", self.epoch, self.kept)
        elif isinstance(phase, Call):
            numbers = (None, None, None, None)
        seconds = None if timing is None else timing.seconds
        return [
            *(phase.path, str(phase.__struct_config__.tag), phase.split or ""),
            *map(cell_text, numbers),
            "" if timing is None else timing.status.value,
            "" if seconds is None else duration_text(seconds),
        ]


class Summary:
    """What there is to tell of a run; each part is read when it is asked for.

    Raises, where a part is asked for:
        RunError: the plan, the params, the tags, the environment or the file of its sweep are damaged.
        StoreError: the records are damaged.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def facts(self) -> dict[str, str]:
        """What is said of the run as a whole, by what it is called, without what it has not."""
        run, run_file, about = self._run, self._run.run_file, self._run.plan.experiment
        ended = run_file.sessions[-1].ended_at
        facts = {
            "run": f"{run.experiment}/{run.id}, version {run.version}",
            "status": run.status.value,
            "error": "",
            "log": "",
            "started": time_text(run_file.created_at),
            "ended": "",
            "sessions": str(len(run_file.sessions)) if len(run_file.sessions) > 1 else "",
            "lost": losses(run.statistics) or "",
            "stalled": _stalls(run.statistics),
            "plan": run_file.plan_id,
            "sweep": sweep_point(run.folder),
            "seed": str(run.plan.numerics.seed) if run.plan.phases else "",
            "title": hidden("", about.title),
            "subtitle": hidden("", about.subtitle),
            "about": hidden("", about.description),
            "tags": tags_text(run.tags),
            **{name: _said_text(value) for name, value in self.said.items()},
            "host": run_file.sessions[-1].host,
            "with": self._environment(),
        }
        if run_file.error is not None:
            facts["error"] = f"{run_file.error.type}: {run_file.error.message}"
            facts["log"] = run.folder.shown(run.folder.error_log)
        if ended is not None:
            took = duration_text(seconds_between(run_file.created_at, ended))
            facts["ended"] = f"{time_text(ended)}, after {took}"
        return {name: text for name, text in facts.items() if text}

    @cached_property
    def said(self) -> dict[str, Any]:
        """What a program said of its experiment beside its name: bindrs and metadata, where there are some."""
        found: dict[str, Any] = {}
        for document in self._run.documents(ABOUT):
            found |= {name: value for name, value in document.items() if value}
        return {name: found[name] for name in ("bindrs", "metadata") if name in found}

    def _environment(self) -> str:
        """What it ran with, in short."""
        found = environment_of(self._run)
        versions, host, git = (found.get(name) or {} for name in ("versions", "host", "git"))
        parts = [f"{name} {versions[name]}" for name in SHOWN_VERSIONS if name in versions]
        if host.get("system"):
            parts.append(f"{host['system']} {host.get('machine', '')}".rstrip())
        if commit := git.get("commit"):
            changed = any(git.get(name) for name in ("modified", "staged"))
            parts.append(f"commit {commit[:12]}{' with changes' if changed else ''}")
        return ", ".join(parts)

    @cached_property
    def params(self) -> list[list[str]]:
        """What a program said of its run, by names with dots: a cell for each of `PARAM_COLUMNS`."""
        return [[name, cell_text(value)] for name, value in leaves(self._run.params).items()]

    @cached_property
    def phases(self) -> list[PhaseLine]:
        """All phases of the plan, in order."""
        timings = {timing.path: timing for timing in self._run.phases}
        epochs = self._run.metric_rows().last_epochs()
        kept = self._run.run_file.kept_epochs
        return [
            PhaseLine(phase, timings.get(phase.path), epochs.get(phase.path), kept.get(phase.path))
            for phase in self._run.plan.phases
        ]

    @cached_property
    def endings(self) -> list[tuple[str, str]]:
        """Which phases ended otherwise than their epochs say, and how."""
        return [
            (timing.path, text)
            for timing in self._run.phases
            for text in (timing.ending, timing.reason and f"skipped, {timing.reason}")
            if text
        ]

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The last value of every series, or that of the epoch that was restored."""
        return self._run.last_metrics()

    @cached_property
    def spreads(self) -> list[Spread]:
        """The metrics over folds and seeds."""
        return self._run.spreads()

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """What was recorded, channel by channel."""
        return [
            {
                **{name: getattr(channel, name) for name in RECORD_COLUMNS[:5]},
                "shape": list(channel.shape),
                **dict(zip(("batches", "rows"), channel.counts(), strict=True)),
            }
            for channel in self._run.channels()
        ]

    @cached_property
    def artifacts(self) -> list[dict[str, Any]]:
        """The newest artifact of each name."""
        return [
            {
                "artifact": name,
                "kind": artifact.kind,
                "phase": artifact.phase,
                "epoch": artifact.epoch,
                "versions": artifact.version,
                "bytes": artifact.bytes,
                "file": self._run.folder.shown(artifact.path),
                "blake3": artifact.digest,
            }
            for name, artifact in self._run.artifacts.items()
        ]

    @cached_property
    def tables(self) -> list[tuple[Path, int]]:
        """The tables that were written, and their rows: the metrics, then those of phases in the order of the plan."""
        from specplan._native import read_table_header

        folder = self._run.folder
        tables = [path for path in folder.tables.glob("*.parquet") if path.is_file()]
        planned = [folder.execution_table(name) for name in self._run.execution_tables()]
        places = {path: place for place, path in enumerate([folder.metrics_table, *planned])}
        paths = sorted(tables, key=lambda path: (places.get(path, len(places)), path.name))
        return [(path, read_table_header(str(path), "parquet").rows) for path in paths]


def cells(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> list[list[str]]:
    """Rows as people read them."""
    return [
        [_shape(row[name]) if name == "shape" else cell_text(row[name]) for name in columns]
        for row in rows
    ]


def _shape(sizes: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in sizes) or "scalar"


def losses(statistics: Mapping[str, int]) -> str | None:
    """What could not be written, in words; None where nothing was lost."""
    nouns = {
        "dropped": "record",
        "dropped_artifacts": "artifact",
        "dropped_tables": "table",
        "dropped_checkpoints": "checkpoint",
    }
    lost = [
        f"{count} {noun}{'' if count == 1 else 's'}"
        for name, noun in nouns.items()
        if (count := statistics.get(name, 0))
    ]
    return ", ".join(lost) or None


def _stalls(statistics: Mapping[str, int]) -> str:
    stalls = statistics.get("stalls", 0)
    if not stalls:
        return ""
    seconds = statistics["stall_nanoseconds"] / 1e9
    times = "once" if stalls == 1 else f"{stalls} times"
    return f"{times}, {seconds:.3f} s in all: the disk was slower than the run"


def tags_text(tags: Mapping[str, str | None]) -> str:
    """Tags on one line."""
    return " ".join(name if value is None else f"{name}={value}" for name, value in tags.items())


def time_text(text: str) -> str:
    """A time of run.json, to be read."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def duration_text(seconds: float) -> str:
    """How long something took, to be read."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _said_text(value: Any) -> str:
    if not isinstance(value, dict):
        return cell_text(value)
    return ", ".join(f"{name}={cell_text(each)}" for name, each in leaves(value).items())
