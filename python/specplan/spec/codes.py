"""The catalogue of codes: what each means, and a wrong and a right spec to show it.

One file for each code, `_codes/SP201.toml`, so that a new code is a new file.
"""

from __future__ import annotations

import textwrap
import tomllib
from pathlib import Path
from typing import Literal

import msgspec


class Code(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one code means.

    `wrong` and `right` are whole lines that replace each other in the spec of the examples
    (`tests/plan/conftest.py`), after `given` was replaced in it; or with `name`, the whole text of a
    file of that name; or commands for that spec: one with `-c`, or with `script` lines for a shell. A code
    without them cannot be shown by a spec.

    Attributes:
        title: what is wrong, in a few words.
        text: what it means, why it matters, how to mend it.
        given: pairs of texts; the first is replaced by the second before the example applies.
        files: other files of the example, by name.
        encoding: how the wrong spec is written.
        run: whether the fault is found when the plan runs.
        script: whether the examples are lines for a shell, the last of which tells the fault.
    """

    code: str
    title: str
    text: str
    severity: Literal["error", "warning"] = "error"
    wrong: str = ""
    right: str = ""
    name: str = ""
    given: tuple[tuple[str, str], ...] = ()
    files: dict[str, str] = {}
    encoding: str = "utf-8"
    run: bool = False
    script: bool = False

    @property
    def command(self) -> bool:
        """Whether `wrong` and `right` are commands and not parts of a spec."""
        return self.script or self.wrong.startswith("mlx ")


def codes() -> list[str]:
    """Every code, in order."""
    return sorted(file.name.removesuffix(".toml") for file in _folder().iterdir())


def look_up(code: str) -> Code:
    """What `code` means; it is one of `codes`."""
    entry = tomllib.loads((_folder() / f"{code}.toml").read_text(encoding="utf-8"))
    return msgspec.convert({"code": code} | entry, Code)


def explanation(code: Code) -> str:
    """What a code means, as text for a terminal."""
    parts = [f"{code.code}: {code.title}\n", code.text]
    if code.severity == "warning":
        parts[0] = f"{code.code}, a warning: {code.title}\n"
    for title, excerpt in (("wrong", code.wrong), ("right", code.right)):
        if excerpt:
            parts.append(f"{title}:\n\n{textwrap.indent(textwrap.dedent(excerpt), '    ')}")
    return "\n".join(parts)


def _folder() -> Path:
    return Path(__file__).parents[1] / "_codes"
