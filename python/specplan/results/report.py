"""A run as one HTML page that needs nothing else: no file, no network, no script."""

from __future__ import annotations

import shlex
from base64 import b64encode
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import StoreError
from specplan.plan.drawing import draw_plan_graph
from specplan.plan.explain import explain
from specplan.results.compare import environment_of
from specplan.results.html import Html, html_table
from specplan.results.messages import messages_of
from specplan.results.page import POLICY, badge, boxed, html_page, section
from specplan.results.settings import without_secrets
from specplan.results.summary import (
    METRIC_COLUMNS,
    PARAM_COLUMNS,
    PHASE_COLUMNS,
    RECORD_COLUMNS,
    Summary,
    cells,
)
from specplan.results.table import cell_text
from specplan.store.run_file import Status, seconds_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.results.artifacts import Artifact
    from specplan.results.messages import Message
    from specplan.results.open import Run
    from specplan.store.run_file import PhaseTiming

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml")
MOST_IMAGE_BYTES = 4 << 20
MOST_TEXT_BYTES = 64 << 10
LOUD = ("error", "fatal", "warn")
"""Levels of messages that are seen at a glance."""
MOST_MESSAGES = 500
"""Of the log, so many of the last."""
MOST_ROWS_AT_A_GLANCE = 30
"""A section of the environment with more, such as all packages, is closed at first."""
ARTIFACT_COLUMNS = ("artifact", "kind", "phase", "epoch", "versions", "bytes", "blake3")
BESIDE_FACTS = {"status", "error", "log", "title", "subtitle", "about"}
"""Facts that the head shows in places of their own; the log is a part of the page."""


def report_html(run: Run) -> str:
    """The page. Of a run that goes on it shows what is committed.

    Raises:
        RunError: the plan or the environment is damaged.
        StoreError: the records are damaged.
    """
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return html_page(
        f"{run.experiment} {run.id}", report_sections(run), report_footer(run), head=head
    )


def report_sections(run: Run, *, files: str = "") -> list[str]:
    """What the page has, part by part; a part is empty where the run has nothing of it.

    Args:
        run: the run.
        files: HTML that stands behind the artifacts.

    Raises:
        RunError: the plan or the environment is damaged.
        StoreError: the records are damaged.
    """
    told = Summary(run)
    sections = [
        _head(run, told),
        _graph(run),
        _phases(run, told),
        _table("Params", PARAM_COLUMNS, told.params),
        _curves(run),
        _metrics(told),
        _log(run),
        _artifacts(run, told),
        files,
        _table("Records", RECORD_COLUMNS, cells(told.records, RECORD_COLUMNS)),
        _texts(run),
        _environment(run),
    ]
    return [without_secrets(run.folder, each) for each in sections]


def report_footer(run: Run) -> str:
    """What wrote the page of which run, and when."""
    version = run.run_file.versions.get("specplan", "")
    return f"specplan {version}, {run.folder.path.name}, written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _head(run: Run, told: Summary) -> str:
    facts = told.facts
    shown = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>"
        for name, text in facts.items()
        if name not in BESIDE_FACTS
    )
    lines = [
        f"<h1>{escape(facts.get('title', run.experiment))}</h1>",
        *(f"<p>{escape(facts[name])}</p>" for name in ("subtitle", "about") if name in facts),
        f'<p class="status">{badge(facts["status"])}{_going_on(run)}</p>',
        f'<dl class="facts">{shown}</dl>',
    ]
    if error := facts.get("error"):
        lines.append(f'<p class="error">{escape(error)}</p>')
    return f"<header>{''.join(lines)}</header>"


def _going_on(run: Run) -> str:
    if run.status is not Status.RUNNING:
        return ""
    return ' <span class="dim">still going on: this is what was recorded when the page was written</span>'


def _graph(run: Run) -> str:
    if not run.plan.graph.nodes:
        return ""
    picture = draw_plan_graph(run.plan.graph).to_svg(title="the graph of the plan")
    return section("Graph", boxed(picture))


def _phases(run: Run, told: Summary) -> str:
    if not told.phases:
        return ""
    ends = [each.ended_at or each.started_at for each in run.phases]
    first = min((each.started_at for each in run.phases), default="")
    span = seconds_between(first, max(ends)) if ends else 0.0
    status = PHASE_COLUMNS.index("status")
    rows = []
    for line in told.phases:
        cells = line.texts()
        cells[status] = Html(f'<span class="{cells[status]}">{cells[status]}</span>')
        rows.append([*cells, _bar(line.timing, first, span)])
    notes = "".join(
        f"<p><code>{escape(path)}</code>: {escape(text)}</p>" for path, text in told.endings
    )
    return section("Phases", boxed(html_table("", (*PHASE_COLUMNS, "when"), rows) + notes))


def _bar(timing: PhaseTiming | None, first: str, span: float) -> Html:
    """When it ran, of the time of all."""
    if timing is None or span <= 0:
        return Html("")
    left = 100 * seconds_between(first, timing.started_at) / span
    width = 100 * (timing.seconds or 0.0) / span
    return Html(f'<div class="bar"><i style="left:{left:.2f}%;width:{width:.2f}%"></i></div>')


def _curves(run: Run) -> str:
    from specplan.results.curves import draw_logged_curves, draw_phase_curves

    metrics = run.metric_rows()
    latest = metrics.last_epochs()
    logged = "".join(draw_logged_curves(metrics))
    parts = [f'<div class="charts">{logged}</div>'] if logged else []
    for phase in run.plan.phases:
        kept = run.run_file.kept_epochs.get(phase.path)
        charts = draw_phase_curves(
            phase,
            metrics.select("phase", phase.path),
            kept_epoch=None if kept == latest.get(phase.path) else kept,
        )
        if charts:
            parts.append(
                f"<h3>{escape(phase.path)}</h3><div class='charts'>{''.join(charts)}</div>"
            )
    return section("Curves", "".join(parts))


def _metrics(told: Summary) -> str:
    rows = cells(told.metrics, METRIC_COLUMNS)
    if not rows:
        return section("Metrics", '<p class="dim">nothing was measured</p>')
    spreads = "".join(f"<p>{escape(str(spread))}</p>" for spread in told.spreads)
    caption = "the last value of each; of a phase that went back to an earlier epoch, that epoch's"
    return section("Metrics", boxed(html_table(caption, METRIC_COLUMNS, rows) + spreads))


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return section(title, boxed(html_table("", columns, rows)) if rows else "")


def _log(run: Run) -> str:
    lines = "".join(map(_message, messages_of(run, MOST_MESSAGES)))
    return section("Log", f'<pre class="log">{lines}</pre>' if lines else "")


def _message(entry: Message) -> str:
    said = " ".join(f"{name}={cell_text(value)}" for name, value in (entry.metadata or {}).items())
    when = entry.timestamp[:19].replace("T", " ")
    text = f"{entry.message}{f'  {said}' if said else ''}"
    kind = entry.level if entry.level in LOUD else "dim"
    return f'<span class="dim">{escape(when)}</span> <b class="{kind}">{escape(entry.level)}</b> {escape(text)}\n'


def _artifacts(run: Run, told: Summary) -> str:
    if not told.artifacts:
        return ""
    rows = [[*row, digest[:16]] for *row, digest in cells(told.artifacts, ARTIFACT_COLUMNS)]
    shown = "".join(map(_shown, run.artifacts.values()))
    pictures = f'<div class="charts">{shown}</div>' if shown else ""
    return section("Artifacts", boxed(html_table("", ARTIFACT_COLUMNS, rows)) + pictures)


def _shown(artifact: Artifact) -> str:
    """An image, text or JSON value that is not large, as it is; nothing of others."""
    is_image = artifact.media_type in IMAGES
    is_text = artifact.kind in ("text", "json")
    most = MOST_IMAGE_BYTES if is_image else MOST_TEXT_BYTES
    if not (is_image or is_text) or artifact.bytes > most or not artifact.path.is_file():
        return ""
    caption = f"<figcaption>{escape(artifact.name)}</figcaption>"
    try:
        artifact.check()
        content = artifact.path.read_bytes()
    except (StoreError, OSError) as error:
        return f'<figure>{caption}<p class="error">{escape(str(error))}</p></figure>'
    if is_image:
        data = b64encode(content).decode()
        source = f"data:{artifact.media_type};base64,{data}"
        return f'<figure>{caption}<img src="{source}" alt="{escape(artifact.name)}"></figure>'
    return f"<figure>{caption}<pre>{escape(content.decode('utf-8', 'replace'))}</pre></figure>"


def _texts(run: Run) -> str:
    folder = run.folder
    texts = {
        "Traceback": _text_of(folder.error_log),
        "Warnings of the compiler": _text_of(folder.warnings_log),
        "Plan": explain(run.plan),
        "Spec": _pretty(folder.spec_file),
    }
    return section(
        "What was run",
        "".join(
            f"<details{' open' if name == 'Traceback' else ''}><summary>{name}</summary>"
            f"<pre>{escape(text)}</pre></details>"
            for name, text in texts.items()
            if text
        ),
    )


def _text_of(path: Any) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _pretty(path: Any) -> str:
    return msgspec.json.format(path.read_bytes(), indent=2).decode() if path.is_file() else ""


def _environment(run: Run) -> str:
    parts = []
    for name, part in environment_of(run).items():
        rows = [[key, text] for key, text in _leaves(part)]
        table = boxed(html_table("", ("", ""), rows))
        if len(rows) > MOST_ROWS_AT_A_GLANCE:
            summary = f"{escape(name)} ({len(rows)})"
            parts.append(f"<details><summary>{summary}</summary>{table}</details>")
        else:
            parts.append(f"<h3>{escape(name)}</h3>{table}")
    return section("Environment", "".join(parts))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from _leaves(each, f"{key}.{inner}" if key else inner)
    elif key == "command":
        yield key, shlex.join(value)
    elif isinstance(value, list):
        yield key, ", ".join(cell_text(each) for each in value) or "none"
    else:
        yield key, cell_text(value)
