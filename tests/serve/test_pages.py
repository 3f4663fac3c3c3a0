"""Pages for people: who may see them, and that nothing on them is more than a text."""

from __future__ import annotations

import http.client
import re
from contextlib import closing
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from specplan.serve.sessions import MOST, SECONDS, Sessions
from specplan.track.remote import upload
from tests.serve.browser import PROGRAM, browser
from tests.serve.conftest import TOKEN, Running, running

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>'
HTML = {"Accept": "text/html,*/*"}


class Seen(HTMLParser):
    """The tags of a page, what they load or lead to, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, tag: str, name: str) -> list[str]:
        return [found[name] or "" for each, found in self.tags if each == tag and name in found]


class Visitor:
    """A browser as far as headers go."""

    def __init__(self, server: Running) -> None:
        self.port = server.port
        self.origin = f"http://127.0.0.1:{server.port}"
        self.cookie = ""

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, str]:
        given = {**HTML, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookie:
            given["Cookie"] = self.cookie
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, given)
            response = connection.getresponse()
            return response, response.read().decode()

    def login(self, token: str = TOKEN, to: str = "") -> http.client.HTTPResponse:
        form = urlencode({"token": token, "to": to})
        response, _ = self.ask("/login", "POST", form, Origin=self.origin)
        self.cookie = (response.getheader("set-cookie") or "").partition(";")[0]
        return response

    def see(self, path: str) -> Seen:
        response, page = self.ask(path)
        assert response.status == 200, page
        return check(response, page)


def check(response: http.client.HTTPResponse, page: str) -> Seen:
    """Nothing runs but the script of the server, and nothing is loaded from elsewhere."""
    policy = response.getheader("content-security-policy") or ""
    assert "default-src 'none'; script-src 'self'; connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.getheader("x-content-type-options") == "nosniff"
    assert response.getheader("cache-control") == "no-store"
    seen = Seen(page)
    assert [name for _, found in seen.tags for name in found if name.startswith("on")] == []
    assert all(each.endswith("assets/live.js") for each in seen.values("script", "src"))
    assert len(seen.values("script", "src")) == page.count("<script")
    assert all(each.startswith("data:image/") for each in seen.values("img", "src"))
    assert not {"iframe", "object", "embed", "base", "link"} & {tag for tag, _ in seen.tags}
    return seen


@pytest.fixture(scope="module")
def visitor(server: Running) -> Visitor:
    for number in range(3):
        fill(server, f"alice/p/run-{number}", number)
    found = Visitor(server)
    assert found.login().status == 303
    return found


def fill(server: Running, prefix: str, number: int) -> str:
    client = server.client()
    id_: str = client.tell("POST", "", {"prefix": prefix, "readme": HOSTILE})["id"]
    client.tell("PUT", f"/{id_}/parameters", {"data": {"rate": 0.1 * number, HOSTILE: HOSTILE}})
    rows = [{"data": {"loss": 1 / (at + 1), "epoch": at}} for at in range(3)]
    client.tell("POST", f"/{id_}/metrics/batch", {"name": "train", "rows": rows})
    entries = [{"message": HOSTILE, "level": "warn", "metadata": {HOSTILE: HOSTILE}}]
    client.tell("POST", f"/{id_}/logs", {"entries": entries})
    add_file(server, id_, 'a "b".html', b"<script>1</script>")
    ended = {"status": "failed", "error": {"type": "ValueError", "message": HOSTILE}}
    client.tell("PATCH", f"/{id_}/status", ended if number else {"status": "completed"})
    return id_


def add_file(server: Running, id_: str, name: str, content: bytes) -> None:
    from blake3 import blake3

    client, digest = server.client(), blake3(content).hexdigest()
    client.send(f"/{id_}/blobs/{digest}", content, offset=0, size=len(content))
    part = {"blake3": digest, "bytes": len(content)}
    client.tell("POST", f"/{id_}/files", {"name": name, "parts": [part]})


def test_a_browser_without_the_token_sees_a_form_and_nothing_else(server: Running) -> None:
    stranger = Visitor(server)
    for path in ("/", "/runs/x", "/compare?run=x", "/assets/live.js", "/nothing"):
        response, page = stranger.ask(path)
        assert response.status == 401
        seen = check(response, page)
        assert seen.values("input", "name") == ["to", "token"]
        assert not seen.values("script", "src")
    response, page = stranger.ask("/api/experiments")
    assert (response.status, page[:9]) == (401, '{"error":')
    _, page = stranger.ask("/runs/" + quote(HOSTILE) + "?a=" + quote(HOSTILE))
    assert "<script" not in page


def test_the_token_opens_pages_and_no_more(server: Running) -> None:
    known = Visitor(server)
    assert known.login("not the token").status == 401
    assert known.cookie == ""
    response = known.login(to="runs/x?a=b")
    assert (response.status, response.getheader("location")) == (303, "./runs/x?a=b")
    attributes = (response.getheader("set-cookie") or "").split("; ")[1:]
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert known.ask("/")[0].status == 200
    refused: list[tuple[str, str, dict[str, str]]] = [
        ("GET", "/api/experiments", {}),
        ("GET", "/api", {}),
        ("POST", "/api/experiments", {"Origin": known.origin}),
        ("POST", "/", {"Origin": known.origin}),
        ("DELETE", "/runs/x", {"Origin": known.origin}),
        ("GET", "/", {"Origin": "http://evil.example"}),
        ("GET", "/", {"Sec_Fetch_Site": "cross-site"}),
        ("GET", "/", {"Sec_Fetch_Site": "same-site"}),
        ("GET", "/", {"Host": "evil.example"}),
        ("GET", "/", {"Authorization": "Bearer wrong"}),
    ]
    for method, path, headers in refused:
        assert known.ask(path, method, **headers)[0].status in (401, 403), (method, path, headers)
    known.cookie += "x"
    assert known.ask("/")[0].status == 401


def test_only_a_page_of_the_server_logs_in_and_out(server: Running) -> None:
    known = Visitor(server)
    form = urlencode({"token": TOKEN})
    for path in ("/login", "/logout"):
        assert known.ask(path, "POST", form)[0].status == 403
        assert known.ask(path, "POST", form, Origin="null")[0].status == 403
    assert known.ask("/login", "POST", "x" * 5000, Origin=known.origin)[0].status == 413
    known.login()
    response, _ = known.ask("/logout", "POST", "", Origin=known.origin)
    assert "Max-Age=0" in (response.getheader("set-cookie") or "")
    assert known.ask("/")[0].status == 401


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "\\\\evil", "a\r\nb: c"])
def test_a_login_leads_nowhere_else(server: Running, to: str) -> None:
    location = Visitor(server).login(to=to).getheader("location") or ""
    assert re.fullmatch(r"\./[A-Za-z0-9/._%-]*", location)


def test_browsers_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("specplan.serve.sessions.time.monotonic", lambda: now)
    sessions = Sessions(8470)
    first = sessions.begin().partition(";")[0]
    now = SECONDS
    assert sessions.knows(f"other=1; {first}")
    now = 2 * SECONDS + 1
    assert not sessions.knows(first)
    assert not sessions.knows("specplan-8470=; specplan-8470")
    oldest = sessions.begin().partition(";")[0]
    for _ in range(MOST):
        now += 1
        sessions.begin()
    assert not sessions.knows(oldest)


def test_the_list_shows_runs_and_finds_them(visitor: Visitor) -> None:
    seen = visitor.see("/")
    runs = [each for each in seen.values("a", "href") if each.startswith("runs/")]
    assert len(runs) == len(seen.values("input", "value")) - 2 >= 3
    assert any(text.startswith("loss 0.333333") for text in seen.texts)
    assert seen.values("main", "data-live") == [""]

    def found(**asked: str) -> set[str]:
        texts = visitor.see("/?" + urlencode(asked)).texts
        return {text.split("/")[2] for text in texts if text.startswith("alice/p/")}

    assert found(name="P RUN-1") == {"run-1"}
    assert found(name="run-", status="failed") == {"run-1", "run-2"}
    assert found(where="params.rate > 0.15 and metrics.loss < 0.5") == {"run-2"}
    assert "no runs" in visitor.see("/?name=" + quote(HOSTILE)).texts
    assert visitor.see("/?where=" + quote("params.rate >")).values("p", "role") == ["alert"]
    response, _ = visitor.ask("/?start=x")
    assert response.status == 400


def test_a_run_is_shown_whole_and_its_files_come_down(visitor: Visitor, server: Running) -> None:
    id_ = fill(server, "alice/p/whole", 2)
    seen = visitor.see(f"/runs/{id_}")
    headings = {"Params", "Curves", "Metrics", "Log", "Files", "Environment"}
    assert headings <= set(seen.texts)
    assert f"ValueError: {HOSTILE}" in seen.texts
    assert any(HOSTILE in text and "=" in text for text in seen.texts)
    (target,) = (each for each in seen.values("a", "href") if "/files/" in each)
    response, content = visitor.ask(f"/runs/{target}")
    assert content == "<script>1</script>"
    assert response.getheader("content-type") == "application/octet-stream"
    assert (response.getheader("content-disposition") or "").startswith("attachment")
    assert "sandbox" in (response.getheader("content-security-policy") or "")
    for path in ("/runs/nothing", f"/runs/{id_}/files/../../x", f"/runs/{id_}/files/nothing"):
        assert visitor.ask(path)[0].status == 404


def test_runs_are_compared(visitor: Visitor) -> None:
    ids = visitor.see("/?name=run-").values("input", "value")[2:]
    seen = visitor.see("/compare?" + urlencode([("run", each) for each in ids]))
    assert {"What was set otherwise", "Metrics", "Curves", "rate", "train/loss"} <= set(seen.texts)
    for query in ("", "run=x", "&".join(f"run={number}" for number in range(13))):
        response, page = visitor.ask(f"/compare?{query}")
        assert response.status in (400, 404)
        check(response, page)


def test_a_run_that_somebody_linked_into_the_folder_is_not_shown(tmp_path: Path) -> None:
    with running(tmp_path / "outside") as other:
        id_ = fill(other, "alice/p/secret", 0)
    with running(tmp_path / "server") as server:
        server.root.mkdir(exist_ok=True)
        (server.root / "alice").symlink_to(tmp_path / "outside/alice")
        visitor = Visitor(server)
        visitor.login()
        assert not [each for each in visitor.see("/").values("a", "href") if "runs/" in each]
        assert visitor.ask(f"/runs/{id_}")[0].status in (400, 404)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")
def test_a_browser_logs_in_and_sees_a_run_go_on(server: Running, tmp_path: Path) -> None:
    from specplan import Experiment

    fill(server, "alice/p/hostile", 1)
    exp = Experiment("alice/p/live", dash_root=tmp_path / "runs")
    with exp.run:
        exp.log("at first")
        assert exp.run_folder is not None
        upload(exp.run_folder, server.url, TOKEN)
        with browser(tmp_path / "profile") as page:
            page.go(f"{server.url}/?name=alice%2Fp%2F")
            page.ask(f"document.querySelector('[name=token]').value = '{TOKEN}'")
            page.ask("document.querySelector('form').submit()")
            page.wait("document.querySelector('.filter') !== null")
            page.wait("[...document.links].some(each => each.text.includes('p/live/'))")
            page.complaints.clear()
            page.ask("[...document.links].find(each => each.text.includes('p/live/')).click()")
            page.wait("document.body.innerText.includes('at first')")
            page.ask("document.querySelector('details').open = true")
            exp.log("later on " + HOSTILE)
            exp.metrics("train").log(loss=1, epoch=0).log(loss=0.5, epoch=1)
            exp.flush()
            upload(exp.run_folder, server.url, TOKEN)
            page.wait("document.body.innerText.includes('later on')")
            page.wait("document.querySelector('svg.chart') !== null")
            assert page.ask("document.querySelector('details').open") is True
            page.go(f"{server.url}/?name=hostile")
            page.ask("document.querySelector('table a').click()")
            page.wait("document.title.startsWith('alice/p/hostile')")
            assert page.ask("document.querySelectorAll('script').length") == 0
            assert page.complaints == []
