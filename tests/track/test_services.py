"""Services beside an experiment."""

from __future__ import annotations

import http.server
import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest

from specplan.experiments import (
    Service,
    ServiceListener,
    ServiceState,
    WebService,
    experiment,
)

if TYPE_CHECKING:
    from pathlib import Path


class Told(ServiceListener):
    def __init__(self) -> None:
        self.states: list[ServiceState] = []

    def service_state_changed(self, service: Service) -> None:
        self.states.append(service.state)


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, *_words: object) -> None:
        """Says nothing."""


class Page(WebService):
    id = "page"

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def description(self) -> str:
        return "one page"

    def _serve(self, running: threading.Event) -> None:
        with http.server.HTTPServer(("127.0.0.1", 0), Answering) as self.server:
            self.url = f"http://127.0.0.1:{self.server.server_port}/"
            running.set()
            self.server.serve_forever()
        self.ended.set()

    def close(self) -> None:
        if self.url is not None:
            self.state = ServiceState.STOPPING
            self.server.shutdown()
            self.ended.wait()
        super().close()


class Broken(WebService):
    id = "broken"

    def _serve(self, running: threading.Event) -> None:
        assert not running.is_set()
        raise OSError("no port at https://me:hidden@host/")


def test_a_service_ends_with_its_experiment(tmp_path: Path) -> None:
    told, other = Told(), Told()
    with experiment(tmp_path, "x", dirty_git="ignore") as xp:
        page = xp.add_service(Page())
        page.add_listener(told)
        page.add_listener(other)
        page.remove_listener(other)
        assert (page.experiment, page.state, page.url) == (xp, ServiceState.STOPPED, None)
        url = page.get_url()
        assert url is not None
        assert url == page.get_url()
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"here"
        assert xp.services == {"page": page}
        with pytest.raises(ValueError, match="has a service `page` already"):
            xp.add_service(Page())
    assert told.states == [
        ServiceState.STARTING,
        ServiceState.RUNNING,
        ServiceState.STOPPING,
        ServiceState.STOPPED,
    ]
    assert other.states == []


def test_a_service_that_breaks_ends_no_experiment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with experiment(tmp_path, "x", run_mode="dry_run", dirty_git="ignore") as xp:
        broken = xp.add_service(Broken())
        assert broken.get_url() is None
        assert broken.state is ServiceState.ERROR
        plain = xp.add_service(Service())
        assert plain.description() == ""
        plain.state = ServiceState.RUNNING
    assert {broken.state, plain.state} == {ServiceState.STOPPED}
    assert caplog.messages == ["service `broken` broke off: OSError: no port at https://***@host/"]
    for closed in (xp, experiment(tmp_path, "x")):
        with pytest.raises(RuntimeError, match="inside of `with experiment"):
            closed.add_service(Service())
