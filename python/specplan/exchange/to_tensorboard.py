"""A run as an event file of TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.errors import RunError
from specplan.exchange.outcome import Outcome
from specplan.track.portable import Portable, portable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from specplan.results.open import Run

FILE = "events.out.tfevents.0.specplan"
"""One file for a run: it is written anew, so nothing is in it twice."""
HPARAMS = "_hparams_/session_start_info"
_SECOND = 1_000_000_000


def send_to_tensorboard(run: Run, folder: Path, *, dry_run: bool = False) -> Outcome:
    """Write `<folder>/<experiment>/<run>/` for TensorBoard, which keeps values as float32 and no artifacts.

    A file that has everything already is left as it is.

    Raises:
        RunError: the package tensorboard is not installed; or the run has a name that leaves the folder.
    """
    found = portable(run)
    target = folder / found.experiment / found.name / FILE
    if not target.resolve().is_relative_to(folder.resolve()):
        raise RunError(
            f"the run {found.experiment!r}, {found.name!r} does not lie below `{folder}`"
        )
    content = b"".join(_records(found))
    is_there = target.is_file() and target.read_bytes() == content
    if not is_there and not dry_run:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content)
    count = len(found.files)
    return Outcome(
        run=f"{run.experiment}/{run.id}",
        to=f"tensorboard:{folder}",
        params=0 if is_there else len(found.params),
        metrics=0 if is_there else sum(map(len, found.series.values())),
        artifacts=0,
        refused=(f"TensorBoard keeps no artifacts, of which there are {count}",) if count else (),
    )


def _replace(target: Path, content: bytes) -> None:
    # Its name has no `tfevents`, so TensorBoard does not read it before it is whole.
    aside = target.with_name(".writing")
    aside.write_bytes(content)
    aside.replace(target)


def _records(run: Portable) -> Iterator[bytes]:
    """The events as TensorBoard's record files have them."""
    import io

    protocol = imported()
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    start = (run.started_at or 0) / _SECOND
    writer.write(protocol.Event(wall_time=start, file_version="brain.Event:2").SerializeToString())
    if run.params:
        summary = _hparams(run)
        writer.write(protocol.Event(wall_time=start, summary=summary).SerializeToString())
    for series, points in run.series.items():
        for point in points:
            summary = {"value": [{"tag": series.name, "simple_value": point.value}]}
            moment = (point.time or 0) / _SECOND
            event = protocol.Event(wall_time=moment, step=point.step, summary=summary)
            writer.write(event.SerializeToString())
    yield buffer.getvalue()


def _hparams(run: Portable) -> Any:
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    started = plugin_data_pb2.SessionStartInfo(start_time_secs=(run.started_at or 0) / _SECOND)
    for name, value in sorted(run.params.items()):
        if isinstance(value, bool):
            started.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            started.hparams[name].number_value = value
        else:
            started.hparams[name].string_value = str(value)
    data = plugin_data_pb2.HParamsPluginData(
        session_start_info=started, version=metadata.PLUGIN_DATA_VERSION
    )
    value = {"tag": HPARAMS, "metadata": {"plugin_data": {"plugin_name": metadata.PLUGIN_NAME}}}
    summary = summary_pb2.Summary(value=[value])
    content = data.SerializeToString(deterministic=True)  # params in one order in every process
    summary.value[0].metadata.plugin_data.content = content
    return summary


def imported() -> Any:
    """TensorBoard's events. Raises RunError where it is not installed."""
    try:
        from tensorboard.compat.proto import event_pb2
    except ImportError as error:
        raise RunError(
            "this needs the package `tensorboard`\nhint: pip install 'specplan[tensorboard]'"
        ) from error
    return event_pb2
