"""Who may speak to the server: looked at before anything else of a request is."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from typing import Any

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 16 << 20
"""Bytes of one request; files come in several."""


class Guard:
    """Lets a request pass that names this server, comes from no other page, and has the token.

    All methods and all paths are treated alike. Everything that is given twice is refused.

    Args:
        app: what is guarded.
        token: what every request has to know.
        hosts: what the header Host may say, in lower case; with the port where it is not that of http.
        secure_hosts: those of `hosts` that a browser may reach by https, through a proxy.
    """

    def __init__(
        self, app: ASGIApp, *, token: str, hosts: Iterable[str], secure_hosts: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._token = token.encode()
        self._origins = {host: {f"http://{host}"} for host in hosts}
        for host in secure_hosts:
            self._origins[host].add(f"https://{host}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand over to the app."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is None:
                await self._limited(scope, receive, send)
            else:
                await _refuse(send, *refusal)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = _Headers(scope["headers"])
        origins = self._origins.get((headers.one("host") or "").lower())
        if origins is None:
            return 403, "the header Host does not name this server"
        if headers.has("origin") and headers.one("origin") not in origins:
            return 403, "the request comes from a page of another origin"
        if not hmac.compare_digest(headers.token(), self._token):
            return 401, "the token is missing or wrong"
        if int(headers.one("content-length") or 0) > LARGEST_BODY:
            return 413, _TOO_LARGE
        return None

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0
        started = False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise _TooLargeError
            return message

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except _TooLargeError:
            if started:
                raise
            await _refuse(send, 413, _TOO_LARGE)


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


async def _refuse(send: Send, status: int, message: str) -> None:
    body = msgspec.json.encode({"error": message})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # What is left of a body that nobody reads must not be taken for the next request.
        (b"connection", b"close"),
        *([(b"www-authenticate", b"Bearer")] if status == 401 else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
