"""The page on which a browser shows the token, and how it is taken."""

from __future__ import annotations

import hmac
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from specplan.results.page import html_page, section

if TYPE_CHECKING:
    from starlette.types import Scope

PATH = "/login"
LARGEST_FORM = 4096
PAGES = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What pages of the server may load: one script of the server, and nothing from elsewhere."""
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": PAGES,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""The headers of every page."""


def login_page(scope: Scope, fault: str = "", to: str | None = None) -> bytes:
    """The form; afterwards the page that was asked for is shown."""
    up = "../" * (scope["path"].count("/") - 1)
    query = scope["query_string"].decode("latin-1")
    wanted = f"{scope['path'].lstrip('/')}{f'?{query}' if query else ''}" if to is None else to
    said = f'<p class="error" role="alert">{escape(fault)}</p>' if fault else ""
    form = (
        f'<form class="login" method="post" action="{up}{PATH[1:]}">{said}'
        f'<input type="hidden" name="to" value="{escape(wanted)}">'
        '<p><label>Token <input name="token" type="password" autocomplete="current-password" required autofocus>'
        "</label> <button>Show the runs</button></p>"
        '<p class="dim">It is what <code>mlx serve</code> printed, or what is in its token file.</p></form>'
    )
    return html_page("specplan", [section("Runs of this server", form)], "specplan").encode()


def read_form(body: bytes, token: bytes) -> tuple[bool, str]:
    """Whether the form has the token, and where it leads: to a path of this server."""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=4)
        given = fields.get("token", [""])[0].strip().encode()
        wanted = fields.get("to", [""])[0]
    except ValueError:
        return False, ""
    return hmac.compare_digest(given, token), wanted


def location(to: str) -> str:
    """Where a browser goes next. The dot keeps what looks like another server a path of this one."""
    path, mark, query = to.partition("?")
    return f"./{quote(path, safe='/')}{mark}{quote(query, safe='=&+%')}"
