from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from specplan.code.trust import distrust, pins, refusal, trust, trust_file
from specplan.errors import CodeError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text("a = 1\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/layers.py").write_text("b = 1\n")
    return tmp_path


def code(*files: Path) -> str | None:
    refused = refusal(files)
    return refused.code if refused else None


def test_nothing_is_trusted_unasked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    refused = refusal([project / "nets.py"])
    assert refused is not None
    assert refused.message == "`nets.py` is not trusted; a run would execute it"
    assert refused.hint == "review it, then `mlx trust nets.py`, or `--trust` for this call only"


def test_several_files_are_one_refusal(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)
    refused = refusal([project / "nets.py", project / "inner/layers.py"])
    assert refused is not None
    assert refused.message.endswith("are not trusted; a run would execute it")
    assert f"`mlx trust {project.name}`" in refused.hint


def test_a_file_is_trusted_as_it_is(project: Path) -> None:
    file = project / "nets.py"
    assert trust(file) == 1
    assert code(file) is None
    assert code(file, project / "inner/layers.py") == "SP404"
    file.write_text("a = 2\n")
    assert code(file) == "SP405"
    trust(file)
    assert code(file) is None
    assert distrust(file)
    assert not distrust(file)
    assert code(file) == "SP404"


def test_a_folder_is_trusted_with_all_its_python(project: Path) -> None:
    assert trust(project) == 2
    files = [project / "nets.py", project / "inner/layers.py"]
    assert code(*files) is None
    (project / "data.txt").write_text("changes nothing")
    assert code(*files) is None
    (project / "new.py").write_text("")
    assert code(*files) == "SP405"


def test_a_pin_of_the_file_goes_for_one_of_a_folder_that_changed(project: Path) -> None:
    trust(project)
    trust(project / "nets.py")
    (project / "inner/layers.py").write_text("b = 2\n")
    assert code(project / "nets.py") is None
    assert code(project / "inner/layers.py") == "SP405"


@pytest.mark.parametrize("folder", [".hidden", "__pycache__", "venv"])
def test_what_a_folder_leaves_out_is_not_trusted_with_it(project: Path, folder: str) -> None:
    inner = project / folder / "deep"
    inner.mkdir(parents=True)
    (project / folder / "pyvenv.cfg").touch()
    (inner / "nets.py").write_text("")
    trust(project)
    assert code(inner / "nets.py") == "SP404"


def test_a_link_is_the_file_that_it_leads_to(project: Path) -> None:
    (project / "inner/link.py").symlink_to(project / "nets.py")
    trust(project / "inner/link.py")
    assert code(project / "nets.py") is None


def test_moving_a_folder_takes_trust_away(project: Path, tmp_path: Path) -> None:
    trust(project / "inner")
    moved = (project / "inner").rename(tmp_path / "moved")
    assert code(moved / "layers.py") == "SP404"


def test_what_holds_no_python_is_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(CodeError, match="holds no Python file"):
        trust(tmp_path)
    assert pins() == {}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', "\0"])
def test_a_damaged_file_of_trust_is_named_and_trusts_nothing(project: Path, content: str) -> None:
    trust(project)
    trust_file().write_text(content)
    with pytest.raises(CodeError, match=r"trust\.json"):
        refusal([project / "nets.py"])


def test_the_file_of_trust_is_readable_and_private(project: Path) -> None:
    trust(project)
    assert list(json.loads(trust_file().read_text())) == [str(project)]
    assert trust_file().stat().st_mode & 0o077 == 0
