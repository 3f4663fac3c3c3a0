"""Servers of runs: real processes on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from specplan.track.remote_client import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "a-token-for-the-tests-only"


class Running:
    """A process of `mlx serve`, which can be killed and started again at the same place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._port = 0
        self._clients: list[Server] = []
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "specplan.cli.main", "serve", str(self.root), "--json"]
        self._process = subprocess.Popen(
            [*command, "--port", str(self._port)],
            env={**os.environ, "SPECPLAN_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]
        self._port = int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return self._port

    def client(self) -> Server:
        self._clients.append(Server(self.url, TOKEN))
        return self._clients[-1]

    def close(self) -> None:
        self.end(signal.SIGKILL)
        for client in self._clients:
            client.close()

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(how)
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def running(root: Path) -> Iterator[Running]:
    server = Running(root)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started
