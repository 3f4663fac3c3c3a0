"""Requests to a server, as docs/serve.md describes them."""

from __future__ import annotations

import http.client
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from specplan.errors import RemoteError, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "SPECPLAN_TOKEN"
TOKEN_FILE = "SPECPLAN_TOKEN_FILE"
SECONDS = 10.0
"""How long the server may be silent."""
PIECE = 4 << 20
"""Bytes of a file in one request."""


class Server:
    """A server, by its address. For one thread at a time; no socket is open before the first request.

    Args:
        url: `http://HOST:PORT` or https, perhaps with a path before `/api`.
        token: what it asks for.
        seconds: how long it may be silent.

    Raises:
        ValueError: it is no such URL.
    """

    def __init__(self, url: str, token: str, *, seconds: float = SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError(f"{url!r} is no address of a server, such as http://localhost:8470")
        if parts.username or parts.password:
            raise ValueError(f"the address of a server holds no password; the token is in ${TOKEN}")
        self.url = url.rstrip("/")
        self._base = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        kinds: dict[str, type[http.client.HTTPConnection]] = {
            "http": http.client.HTTPConnection,
            "https": http.client.HTTPSConnection,
        }
        self._connection: http.client.HTTPConnection = kinds[parts.scheme](
            parts.hostname, parts.port, timeout=seconds
        )

    def ask(self, path: str, **query: Any) -> Any:
        """GET a path below `/api/experiments`."""
        return self._request("GET", path, query, None, {})

    def tell(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Send a JSON object."""
        content = msgspec.json.encode(body)
        return self._request(method, path, {}, content, {"Content-Type": "application/json"})

    def send(self, path: str, piece: bytes, **query: Any) -> Any:
        """PATCH bytes."""
        return self._request("PATCH", path, query, piece, {})

    def download(self, path: str, to: Path) -> None:
        """Write a file of the server to `to`.

        Raises:
            RemoteError: the server is not there, refuses, or ends in the middle.
        """
        response = self._answer("GET", path, None, {})
        if response.status != http.client.OK:
            raise self._refused(response)
        try:
            with to.open("wb") as file:
                while piece := response.read(PIECE):
                    file.write(piece)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Give up the connection; the next request makes another."""
        self._connection.close()

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        content: bytes | None,
        headers: Mapping[str, str],
    ) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        response = self._answer(method, target, content, headers)
        if response.status != http.client.OK:
            raise self._refused(response)
        try:
            return msgspec.json.decode(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error

    def _answer(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        was_open = self._connection.sock is not None
        target = f"{self._base}/api/experiments{path}"
        for is_last in (False, True) if was_open else (True,):
            try:
                self._connection.request(method, target, content, {**self._headers, **headers})
                return self._connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                # A server closes connections that were quiet; every request may be sent twice.
                if is_last:
                    raise self._unreachable(error) from error
        raise AssertionError

    def _unreachable(self, error: Exception) -> RemoteError:
        self._connection.close()
        return RemoteError(f"{self.url} does not answer: {str(error) or type(error).__name__}")

    def _refused(self, response: http.client.HTTPResponse) -> RemoteError:
        try:
            answer = msgspec.json.decode(response.read(), type=dict[str, Any])
        except (OSError, http.client.HTTPException, ValueError):
            answer = {}
        self._connection.close()
        said = answer.get("error") or response.reason
        return RemoteError(f"{self.url} refuses: {said}", status=response.status, detail=answer)


def experiment_path(id_: str, *parts: str) -> str:
    """The path of something of a run."""
    return "".join(f"/{quote(part, safe='/')}" for part in (id_, *parts))


def client_token(token: str | None = None) -> str:
    """The token to send: what is given, else $SPECPLAN_TOKEN, else what $SPECPLAN_TOKEN_FILE holds.

    Raises:
        RunError: there is none, or others may read the file.
    """
    if found := token or os.environ.get(TOKEN):
        return found
    if file := os.environ.get(TOKEN_FILE):
        return read_token_file(Path(file))
    raise RunError(
        f"a server needs a token, and there is none\nhint: set ${TOKEN}, or ${TOKEN_FILE} to the file "
        "of `mlx serve --token-file`"
    )


def read_token_file(file: Path) -> str:
    """The token in a file.

    Raises:
        RunError: it cannot be read, or others may read it.
    """
    try:
        mode = file.stat().st_mode
        token = file.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: the token cannot be read: {error}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise RunError(f"{file}: others may read the token\nhint: chmod 600 {file}")
    return token
