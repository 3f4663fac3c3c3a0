from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

GUIDE = Path(__file__).parents[2] / "docs/python.md"
DATA = GUIDE.with_name("data.md")


def test_the_example_of_the_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), re.M | re.S)
    exec(compile(program, str(GUIDE), "exec"), {})
    printed = capsys.readouterr().out
    assert "eval_loss" in printed
    assert printed.endswith("(100, 1)\n")


def test_the_example_of_the_page_on_data_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", DATA.read_text("utf-8"), re.M | re.S)
    exec(compile(program, str(DATA), "exec"), {})
    printed = capsys.readouterr().out
    assert "  source  300\n  test    100\n  train   240\n  val     60\n" in printed
    assert "SegmentedScaler of voltage, fitted on train" in printed
