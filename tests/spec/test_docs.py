from __future__ import annotations

import re
from pathlib import Path

from specplan.spec.load import load
from specplan.spec.validate import validate

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/spec.md").read_text(encoding="utf-8")


def test_the_example_is_right(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    (tmp_path / "spec.yaml").write_text(example[1], encoding="utf-8")
    assert validate(load(tmp_path / "spec.yaml")).experiment.id == "soh-mlp"
