"""A file that a program deleted is gone for every reader, and its bytes stay in the run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import specplan
from specplan.cli.main import main
from specplan.results.report import report_html
from specplan.track.files import Files
from specplan.track.portable import portable
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from pathlib import Path


def test_deleted_files_are_gone_for_every_reader(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = TrackedRun.start(tmp_path, "e", run_id="r")
    files = Files("", lambda: run)
    for name, texts in {"gone.txt": "abc", "again.txt": "abc", "kept.txt": "ab"}.items():
        for text in texts[:-1]:
            files.save_text(text, name)
    files.delete("gone.txt")
    files.delete("again.txt")
    files.save_text("c", "again.txt")
    assert [each["name"] for each in files.list()] == ["again.txt", "kept.txt"]
    run.end()
    opened = specplan.open(tmp_path / "e/r")
    assert [*opened.artifacts] == ["again.txt", "kept.txt"]
    versions = {name: opened.artifacts.versions(name) for name in opened.artifacts}
    assert [[each.version for each in found] for found in versions.values()] == [[3], [1]]
    assert opened.artifacts["again.txt"].read() == "c"
    assert [file.name for file in portable(opened).files] == ["again.txt", "kept.txt"]
    assert "gone.txt" not in report_html(opened)
    with pytest.raises(SystemExit) as ended:
        main(["show", str(tmp_path / "e/r"), "--json"])
    assert ended.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["artifact"] for each in shown["artifacts"]] == ["again.txt", "kept.txt"]
    assert len(list((tmp_path / "e/r/artifacts").iterdir())) == 6
