"""Who may speak to the server: looked at before anything else of a request is."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING

import msgspec

from specplan.serve import login
from specplan.serve.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping
    from typing import Any

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 16 << 20
"""Bytes of one request; files come in several."""


SECONDS_BETWEEN_PIECES = 30.0
SECONDS_OF_A_BODY = 300.0
"""How long a body may take, between two pieces and in all."""
SECONDS_AFTER_A_WRONG_TOKEN = 1.0
API = "/api/"
LOGOUT = "/logout"


class Guard:
    """Lets a request pass that names this server, comes from no other page, and has the token.

    All methods and all paths are treated alike, but for one thing: a browser that has shown the token on the
    login page may GET pages, which are everything that is not below `/api/`. Everything that is given twice
    is refused.

    Args:
        app: what is guarded.
        token: what every request has to know.
        hosts: what the header Host may say, in lower case; with the port where it is not that of http.
        secure_hosts: those of `hosts` that a browser may reach by https, through a proxy.
        port: of the server.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        hosts: Iterable[str],
        secure_hosts: Iterable[str] = (),
        port: int = 0,
    ) -> None:
        self._app = app
        self._token = token.encode()
        self._sessions = Sessions(port)
        self._origins = {host: {f"http://{host}"} for host in hosts}
        for host in secure_hosts:
            self._origins[host].add(f"https://{host}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand over to the app."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _Headers(scope["headers"])
        refusal = self._place_refusal(headers)
        if refusal is not None:
            await _refuse(send, *refusal)
        elif scope["method"] == "POST" and scope["path"] in (login.PATH, LOGOUT):
            await self._of_browser(scope, headers, _Body(receive, login.LARGEST_FORM), send)
        elif not (self._has_token(headers) or self._is_known(scope, headers)):
            if scope["method"] == "GET" and _wants_page(scope, headers):
                await _page(send, 401, login.login_page(scope))
            else:
                await _refuse(send, 401, "the token is missing or wrong")
        elif int(headers.one("content-length") or 0) > LARGEST_BODY:
            await _refuse(send, 413, _TOO_LARGE)
        else:
            await self._limited(scope, receive, send)

    def _place_refusal(self, headers: _Headers) -> tuple[int, str] | None:
        origins = self._origins.get((headers.one("host") or "").lower())
        if origins is None:
            return 403, "the header Host does not name this server"
        if headers.has("origin") and headers.one("origin") not in origins:
            return 403, "the request comes from a page of another origin"
        return None

    def _has_token(self, headers: _Headers) -> bool:
        return hmac.compare_digest(headers.token(), self._token)

    def _is_known(self, scope: Scope, headers: _Headers) -> bool:
        """Whether a browser that has shown the token asks for a page, of its own accord."""
        return (
            scope["method"] in ("GET", "HEAD")
            and not f"{scope['path']}/".startswith(API)
            and (headers.one("sec-fetch-site") or "none") in ("none", "same-origin")
            and not headers.has("authorization")
            and self._sessions.knows(headers.one("cookie") or "")
        )

    async def _of_browser(self, scope: Scope, headers: _Headers, body: _Body, send: Send) -> None:
        """Take the token of a browser, or forget it. Only a page of this server can ask for that."""
        origin = headers.one("origin")
        if origin is None:
            await _refuse(send, 403, "only a page of this server can ask for that")
        elif scope["path"] == LOGOUT:
            await _go_on(send, "./", self._sessions.end(headers.one("cookie") or ""))
        else:
            try:
                is_right, to = login.read_form(await body.whole(), self._token)
            except _TooLargeError:
                await _refuse(send, 413, _TOO_LARGE)
                return
            if is_right:
                secure = "; Secure" if origin.startswith("https:") else ""
                await _go_on(send, login.location(to), self._sessions.begin() + secure)
            else:
                await asyncio.sleep(SECONDS_AFTER_A_WRONG_TOKEN)
                await _page(send, 401, login.login_page(scope, "This is not the token.", to))

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive, LARGEST_BODY)
        started = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, body, watched)
        except (_TooLargeError, TimeoutError) as error:
            if started:
                raise
            is_late = isinstance(error, TimeoutError)
            await _refuse(
                send, *((408, "the request came too slowly") if is_late else (413, _TOO_LARGE))
            )


class _Body:
    """What a client sends, at most so many bytes, and not too slowly."""

    def __init__(self, receive: Receive, largest: int) -> None:
        self._receive = receive
        self._largest = largest
        self._taken = 0
        self._over = False
        self._deadline = time.monotonic() + SECONDS_OF_A_BODY

    async def __call__(self) -> Message:
        if self._over:  # the next message comes when the client goes, which is no hurry
            return await self._receive()
        left = min(SECONDS_BETWEEN_PIECES, self._deadline - time.monotonic())
        message = await asyncio.wait_for(self._receive(), left)
        self._over = not message.get("more_body", False)
        self._taken += len(message.get("body", b""))
        if self._taken > self._largest:
            raise _TooLargeError
        return message

    async def whole(self) -> bytes:
        """All of it."""
        parts = []
        while not self._over:
            parts.append((await self()).get("body", b""))
        return b"".join(parts)


_TOO_LARGE = f"a request has at most {LARGEST_BODY} bytes"


class _TooLargeError(Exception):
    pass


class _Headers:
    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = list(pairs)

    def has(self, name: str) -> bool:
        return any(key == name.encode() for key, _ in self._pairs)

    def one(self, name: str) -> str | None:
        """The value of a header that is given once."""
        values = [value for key, value in self._pairs if key == name.encode()]
        return values[0].decode("latin-1") if len(values) == 1 else None

    def token(self) -> bytes:
        scheme, _, token = (self.one("authorization") or "").partition(" ")
        return token.encode("latin-1") if scheme.lower() == "bearer" else b""


def _wants_page(scope: Scope, headers: _Headers) -> bool:
    is_page = not f"{scope['path']}/".startswith(API)
    return is_page and "text/html" in (headers.one("accept") or "")


async def _page(send: Send, status: int, body: bytes) -> None:
    await _send(send, status, body, {"content-type": "text/html; charset=utf-8", **login.HEADERS})


async def _go_on(send: Send, to: str, cookie: str) -> None:
    headers = {"location": to, "set-cookie": cookie, "cache-control": "no-store"}
    await _send(send, 303, b"", headers)


async def _refuse(send: Send, status: int, message: str) -> None:
    headers = {
        "content-type": "application/json",
        # What is left of a body that nobody reads must not be taken for the next request.
        "connection": "close",
        **({"www-authenticate": "Bearer"} if status == 401 else {}),
    }
    await _send(send, status, msgspec.json.encode({"error": message}), headers)


async def _send(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    lines.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
