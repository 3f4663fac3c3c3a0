"""The protocol as any client speaks it: appends at places, files in pieces, and what is refused."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3

import specplan
from specplan.errors import RemoteError, StoreError
from specplan.serve.blobs import FOLDER_NAME, remove_old
from specplan.serve.protocol import Begin
from specplan.serve.workspace import Workspace
from specplan.store.run_file import Status
from specplan.track.remote_client import PIECE
from tests.serve.conftest import Running, running

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.track.remote_client import Server


@pytest.fixture
def client(server: Running) -> Server:
    return server.client()


def begin(client: Server, prefix: str, **more: Any) -> str:
    id_: str = client.tell("POST", "", {"prefix": prefix, **more})["id"]
    return f"/{id_}"


def test_a_run_from_its_beginning_to_its_end(server: Running, client: Server) -> None:
    run = begin(client, "bob/p/first", readme="why", tags={"a": None})
    client.tell("PUT", f"{run}/parameters", {"data": {"rate": 0.1}})
    assert client.tell("PUT", f"{run}/parameters", {"data": {"n": 2}})["data"] == {
        "rate": 0.1,
        "n": 2,
    }
    client.tell("POST", f"{run}/logs", {"entries": [{"message": "one", "level": "warn"}]})
    client.tell(
        "POST", f"{run}/metrics/append", {"name": "train", "data": {"loss": 0.5, "epoch": 1}}
    )
    rows = [{"data": {"loss": "nan", "_ts": 5.0}, "notFinite": ["loss"]}]
    assert client.tell("POST", f"{run}/metrics/batch", {"name": "train", "rows": rows})["have"] == 2
    entries = [{"_ts": 2, "x": 1}, {"_ts": 1, "x": 0}, {"_ts": 2, "y": 3}]
    client.tell("POST", f"{run}/tracks/append", {"topic": "robot", "entries": entries})
    stats = client.ask(f"{run}/metrics/stats")["metrics"]
    assert [(each["name"], each["totalDataPoints"]) for each in stats] == [("train", 2)]
    data = client.ask(f"{run}/metrics/data", name="train", start=1)
    assert (data["total"], data["data"][0]["data"]) == (2, {"loss": "nan", "_ts": 5.0})
    assert client.ask(f"{run}/logs")["data"][0]["message"] == "one"
    assert client.ask(f"{run}/tracks/data", topic="robot")["data"] == [
        {"timestamp": 1, "_ts": 1, "x": 0},
        {"timestamp": 2, "_ts": 2, "x": 1, "y": 3},
    ]
    assert client.tell("PATCH", f"{run}/status", {"status": "COMPLETED"}) == {"status": "completed"}
    described = client.ask(run)
    assert (described["prefix"], described["status"]) == ("bob/p/first", "completed")
    (listed,) = client.ask("", prefix="bob/p/first")["experiments"]
    assert {name: described[name] for name in listed} == listed
    found = specplan.open(f"bob/p/first/{described['run']}", root=server.root)
    values = found.metrics("loss", split="train").arrow.to_pylist()
    assert [(row["epoch"], str(row["value"])) for row in values] == [(1, "0.5"), (None, "nan")]
    assert begin(client, "bob/p/first") == run
    assert client.ask(run)["status"] == "running"
    error = {"type": "ValueError", "message": "no"}
    client.tell("PATCH", f"{run}/status", {"status": "failed", "error": error})
    assert client.ask(run)["error"] == error


def test_every_page_says_where_the_next_one_begins(server: Running) -> None:
    client = server.client()
    run = begin(client, "alice/p/pages")
    rows = [{"data": {"loss": number, "_ts": 1.0}} for number in range(9000)]
    client.tell("POST", f"{run}/metrics/batch", {"name": "train", "rows": rows})
    client.tell("POST", f"{run}/logs", {"entries": [{"message": "a"}, {"message": "b"}]})
    points = [[0.5, step, -1, -1, step] for step in range(5)]
    client.tell("POST", f"{run}/points", {"name": "speed", "points": points})
    found, start, pages = [], 0, 0
    while start is not None:
        page = client.ask(f"{run}/metrics/data", name="train", start=start, limit=4500)
        found += [row["data"]["loss"] for row in page["data"]]
        start, pages = page["next"], pages + 1
    assert (found, pages) == (list(range(9000)), 2)
    for route, query, next_ in (
        ("logs", {"limit": 1}, 1),
        ("logs", {"start": 1}, None),
        ("logs", {"start": 99}, None),
        ("points", {"start": 1, "limit": 2}, 3),
        ("records", {"field": "nothing"}, None),
    ):
        page = client.ask(f"{run}/{route}", **query)
        assert page["next"] == next_, route
        assert len(page["data"]) == (
            1 if "logs" in route and query.get("start") != 99 else 2 if next_ else 0
        )
    assert client.ask("", prefix="alice/p/pages", limit=1)["total"] == 1
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"start": -1}):
        with pytest.raises(RemoteError, match="`limit` 1 to 10000"):
            client.ask(f"{run}/logs", **wrong)


def test_what_a_client_says_is_kept_without_secrets(server: Running, client: Server) -> None:
    canary = "canary9z-value"
    run = begin(client, "bob/leaky", tags={"token": canary}, environment={"host": {"pwd": canary}})
    client.tell("PUT", f"{run}/parameters", {"data": {"api_key": canary}})
    entry = {"message": f"at https://u:{canary}@h", "level": "warn", "metadata": {"auth": canary}}
    client.tell("POST", f"{run}/logs", {"entries": [entry]})
    rows = [{"data": {"password": canary, "token_count": 3, "_ts": 5.0}}]
    client.tell("POST", f"{run}/metrics/batch", {"name": "train", "rows": rows})
    tracked = [{"_ts": 1, "secret": canary}]
    client.tell("POST", f"{run}/tracks/append", {"topic": "robot", "entries": tracked})
    documents = {"field": "notes", "entries": [{"password": canary}]}
    client.tell("POST", f"{run}/records", documents)
    error = {"type": "ValueError", "message": f"password={canary}"}
    client.tell("PATCH", f"{run}/status", {"status": "failed", "error": error})
    assert client.ask(f"{run}/metrics/data", name="train")["data"][0]["data"]["token_count"] == 3
    folder = specplan.open("bob/leaky", root=server.root).folder.path
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if canary.encode() in path.read_bytes()] == []


def test_what_is_sent_twice_is_taken_once_and_a_gap_is_not(client: Server) -> None:
    run = begin(client, "bob/p/twice")
    first = {"entries": [{"message": str(number)} for number in range(5)], "start": 0}
    more = {"entries": [{"message": str(number)} for number in range(3, 8)], "start": 3}
    for body, have in ((first, 5), (first, 5), (more, 8), (more, 8)):
        assert client.tell("POST", f"{run}/logs", body)["have"] == have
    messages = [entry["message"] for entry in client.ask(f"{run}/logs")["data"]]
    assert messages == [str(number) for number in range(8)]
    series = {"name": "loss", "phase": "fit", "split": "train"}
    points = [[0.5, 0, 0, -1, None], ["inf", 1, 0, -1, 1_700_000_000_000_000_000]]
    for _ in range(2):
        assert client.tell("POST", f"{run}/points", {**series, "points": points, "start": 0}) == {
            "have": 2
        }
    for route, body in (
        ("logs", {**more, "start": 9}),
        ("points", {**series, "points": points, "start": 3}),
        ("metrics/batch", {"rows": [{"data": {}}], "start": 1}),
        ("tracks/append", {"topic": "t", "entries": [{"_ts": 1}], "start": 1}),
        ("records", {"field": "note", "entries": [1], "start": 2}),
    ):
        with pytest.raises(RemoteError, match="on are missing, and these begin at") as refusal:
            client.tell("POST", f"{run}/{route}", body)
        assert refusal.value.status == 409
        assert refusal.value.detail["have"] == {"logs": 8, "points": 2}.get(route, 0)


@pytest.mark.parametrize(
    ("method", "route", "body", "said"),
    [
        ("POST", "logs", {"entries": [{"message": "x", "level": "loud"}]}, "no level `loud`"),
        ("POST", "logs", {"entires": []}, "unknown field `entires`"),
        ("POST", "metrics/batch", {"rows": [{"data": {"a": 10**400}}]}, "too large"),
        ("POST", "metrics/batch", {"rows": [{"data": {}, "createdAt": "now"}]}, "isoformat"),
        ("POST", "metrics/batch", {"rows": [{"data": {}, "createdAt": "9999-01-01"}]}, "no record"),
        ("POST", "points", {"name": "a", "points": [["x", 0, 0, 0, None]]}, "could not convert"),
        (
            "POST",
            "points",
            {"name": "a", "points": [[1, 0, 2**31, 0, None]]},
            "Expected `int` <= 2147483647",
        ),
        ("POST", "tracks/append", {"topic": "t", "entries": [{}]}, "has its time as `_ts`"),
        ("POST", "tracks/append", {"topic": "t", "entries": [{"_ts": "1"}]}, "as `_ts`, a number"),
        ("POST", "records", {"field": "artifact", "entries": []}, "no field of plain documents"),
        ("PATCH", "status", {"status": "failed", "endedAt": "now"}, "isoformat"),
        ("PATCH", "status", {"status": "skipped"}, "no status `skipped`; known: `running`"),
        ("POST", "files", {"name": "x", "parts": []}, "is one file, without a path"),
        ("POST", "files", {"name": "x", "parts": [], "kind": "pickle"}, "no kind `pickle`"),
        ("PATCH", "blobs/" + "0" * 64, {}, "`offset` is a number of bytes"),
        ("PATCH", f"blobs/{'x' * 64}?offset=0&size=2", {}, "64 hexadecimal digits"),
    ],
)
def test_wrong_requests_are_refused_and_harm_nothing(
    client: Server, method: str, route: str, body: dict[str, Any], said: str
) -> None:
    run = begin(client, "bob/p/wrong")
    with pytest.raises(RemoteError, match=said) as refusal:
        client.tell(method, f"{run}/{route}", body)
    assert refusal.value.status in (400, 404)
    client.tell("PATCH", f"{run}/status", {"status": "completed"})
    assert client.ask(run)["status"] == "completed"


def test_a_file_goes_on_where_a_killed_server_had_it(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000
    digest = blake3(content).hexdigest()
    with running(tmp_path) as server:
        client = server.client()
        run = begin(client, "bob/p/cut")
        target = f"{run}/blobs/{digest}"
        assert client.send(target, content[:PIECE], offset=0, size=len(content))["have"] == PIECE
        server.end(signal.SIGKILL)
        server.start()
        assert client.ask(target)["have"] == PIECE
        file = {
            "name": "a/b.bin",
            "file": "a/b.bin",
            "parts": [{"blake3": digest, "bytes": len(content)}],
        }
        with pytest.raises(RemoteError, match="bytes of the artifact are missing") as refusal:
            client.tell("POST", f"{run}/files", file)
        assert refusal.value.detail["missing"] == [{"blake3": digest, "offset": PIECE}]
        with pytest.raises(RemoteError, match=f"bytes from {PIECE} on are missing"):
            client.send(target, b"x", offset=PIECE + 1, size=len(content))
        assert not list(tmp_path.rglob("*.bin"))
        overlapping = content[PIECE - 10 :]
        client.send(target, overlapping, offset=PIECE - 10, size=len(content))
        for added in (True, False):
            assert client.tell("POST", f"{run}/files", file)["added"] is added
        client.download(f"{run}/files/a/b.bin", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert [each.name for each in (tmp_path / FOLDER_NAME).rglob("*") if each.is_file()] == []


def test_bytes_of_another_digest_are_thrown_away(client: Server) -> None:
    run = begin(client, "bob/p/digest")
    target = f"{run}/blobs/{'0' * 64}"
    with pytest.raises(RemoteError, match="does not match its digest") as refusal:
        client.send(target, b"other", offset=0, size=5)
    assert (refusal.value.status, client.ask(target)["have"]) == (422, 0)
    with pytest.raises(RemoteError, match="this piece goes on after them"):
        client.send(target, b"longer", offset=0, size=5)


def test_files_are_listed_and_deleted(client: Server) -> None:
    run = begin(client, "bob/p/files")
    for content in (b"one", b"two"):
        digest = blake3(content).hexdigest()
        client.send(f"{run}/blobs/{digest}", content, offset=0, size=3)
        part = {"blake3": digest, "bytes": 3}
        client.tell("POST", f"{run}/files", {"name": "x.txt", "kind": "text", "parts": [part]})
    (listed,) = client.ask(f"{run}/files")["files"]
    assert (listed["name"], listed["checksum"]) == ("x.txt", blake3(b"two").hexdigest())
    assert client.tell("DELETE", f"{run}/files/x.txt", {}) == {"deleted": "x.txt"}
    assert client.ask(f"{run}/files")["files"] == []
    with pytest.raises(RemoteError, match="there is no file of this name"):
        client.tell("DELETE", f"{run}/files/x.txt", {})


def test_a_run_that_another_process_writes_is_left_alone(server: Running, client: Server) -> None:
    from specplan import Experiment

    with Experiment("bob/p/own", dash_root=server.root).run:
        (listed,) = client.ask("", prefix="bob/p/own")["experiments"]
        with pytest.raises(RemoteError, match="is written by process") as refusal:
            client.tell("POST", f"/{listed['id']}/logs", {"entries": [{"message": "x"}]})
        assert refusal.value.status == 409


def test_quiet_runs_and_those_of_a_server_that_ends_are_interrupted(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.client()
        run = begin(client, "bob/p/quiet")
        client.tell("POST", f"{run}/logs", {"entries": [{"message": "x"}], "start": 0})
        server.end(signal.SIGTERM)
        found = specplan.open("bob/p/quiet", root=tmp_path)
        assert (found.status, found.run_file.status) == ("interrupted", "interrupted")
        server.start()
        assert client.tell("POST", f"{run}/logs", {"entries": [{"message": "y"}]})["have"] == 2
        assert found.refresh().status == "running"
    runs = Workspace(tmp_path)
    with runs.writing(run[1:]):
        pass
    runs.end_quiet(3600)
    assert found.refresh().status == "running"
    runs.end_quiet(0)
    assert found.refresh().run_file.status == "interrupted"


def test_a_run_that_cannot_be_ended_keeps_no_other_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Workspace(tmp_path)
    gone, other = (runs.begin(Begin(prefix=f"bob/{name}"))[0] for name in ("gone", "other"))
    shutil.rmtree(runs.folder(gone).path)
    runs.end_quiet(0)
    assert specplan.open("bob/other", root=tmp_path).run_file.status == "interrupted"
    assert "could not be ended" in caplog.text
    with runs.writing(other) as run:
        shutil.rmtree(run.run.folder.records)
        run.run.folder.records.write_text("not a folder")
    with pytest.raises((StoreError, OSError)):
        runs.end(other, Status.COMPLETED)
    assert other not in runs._open


def test_a_run_behind_a_link_hides_no_other(server: Running, client: Server) -> None:
    id_ = begin(client, "bob/p/links")[1:]
    (folder,) = (server.root / "bob/p/links").iterdir()
    (folder.parent / "link").symlink_to(folder)
    assert [each["id"] for each in client.ask("", prefix="bob/p/links")["experiments"]] == [id_]
    assert id_ in [each["id"] for each in client.ask("")["experiments"]]


def test_old_pieces_are_thrown_away(tmp_path: Path) -> None:
    piece = tmp_path / FOLDER_NAME / "run" / f"{'0' * 64}.part"
    piece.parent.mkdir(parents=True)
    piece.touch()
    remove_old(tmp_path)
    assert piece.exists()
    remove_old(tmp_path, seconds=-1)
    assert not piece.exists()
