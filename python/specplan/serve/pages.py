"""The pages of the server: its runs, one run, and several side by side. Nothing is written for them."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from specplan.results.conditions import ConditionError, parse_condition
from specplan.results.index import Index
from specplan.results.page import badge, boxed, html_page, section
from specplan.results.report import report_footer, report_sections
from specplan.results.side_by_side import comparison_sections
from specplan.results.summary import duration_text, time_text
from specplan.results.table import cell_text
from specplan.serve.faults import Fault
from specplan.serve.reading import parts_of
from specplan.store.artifacts import FOLDER
from specplan.store.run_file import Status, seconds_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from specplan.results.index import Listed
    from specplan.results.open import Run
    from specplan.serve.workspace import Workspace

AT_ONCE = 100
"""Runs on one page."""
MOST_COMPARED = 12
MOST_METRICS = 4
"""Of a run in the list, so many of its metrics."""
SECONDS = 5
"""Between two looks at a page that changes."""
_SHOWN = [status.value for status in Status if status is not Status.SKIPPED]
_COLUMNS = ("", "run", "status", "started", "took", "last metrics")


def list_page(runs: Workspace, request: Request) -> str:
    """The runs, the newest first; those that are asked for."""
    query = request.query_params
    start = _number(query.get("start", "0"))
    fault, found = "", []
    try:
        found = _found(runs, query)
    except ConditionError as error:
        fault = f'<p class="error" role="alert">{escape(str(error))}</p>'
    shown = found[start : start + AT_ONCE]
    table = _table(runs, shown) if shown else '<p class="dim">no runs</p>' if not fault else ""
    told = f"{len(found)} run{'' if len(found) == 1 else 's'}"
    return _page(
        "Runs",
        [
            f"<header><h1>Runs</h1>{_form(query)}{fault}</header>",
            section(told, f"{table}{_turning(query, start, len(found))}"),
        ],
        str(runs.root.name),
        up="",
        live=True,
    )


def run_page(runs: Workspace, request: Request) -> str:
    """One run: what `mlx report` writes, and links to its files."""
    id_ = request.path_params["id"]
    run = runs.opened(id_)
    links = "".join(
        f'<li><a href="{escape(target)}" download>{escape(name)}</a> <span class="dim">{size}</span></li>'
        for name, target, size in _links(id_, run)
    )
    return _page(
        f"{run.experiment} {run.id}",
        report_sections(run, files=section("Files", f"<ul>{links}</ul>" if links else "")),
        report_footer(run),
        up="../",
        live=run.status.is_unfinished,
    )


def _links(id_: str, run: Run) -> Iterator[tuple[str, str, str]]:
    """Name, address and size of each file; of a folder, of each file in it."""
    for name, artifact in run.artifacts.items():
        target = f"{id_}/files/{quote(name, safe='/', errors='replace')}"
        if artifact.kind == FOLDER:
            for part in parts_of(artifact):
                query = urlencode({"part": part}, errors="replace")
                yield f"{name}/{part}", f"{target}?{query}", ""
        elif artifact.path.is_file():
            yield name, target, f"{artifact.bytes} bytes"


def compare_page(runs: Workspace, request: Request) -> str:
    """Runs side by side."""
    ids = list(dict.fromkeys(request.query_params.getlist("run")))
    if not 1 <= len(ids) <= MOST_COMPARED:
        raise Fault(400, f"1 to {MOST_COMPARED} runs are compared, not {len(ids)}")
    compared = [runs.opened(id_) for id_ in ids]
    names = "".join(
        f'<li><a href="runs/{escape(id_)}">{escape(f"{run.experiment}/{run.id}")}</a> {badge(run.status.value)}</li>'
        for id_, run in zip(ids, compared, strict=True)
    )
    return _page(
        "Runs side by side",
        [
            f"<header><h1>Side by side</h1><ul>{names}</ul></header>",
            *comparison_sections(compared),
        ],
        f"{len(compared)} runs",
        up="",
        live=any(run.status.is_unfinished for run in compared),
    )


def fault_page(status: int, message: str, depth: int) -> str:
    """What is wrong with a request."""
    content = f'<p class="error" role="alert">{escape(message)}</p>'
    return _page(f"{status}", [section("This cannot be shown", content)], "", up="../" * depth)


def script() -> bytes:
    """The script of pages that change."""
    return (files("specplan") / "serve" / "live.js").read_bytes()


def _page(title: str, sections: Sequence[str], footer: str, *, up: str, live: bool = False) -> str:
    bar = (
        f'<nav><a href="{up or "./"}">specplan</a>'
        f'<form method="post" action="{up}logout"><button>Log out</button></form></nav>'
    )
    script_ = f'<script src="{up}assets/live.js" data-seconds="{SECONDS}" defer></script>'
    style = (files("specplan") / "serve" / "pages.css").read_text("utf-8")
    head = f"<style>{style}</style>{script_ if live else ''}"
    return html_page(title, sections, footer, head=head, before=bar, live=live)


def _found(runs: Workspace, query: QueryParams) -> list[Listed]:
    words = query.get("name", "").lower().split()
    where = parse_condition(text) if (text := query.get("where", "").strip()) else None
    status = query.get("status", "")
    index = Index(runs.root, runs.index)
    chosen = index.runs(lambda found: all(word in found.key.lower() for word in words))
    listed = [
        run
        for run in chosen
        if (not status or run.status == status) and (where is None or where.holds(run.value))
    ]
    runs.index = index
    return sorted(listed, key=lambda run: run.entry.created_at, reverse=True)


def _form(query: QueryParams) -> str:
    chosen = query.get("status", "")
    options = "".join(
        f'<option{" selected" if each == chosen else ""} value="{each}">{each or "any status"}</option>'
        for each in ("", *_SHOWN)
    )
    name, where = (escape(query.get(key, "")) for key in ("name", "where"))
    return (
        '<form class="filter" method="get" action="./">'
        f'<label>Name <input name="name" value="{name}" placeholder="alice/project"></label> '
        f'<label>Status <select name="status">{options}</select></label> '
        f'<label>Where <input name="where" value="{where}" size="34" '
        'placeholder="params.lr &lt; 0.01 and metrics.loss &lt; 0.5"></label> '
        "<button>Show</button></form>"
    )


def _table(runs: Workspace, shown: Sequence[Listed]) -> str:
    rows = "".join(_row(runs.id_of(run.folder), run) for run in shown if runs.is_own(run.folder))
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    table = f"<table class='runs'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return (
        f'<form method="get" action="compare">{boxed(table)}'
        "<p><button>Compare the ticked runs</button></p></form>"
    )


def _row(id_: str, run: Listed) -> str:
    entry, name = run.entry, f"{run.entry.experiment}/{run.entry.run_id}"
    session = entry.session
    took = (
        ""
        if session.ended_at is None
        else duration_text(seconds_between(session.started_at, session.ended_at))
    )
    own = [
        (key, value)
        for key, value in run.metrics.items()
        if not key.startswith("system/") and key.rpartition("/")[2] not in ("epoch", "step")
    ]
    said = ", ".join(f"{key} {cell_text(value)}" for key, value in own[:MOST_METRICS])
    more = f", {len(own) - MOST_METRICS} more" if len(own) > MOST_METRICS else ""
    cells = (
        f'<input type="checkbox" name="run" value="{escape(id_)}" aria-label="compare {escape(name)}">',
        f'<a href="runs/{escape(id_)}">{escape(name)}</a>',
        badge(run.status.value),
        escape(time_text(entry.created_at)),
        escape(took),
        f"{escape(said)}{more}",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _turning(query: QueryParams, start: int, count: int) -> str:
    def link(text: str, to: int) -> str:
        asked = {key: query[key] for key in ("name", "status", "where") if query.get(key)}
        return f'<a href="./?{escape(urlencode({**asked, "start": to}))}">{text}</a>'

    before = [link("newer", max(0, start - AT_ONCE))] if start else []
    after = [link("older", start + AT_ONCE)] if start + AT_ONCE < count else []
    return f"<p>{' '.join([*before, *after])}</p>" if before or after else ""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Fault(400, "`start` is the number of a run")
    return int(text)
