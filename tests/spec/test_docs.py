from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from specplan.spec.load import load
from specplan.spec.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/spec.md").read_text(encoding="utf-8")


def sources() -> Iterator[str]:
    for folder, pattern in (("python/specplan", "*.py"), ("rust/python/src/text", "*.rs")):
        for file in (ROOT / folder).rglob(pattern):
            yield file.read_text(encoding="utf-8")


def test_the_example_is_right(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    (tmp_path / "spec.yaml").write_text(example[1], encoding="utf-8")
    assert validate(load(tmp_path / "spec.yaml")).experiment.id == "soh-mlp"


def test_every_code_is_explained() -> None:
    used = {code for text in sources() for code in re.findall(r'"(SP\d{3})\b', text)}
    explained = re.findall(r"^\| (SP\d{3}) \|", PAGE, re.MULTILINE)
    assert explained == sorted(used)


def test_every_code_has_a_wrong_spec() -> None:
    corpus = Path(__file__).parent / "corpus/wrong"
    names = ("compile_errors", "compile_warnings", "override_errors")
    golden = [ROOT / "tests/golden" / name for name in names]
    shown = {file.name[:5] for folder in (corpus, *golden) for file in folder.iterdir()}
    explained = set(re.findall(r"^\| (SP\d{3}) \|", PAGE, re.MULTILINE))
    # A missing file is no file of the corpus, `parent` is no key of a spec, SP653 needs the data, trust and
    # models are looked at by `mlx run`, and an inconsistency cannot be written down.
    without = {"SP007", "SP108", "SP109", "SP404", "SP405", "SP502", "SP604", "SP653", "SP900"}
    assert explained - shown == without
