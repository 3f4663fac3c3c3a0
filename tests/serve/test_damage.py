"""A run that is damaged: every reader says so with the same error, and a server answers with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import specplan
from specplan._native import Store
from specplan.errors import RemoteError, RunError, StoreError
from specplan.results.compare import environment_of
from specplan.results.jobs import jobs_of
from specplan.results.messages import messages_of
from specplan.results.progress import progress_of
from specplan.results.report import report_html
from specplan.store import fields
from specplan.store.run_file import Status
from specplan.store.run_files import Surroundings, create_run
from specplan.store.tags import change_tags
from specplan.track.files import Files
from specplan.track.logs import Logs
from specplan.track.metrics import Metrics
from specplan.track.remote import upload
from specplan.track.remote_client import experiment_path
from specplan.track.run import TrackedRun
from specplan.track.tracks import Tracks
from tests.run.specs import compiled, train
from tests.serve.conftest import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from specplan.results.open import Run
    from specplan.store.layout import RunFolder
    from tests.serve.conftest import Running


def ended(root: Path, experiment: str) -> RunFolder:
    run = TrackedRun.start(root, experiment, run_id="r", tags={"old": None})
    run.set_params({"rate": 0.1})
    run.end(Status.COMPLETED)
    return run.folder


def id_of(server: Running, experiment: str) -> str:
    (found,) = server.client().ask("", prefix=experiment)["experiments"]
    id_: str = found["id"]
    return id_


def test_tags_are_what_they_were_changed_to_for_every_reader(
    server: Running, tmp_path: Path
) -> None:
    folder = ended(tmp_path, "tags/local")
    change_tags(folder, {"new": "1"}, ["old"])
    assert "<dd>new=1</dd>" in report_html(specplan.open(folder.path))
    upload(folder.path, server.url, TOKEN)
    there = specplan.open(server.root / "tags/local/r")
    assert there.tags == {"new": "1"}
    change_tags(there.folder, {"newer": None}, ["new"])
    shown = server.client().ask(experiment_path(id_of(server, "tags/local")))
    assert shown["tags"] == {"newer": None}


def test_tags_of_the_run_of_a_plan_are_not_changed(server: Running) -> None:
    run = create_run(server.root, compiled(train()), Surroundings())
    id_ = id_of(server, run.run_file.experiment)
    with pytest.raises(RemoteError, match="it is the run of a plan, which no program adds to"):
        server.client().tell("PUT", f"{experiment_path(id_)}/tags", {"tags": {"new": None}})
    assert not run.folder.tags_file.exists()


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"rate": "\xff"}', b"[" * 5000])
def test_damaged_params(server: Running, content: bytes) -> None:
    folder = ended(server.root, f"params/{content[:2].hex()}{len(content)}")
    folder.params_file.write_bytes(content)
    with pytest.raises(RunError, match=r"params\.json is damaged: "):
        _ = specplan.open(folder.path).params
    with pytest.raises(RunError, match=r"params\.json is damaged: "):
        TrackedRun.go_on(folder)
    with pytest.raises(RunError, match=r"params\.json is damaged: "):
        upload(folder.path, server.url, TOKEN)
    path = experiment_path(id_of(server, folder.path.parent.relative_to(server.root).as_posix()))
    with pytest.raises(RemoteError, match=r"params\.json is damaged: ") as refused:
        server.client().ask(f"{path}/parameters")
    assert refused.value.status == 500


@pytest.mark.parametrize("content", [b"{}", b'{"versions": {}, "crc32": 7}', b"\xff"])
def test_a_damaged_environment(server: Running, tmp_path: Path, content: bytes) -> None:
    folder = ended(tmp_path, "environment")
    folder.environment_file.write_bytes(content)
    damage = r"environment\.json is damaged: it does not match its checksum"
    with pytest.raises(RunError, match=damage):
        environment_of(specplan.open(folder.path))
    with pytest.raises(RunError, match=damage):
        upload(folder.path, server.url, TOKEN)


def record(folder: RunFolder, field: str, text: str, *, phase: str = "") -> None:
    store = Store.open(str(folder.records), session=2)
    store.text(phase=phase, node="", role="default", field=field, json=True).record([text], -1, -1)
    store.close()


DAMAGES: list[tuple[str, str, Callable[[Run], object]]] = [
    (fields.ARTIFACT, "7", lambda run: run.artifacts),
    (fields.ARTIFACT, '{"name": "a"}', lambda run: run.artifacts),
    (fields.DELETED, '["a"]', lambda run: run.artifacts),
    (fields.LOG, "[]", lambda run: messages_of(run, 5)),
    (fields.LOG, '{"level": "info"}', lambda run: messages_of(run, 5)),
    (fields.LOG, "7", report_html),
    (fields.JOB, '{"id": "a"}', jobs_of),
    (fields.JOB, "null", jobs_of),
    (fields.PROGRESS, '{"levels": 1}', progress_of),
    (fields.RETURNED, '{"label": "a"}', lambda run: run.returned("train")),
    ("own", "[]", lambda run: run.documents("own")),
]


@pytest.mark.parametrize(("field", "text", "read"), DAMAGES)
def test_a_damaged_document_is_named_by_its_reader(
    tmp_path: Path, field: str, text: str, read: Callable[[Run], object]
) -> None:
    folder = ended(tmp_path, "documents")
    record(folder, field, text, phase="train@callbacks" if field == fields.RETURNED else "")
    with pytest.raises(StoreError, match=rf"a document of `.*{field}` is damaged: "):
        read(specplan.open(folder.path))


def test_a_flipped_bit_is_no_other_document(tmp_path: Path) -> None:
    folder = ended(tmp_path, "documents")
    record(folder, "own", '{"loss": 1.25}')
    (chunk,) = folder.records.glob("*own/chunk-*.arrow")
    chunk.write_bytes(chunk.read_bytes().replace(b"1.25", b"1.35"))
    with pytest.raises(StoreError, match="checksum"):
        specplan.open(folder.path).documents("own")


GOING_ON: list[tuple[str, str, Callable[[TrackedRun], object]]] = [
    (fields.LOG, "[]", lambda run: Logs(lambda: run).read()),
    (fields.TRACKS, '{"x": 1}', lambda run: Tracks(lambda: run)("t").read()),
    (fields.METRICS, "[]", lambda run: Metrics(lambda: run)().read()),
    (fields.METRICS, "{}", lambda run: Metrics(lambda: run)().stats()),
    (fields.FILE_NOTES, "[]", lambda run: Files("", lambda: run).list()),
    (fields.DELETED, "{}", lambda run: Files("", lambda: run).list()),
]


@pytest.mark.parametrize(("field", "text", "read"), GOING_ON)
def test_a_damaged_document_is_named_to_a_program(
    tmp_path: Path, field: str, text: str, read: Callable[[TrackedRun], object]
) -> None:
    run = TrackedRun.start(tmp_path, "documents")
    run.log_artifact("a", "text")
    run.record_text(field, text, node="t" if field == fields.TRACKS else "")
    with pytest.raises(StoreError, match=rf"a document of `.*{field}.*` is damaged: "):
        read(run)
    run.end(Status.COMPLETED)


@pytest.mark.parametrize(
    ("field", "route"),
    [
        (fields.ARTIFACT, ""),
        (fields.ARTIFACT, "/files"),
        (fields.DELETED, "/files"),
        (fields.METRICS, "/metrics/stats"),
        (fields.TRACKS, "/tracks/data"),
    ],
)
def test_a_server_answers_with_what_is_damaged(server: Running, field: str, route: str) -> None:
    name = f"{field}{route.replace('/', '-')}"
    record(ended(server.root, name), field, "7")
    with pytest.raises(RemoteError, match="a document of .* is damaged: ") as refused:
        server.client().ask(experiment_path(id_of(server, name)) + route)
    assert refused.value.status == 500
