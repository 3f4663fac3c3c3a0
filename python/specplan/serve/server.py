"""Listening, until a signal ends it."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING

from specplan.errors import RunError
from specplan.track.remote_client import TOKEN, read_token_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SHORTEST_TOKEN = 16
MOST_CONNECTIONS = 512
"""Of more than these at once, the next is told to come again later."""
_WAITING = 128


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for clients; port 0 means any that is free.

    Raises:
        RunError: the place is taken, or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_WAITING)
    except (OSError, OverflowError) as error:
        listening.close()
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = "\nhint: --port 0 means any that is free" if port else ""
        raise RunError(f"cannot listen on {host} port {port}: {said}{hint}") from error
    return listening


def server_token(file: Path | None) -> tuple[str, str]:
    """The token, and where it is from: `made`, `environment`, or the path of a file that only its owner reads.

    A file that is not there is made, with a new token.

    Raises:
        RunError: the token is too short, or others may read the file.
    """
    if file is not None:
        if not file.exists():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as created:
                created.write(f"{_new()}\n")
        token, origin = read_token_file(file), str(file)
    elif given := os.environ.get(TOKEN):
        token, origin = given, "environment"
    else:
        return _new(), "made"
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise RunError(f"a token has at least {SHORTEST_TOKEN} printable characters of ASCII")
    return token, origin


def host_names(host: str, port: int, allowed: Sequence[str]) -> tuple[set[str], set[str]]:
    """What the header Host may say, and which of that a browser may reach by https, through a proxy."""
    loopback = ("127.0.0.1", "localhost", "[::1]")
    shown = f"[{host}]" if ":" in host else host
    own = {f"{name}:{port}" for name in {*loopback, shown.lower()}}
    further = {name for each in allowed for name in (each.lower(), f"{each.lower()}:{port}")}
    return own | further, further


def serve(root: Path, listening: socket.socket, token: str, allowed: Sequence[str]) -> None:
    """Answer clients until SIGINT or SIGTERM; then runs that are open count as interrupted."""
    import uvicorn

    from specplan.serve.app import app
    from specplan.serve.blobs import remove_old
    from specplan.serve.guard import Guard
    from specplan.serve.workspace import Workspace

    runs = Workspace(root)
    remove_old(runs.root)
    host, port = listening.getsockname()[:2]
    hosts, secure = host_names(host, port, allowed)
    config = uvicorn.Config(
        Guard(app(runs), token=token, hosts=hosts, secure_hosts=secure, port=port),
        access_log=False,
        log_level="warning",
        lifespan="on",
        limit_concurrency=MOST_CONNECTIONS,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[listening])


def _new() -> str:
    return secrets.token_urlsafe(32)
