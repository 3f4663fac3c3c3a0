"""Which tests run, and that none of them touches the settings of who runs them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ASKED_FOR = {
    "gpu": "a CUDA device",
    "editor": "language servers, which `make editors` installs",
}
"""Markers of tests that need what few machines have, and run only where `-m` names them."""

SECONDS_TO_BEGIN = {"mlflow_database": 240, "mlflow_server": 480}
"""What tests with these fixtures may take in all: the first one of them imports MLflow, or waits for a server of it,
which takes 12 seconds on two idle processors and twenty times as long where twenty processes share them."""

# How long a machine takes says nothing of what is tested.
settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any_machine")

LEFT_OUT = pytest.StashKey[dict[str, int]]()


@pytest.fixture(autouse=True)
def _own_settings(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust that is given in a test, and what it finds out about models, ends with it."""
    folder: Path = tmp_path_factory.mktemp("settings")
    monkeypatch.setenv("SPECPLAN_CONFIG", str(folder / "config"))
    monkeypatch.setenv("SPECPLAN_CACHE", str(folder / "cache"))


@pytest.fixture(scope="session")
def _empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow without runs: it takes seconds to make one, and none to copy it."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def mlflow_database(
    _empty_mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URI of a database of MLflow, beside which its artifacts go."""
    import mlflow

    shutil.copyfile(_empty_mlflow, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    yield f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="session")
def _mlflow_server(
    _empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    """The URL of a server of MLflow, and its group of processes."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(_empty_mlflow, folder / "mlflow.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "from mlflow.cli import cli; cli()"
    where = ["--host", "127.0.0.1", "--port", str(port)]
    where += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    where += ["--artifacts-destination", str(folder / "files")]
    with (folder / "log.txt").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", program, "server", "--workers", "1", *where],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/health", server, folder / "log.txt")
        yield url, server.pid
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


@pytest.fixture
def mlflow_server(_mlflow_server: tuple[str, int]) -> str:
    """The URL of a server of MLflow."""
    return _mlflow_server[0]


@pytest.fixture
def mlflow_server_group(_mlflow_server: tuple[str, int]) -> int:
    """The group of processes of that server, to stop and continue."""
    return _mlflow_server[1]


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        else:
            return


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch computes in one thread: a sum may depend on their number."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_configure() -> None:
    """Take SIGINT as a terminal gives it: in the background a shell has it ignored, which children inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what nobody asked for; refuse names of tests that change from process to process."""
    for item in items:
        parameters = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        if any(isinstance(value, (set, frozenset)) for value in parameters.values()):
            # pytest-xdist refuses to start where two processes name one test differently.
            raise pytest.UsageError(f"{item.nodeid}: a parameter is a set, whose order is not one")
        named = (value for value in parameters.values() if isinstance(value, str))
        used = {*getattr(item, "fixturenames", ()), *named}
        if seconds := max((SECONDS_TO_BEGIN.get(name, 0) for name in used), default=0):
            item.add_marker(pytest.mark.timeout(seconds), append=False)
    config.stash[LEFT_OUT] = counts = {}
    for marker in ASKED_FOR:
        left_out = [item for item in items if item.get_closest_marker(marker)]
        if marker not in config.option.markexpr and left_out:
            counts[marker] = len(left_out)
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> list[str]:
    """Say why tests were left out."""
    del items
    return [
        f"{count} tests need {ASKED_FOR[marker]}: -m {marker} runs them"
        for marker, count in config.stash.get(LEFT_OUT, {}).items()
    ]
