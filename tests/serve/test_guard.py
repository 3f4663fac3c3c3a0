"""Who may speak to the server, and that no name leaves its folder."""

from __future__ import annotations

import base64
import http.client
import itertools
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from specplan.errors import RemoteError
from tests.serve.conftest import TOKEN, Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
HOSTS = (
    "127.0.0.1:{port}",
    "localhost:{port}",
    "[::1]:{port}",
    "LOCALHOST:{port}",
    "localhost",
    "127.0.0.1:1",
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "",
)
OWN_HOSTS = HOSTS[:4]
ORIGINS = (
    None,
    "http://{host}",
    "null",
    "http://evil.example",
    "http://localhost:1",
    "https://{host}",
)
OWN_ORIGINS = ORIGINS[:2]
TOKENS = (f"Bearer {TOKEN}", None, f"Bearer {TOKEN[:-1]}x", f"Basic {TOKEN}")
REFUSED = (400, 401, 403)


@pytest.mark.parametrize("method", METHODS)
def test_only_the_own_origin_with_the_right_token_passes(server: Running, method: str) -> None:
    for host, origin, token in itertools.product(HOSTS, ORIGINS, TOKENS):
        name = host.format(port=server.port)
        headers = {"Host": name}
        if origin is not None:
            headers["Origin"] = origin.format(host=name.lower())
        if token is not None:
            headers["Authorization"] = token
        may_pass = host in OWN_HOSTS and origin in OWN_ORIGINS and token == TOKENS[0]
        status = answer(server, method, "/api/experiments", headers)
        assert (status not in REFUSED or (method, status) == ("POST", 400)) == may_pass, headers


@pytest.mark.parametrize("path", ["/", "/api", "/api/experiments/x/files/y", "*", "//x", "/%00"])
def test_no_path_is_special(server: Running, path: str) -> None:
    host = {"Host": f"localhost:{server.port}"}
    assert answer(server, "GET", path, host) in (400, 401)
    assert answer(server, "OPTIONS", path, {**host, "Origin": "null"}) in (400, 403)


def test_what_is_given_twice_is_refused(server: Running) -> None:
    own = f"GET /api/experiments HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
    token = f"Authorization: Bearer {TOKEN}\r\n"
    assert raw(server, own + token + "Connection: close\r\n\r\n") == 200
    assert raw(server, own + token + token + "\r\n") == 401
    origin = f"Origin: http://localhost:{server.port}\r\n"
    assert raw(server, own + token + origin + origin + "\r\n") == 403
    assert raw(server, own + "Host: evil.example\r\n" + token + "\r\n") in REFUSED
    assert raw(server, "GET /api/experiments HTTP/1.0\r\n" + token + "\r\n") in REFUSED


def test_large_requests_are_refused(server: Running) -> None:
    headers = {"Host": f"localhost:{server.port}", "Authorization": TOKENS[0]}
    assert (
        answer(server, "POST", "/api/experiments", {**headers, "Content-Length": "99999999"}) == 413
    )
    own = f"POST /api/experiments HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
    start = f"{own}Authorization: {TOKENS[0]}\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = f"{1 << 20:x}\r\n{'x' * (1 << 20)}\r\n"
    assert raw(server, start + 16 * piece + "1\r\nx\r\n") == 413


def test_it_listens_on_loopback_only(server: Running) -> None:
    links = [str(each.readlink()) for each in Path(f"/proc/{server.pid}/fd").iterdir()]
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:")}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [line[1] for line in lines if line[3] == "0A" and line[9] in inodes]
    assert listening == [f"0100007F:{server.port:04X}"]
    assert not inodes & {
        line.split()[9] for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]
    }


SECRET = "what nobody outside may read"
DOTS = ("..", "%2e%2e", "%252e%252e", ".%2e", "..;", "..%00", "..%c0%ae")
DIVIDERS = ("/", "\\", "%2f", "%5c", "%252f", ";/", "//")
TARGETS = ("outside/secret.txt", "etc/passwd")
TRAVERSALS = tuple(
    f"{divider.join([dots] * depth)}{divider}{target}"
    for dots, divider, depth, target in itertools.product(DOTS, DIVIDERS, (1, 4, 9), TARGETS)
)


@pytest.fixture
def walled(tmp_path: Path) -> Iterator[tuple[Running, str]]:
    """A server, a run with one file, and beside its folder a file that it must not touch."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.txt").write_text(SECRET)
    with running(tmp_path / "server") as server:
        client = server.client()
        id_ = client.tell("POST", "", {"prefix": "alice/p/walls"})["id"]
        add(server, id_, "file.txt", b"inside")
        yield server, id_
    assert (tmp_path / "outside/secret.txt").read_text() == SECRET
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "server"]
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["secret.txt"]


def add(server: Running, id_: str, name: str, content: bytes, **more: Any) -> Any:
    from blake3 import blake3

    client = server.client()
    digest = blake3(content).hexdigest()
    client.send(f"/{id_}/blobs/{digest}", content, offset=0, size=len(content))
    parts = [{"blake3": digest, "bytes": len(content), **more.pop("part", {})}]
    return client.tell("POST", f"/{id_}/files", {"name": name, "parts": parts, **more})


def test_no_name_of_a_file_leaves_the_folder(walled: tuple[Running, str]) -> None:
    server, id_ = walled
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    own = {"Authorization": TOKENS[0]}
    assert len(TRAVERSALS) >= 200
    for name in (*TRAVERSALS, "/etc/passwd", "%2fetc%2fpasswd", "C:%5csecret.txt"):
        target = name.replace("\\", "%5C")
        for method, route in (("GET", "files"), ("DELETE", "files"), ("GET", "blobs")):
            connection.request(method, f"/api/experiments/{id_}/{route}/{target}", headers=own)
            response = connection.getresponse()
            content = response.read()
            assert response.status in (400, 404, 405), (method, name, content)
            assert SECRET.encode() not in content
            assert b"root:" not in content
    connection.close()


def test_no_name_of_an_artifact_leaves_the_folder(walled: tuple[Running, str]) -> None:
    server, id_ = walled
    for name in (*TRAVERSALS, "/etc/x", "a\0b", "../x", "a/../../x", ".."):
        leaves = {"", ".", ".."} & set(name.split("/")) or {"\\", "\0"} & set(name)
        if leaves:
            with pytest.raises(RemoteError, match="cannot be the name of an artifact"):
                add(server, id_, name, b"x")
            with pytest.raises(RemoteError, match="cannot be the name of an artifact"):
                add(server, id_, "fine.txt", b"x", file=name)
            with pytest.raises(RemoteError, match="cannot be the name of a file"):
                add(server, id_, "folder", b"x", kind="folder", part={"path": name})
        else:
            add(server, id_, name, b"x")
    for path in server.root.rglob("*"):
        assert path.resolve().is_relative_to(server.root)


def test_no_prefix_and_no_id_leaves_the_folder(walled: tuple[Running, str]) -> None:
    server, id_ = walled
    client = server.client()
    plain = [each for each in TRAVERSALS if "%" not in each]
    for name in (*plain, "", "/", "a//b", ".hidden/x", "a\0b", "/etc/x", "a:b", "x/" * 9 + "y"):
        with pytest.raises(RemoteError, match="cannot be the name of|more than 8 parts"):
            client.tell("POST", "", {"prefix": name})
        with pytest.raises(RemoteError, match="cannot be the name of"):
            client.tell("POST", "", {"prefix": "a/b", "run": name or "../x"})
        wrong = base64.urlsafe_b64encode(f"alice/{name}/x".encode()).decode().rstrip("=")
        with pytest.raises(RemoteError, match="there is no run of this id|more than 8 parts"):
            client.ask(f"/{wrong}")
    run = base64.urlsafe_b64decode(id_ + "==").decode()
    with pytest.raises(RemoteError, match="is in the folder of a run"):
        client.tell("POST", "", {"prefix": f"{run}/records"})
    assert not (server.root / run / "records/records").exists()


def test_no_link_leads_out_of_the_folder(walled: tuple[Running, str]) -> None:
    server, id_ = walled
    client = server.client()
    outside = server.root.parent / "outside"
    run = server.root / base64.urlsafe_b64decode(id_ + "==").decode()
    (run / "artifacts/link").symlink_to(outside)
    (server.root / "linked").symlink_to(outside)
    (server.root / "alice/p/walls/linked").symlink_to(outside)
    with pytest.raises(RemoteError, match="leaves the folder of the server"):
        client.tell("POST", "", {"prefix": "linked/p"})
    with pytest.raises(RemoteError, match="there is no run of this id"):
        client.ask("/" + base64.urlsafe_b64encode(b"alice/p/walls/linked").decode().rstrip("="))
    with pytest.raises(RemoteError, match="is a link to another place"):
        add(server, id_, "link/new.txt", b"x")
    with pytest.raises(RemoteError, match="is a link to another place"):
        add(server, id_, "link/secret.txt", b"x", file="link/secret.txt")
    (run / "artifacts/file.txt").unlink()
    (run / "artifacts/file.txt").symlink_to(outside / "secret.txt")
    with pytest.raises(RemoteError, match="the file is gone"):
        client.ask(f"/{id_}/files/file.txt")


def answer(server: Running, method: str, path: str, headers: dict[str, str]) -> int:
    """The status of a request whose headers are these and no others."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return raw(server, f"{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")


def raw(server: Running, request: str) -> int:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request.encode())
        line = connection.makefile("rb").readline()
    return int(line.split()[1])
