"""The frame of a page: title, style and footer around sections. Nothing of it is loaded from elsewhere."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a page in a file may load: nothing that is not in it, and no script even then."""


def html_page(
    title: str,
    sections: Iterable[str],
    footer: str,
    *,
    head: str = "",
    before: str = "",
    live: bool = False,
) -> str:
    """The page.

    Args:
        title: a text.
        sections: HTML, each escaped where it is from others; empty ones are left out.
        footer: a text.
        head: HTML that is added to the head.
        before: HTML that stands before the sections.
        live: whether the page says that it changes.
    """
    style = (files("specplan") / "results" / "report.css").read_text("utf-8")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{head}<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body>{before}<main{' data-live' if live else ''}>\n{chr(10).join(section for section in sections if section)}\n"
        f"<footer>{escape(footer)}</footer></main></body></html>\n"
    )
    # A name of a file may hold what is no character, and a message a zero: no browser reads those.
    return page.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def section(title: str, content: str) -> str:
    """A part with a heading; none where there is nothing in it."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def boxed(content: str) -> str:
    """HTML that may be wider than the page."""
    return f'<div class="scroll">{content}</div>' if content else ""


def badge(status: str) -> str:
    """How a run stands."""
    return f'<span class="badge {escape(status)}">{escape(status)}</span>'
