"""What a client may not do to the server: take long, take much, or send what is not what it says."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3

from specplan.errors import RemoteError
from specplan.serve import guard
from specplan.serve.guard import Guard
from specplan.serve.server import MOST_CONNECTIONS
from tests.serve.conftest import TOKEN, Running, running

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = [(b"host", b"here"), (b"authorization", f"Bearer {TOKEN}".encode())]


async def read_body(_: Any, receive: Any, send: Any) -> None:
    """An app that reads all of a body, and answers how much there was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def statuses(pieces: list[float], **more: Any) -> list[int]:
    """The status of an answer to a body of pieces, each after so many seconds."""
    sent: list[int] = []

    async def receive() -> Any:
        if not pieces:
            await asyncio.sleep(60)
        await asyncio.sleep(pieces.pop(0))
        return {"type": "http.request", "body": b"x", "more_body": bool(pieces), **more}

    async def send(message: Any) -> None:
        if "status" in message:
            sent.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/x",
        "query_string": b"",
        "headers": HEADERS,
    }
    asyncio.run(Guard(read_body, token=TOKEN, hosts=["here"])(scope, receive, send))
    return sent


def test_a_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SECONDS_BETWEEN_PIECES", 0.2)
    assert statuses([0.0, 0.0]) == [200]
    assert statuses([0.0, 30.0]) == [408]
    monkeypatch.setattr(guard, "SECONDS_OF_A_BODY", 0.3)
    assert statuses([0.1] * 50) == [408]


def test_more_connections_than_it_takes_harm_nobody(tmp_path: Path) -> None:
    with running(tmp_path) as server, ExitStack() as stack:
        quiet = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(MOST_CONNECTIONS + 8)
        ]
        assert wait_for_status(server, 503)
        for connection in quiet:
            connection.close()
        assert wait_for_status(server, 200)


def wait_for_status(server: Running, wanted: int) -> bool:
    """Whether the server comes to answer so: it takes notice of connections one after the other."""
    for _ in range(200):
        client = server.client()
        try:
            client.ask("")
            status = 200
        except RemoteError as error:
            status = error.status or 0
        client.close()
        if status == wanted:
            return True
        time.sleep(0.05)
    return False


def test_bytes_are_what_they_say_and_nothing_is_unpacked(server: Running) -> None:
    client = server.client()
    id_ = client.tell("POST", "", {"prefix": "alice/p/bombs"})["id"]
    bomb = gzip.compress(bytes(50 << 20))
    digest = blake3(bomb).hexdigest()
    client.send(f"/{id_}/blobs/{digest}", bomb, offset=0, size=len(bomb))
    part = {"blake3": digest, "bytes": len(bomb)}
    client.tell("POST", f"/{id_}/files", {"name": "bomb.gz", "parts": [part]})
    (listed,) = client.ask(f"/{id_}/files")["files"]
    assert listed["sizeBytes"] == len(bomb)
    other = blake3(b"other").hexdigest()
    for piece, query, said in (
        (b"xx", {"offset": 0, "size": 1}, "goes on after them"),
        (b"x", {"offset": 5, "size": 9}, "from 0 on are missing"),
        (b"x", {"offset": 0, "size": 10**14}, None),
        (b"x", {"offset": -1, "size": 1}, "is a number of bytes"),
        (b"x", {"offset": 0, "size": 10**16}, "is a number of bytes"),
        (b"wrong", {"offset": 0, "size": 5}, "does not match its digest"),
    ):
        if said is None:
            assert client.send(f"/{id_}/blobs/{other}", piece, **query)["have"] == 1
        else:
            with pytest.raises(RemoteError, match=said):
                client.send(f"/{id_}/blobs/{other}", piece, **query)
    for claimed in ({**part, "bytes": 1}, {"blake3": other, "bytes": 5}):
        with pytest.raises(RemoteError, match="bytes of the artifact are missing"):
            client.tell("POST", f"/{id_}/files", {"name": "x", "parts": [claimed]})
