"""What was set for a run, as it is shown: without secrets that its spec says in the open."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from specplan.results.open import Run, open_run
from specplan.results.report import report_html
from specplan.results.settings import settings
from specplan.track.portable import portable
from tests.cli.conftest import run_mlx

if TYPE_CHECKING:
    from pathlib import Path

SHORT, LONG, PASSWORD = "q9x7z", "canary5k-in-the-spec", "canary5k-pw"
SPEC = {
    "specplan": 1,
    "experiment": {
        "id": "leak",
        "description": f"from https://u:{PASSWORD}@host/x",
        "tags": {"registry_token": LONG},
    },
    "plan": [
        {
            "phase": "call",
            "label": "go",
            "use": "./work.py:run",
            "config": {"api_key": SHORT, "db": {"password": LONG}, "key_env": "MY_KEY", "size": 3},
        }
    ],
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of a spec that says secrets."""
    (tmp_path / "work.py").write_text(
        "def run(helper, config: dict):\n    helper.log_metrics({'size': config['size']})\n"
    )
    (tmp_path / "leak.json").write_text(json.dumps(SPEC))
    done = run_mlx("run", "leak.json", "--trust", "--quiet", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning[SP670]") == 4
    return open_run(tmp_path / "runs/leak")


def test_secrets_of_a_spec_are_shown_nowhere(run: Run, tmp_path: Path) -> None:
    assert settings(run.folder)["plan.go.config.api_key"] == "***"
    assert settings(run.folder)["plan.go.config.key_env"] == "MY_KEY"
    assert run.tags == {"registry_token": "***"}
    sent = portable(run)
    said = [repr(sent), report_html(run)]
    for words in (
        ("show", "leak"),
        ("show", "leak", "--json"),
        ("list", "--columns", "run,params,tags"),
        ("compare", "leak", "--json"),
        ("query", "leak", "select * from params"),
        ("list", "--json"),
    ):
        done = run_mlx(*words, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    for text in said:
        assert [each for each in (SHORT, LONG, PASSWORD) if each in text] == []
    assert "https://***@host/x" in said[1]
    assert SHORT in run.folder.plan_file.read_text()  # a resume needs it
