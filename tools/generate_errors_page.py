"""Write docs/errors.md from the catalogue of codes and the golden texts of its examples.

python tools/generate_errors_page.py            write the page
python tools/generate_errors_page.py --check    exit with 1 if it would change
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from page import write_or_check

from specplan.spec.codes import codes, look_up

if TYPE_CHECKING:
    from specplan.spec.codes import Code

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden/codes"

_LANGUAGES = {".yaml": "yaml", ".py": "python"}
"""Of the files of an example that are shown."""

HEAD = """# Errors

Everything that is wrong with a spec is reported at once, each fault with its code and its place. Codes keep their
meaning; a number is never used again. `mlx explain SP201` prints what is said here. Warnings stop nothing.
`tools/generate_errors_page.py` writes this page from `python/specplan/_codes`; the texts of the examples are those
of the tests.
"""


def page() -> str:
    """The whole text."""
    known = [look_up(code) for code in codes()]
    rows = [f"| [{item.code}](#{item.code.lower()}) | {_title(item)} |" for item in known]
    table = "\n".join(["| code | what is wrong |", "| --- | --- |", *rows])
    return "\n".join([HEAD, f"{table}\n", *(_section(item) for item in known)])


def _title(item: Code) -> str:
    return item.title if item.severity == "error" else f"a {item.severity}: {item.title}"


def _section(item: Code) -> str:
    parts = [f"## {item.code}\n", f"**{_title(item)[0].upper()}{_title(item)[1:]}.**\n", item.text]
    if item.wrong:
        golden = (GOLDEN / f"{item.code}.txt").read_text(encoding="utf-8")
        language = "json" if item.name.endswith(".json") else "sh" if item.command else "yaml"
        right = textwrap.dedent(item.right)
        if item.script:
            parts.append(f"```sh\n{item.wrong}```\n")
        parts += [f"```text\n{golden}```\n", f"Right:\n\n```{language}\n{right}```\n"]
        read = [name for name in item.files if item.script and name in item.right]
        parts += [
            f"with `{name}`:\n\n```{_LANGUAGES[ending]}\n{item.files[name].lstrip()}```\n"
            for name in read
            if (ending := Path(name).suffix) in _LANGUAGES
        ]
    return "\n".join(parts)


if __name__ == "__main__":
    raise SystemExit(write_or_check("errors.md", page()))
