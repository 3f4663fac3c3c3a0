"""A run that is damaged: every reader says so with the same error, and a server answers with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import specplan
from specplan.errors import RemoteError, RunError
from specplan.results.compare import environment_of
from specplan.results.report import report_html
from specplan.store.run_file import Status
from specplan.store.tags import change_tags
from specplan.track.remote import upload
from specplan.track.remote_client import experiment_path
from specplan.track.run import TrackedRun
from tests.serve.conftest import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

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
