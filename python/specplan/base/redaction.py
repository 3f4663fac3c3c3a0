"""Keeping secrets out of files: passwords, tokens and keys, in whatever they are written down."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

REDACTED = "***"
"""What stands where a secret was."""

_ANYWHERE = re.compile(
    r"passwor?d|passphrase|secret|credential|authori[sz]ation|pwd$", re.IGNORECASE
)
"""What a name has in it that is always one of a secret."""
_JOINED = re.compile("apikey|accesskey|privatekey|authtoken")
"""The same of names whose words are written together."""
_LAST = frozenset(
    [
        "token",
        "tokens",
        "key",
        "keys",
        "auth",
        "bearer",
        "jwt",
        "pat",
        "pass",
        "cookie",
        "cookies",
        "dsn",
        "signature",
    ]
)
"""Words at the end of a name of a secret, but for what follows them in `_AFTER`."""
_AFTER = frozenset(
    [
        "id",
        "value",
        "string",
        "text",
        "base64",
        "b64",
        "json",
        "pem",
        "header",
        "env",
        "prod",
        "dev",
        "test",
    ]
)
_HARMLESS = frozenset(
    # With these before them they are words of machine learning and of tables.
    [
        "bos",
        "cls",
        "eos",
        "eot",
        "mask",
        "max",
        "min",
        "num",
        "pad",
        "sep",
        "special",
        "start",
        "stop",
        "unk",
        "n",
        "per",
        "total",
        "dict",
        "feature",
        "foreign",
        "group",
        "index",
        "join",
        "label",
        "metric",
        "monitor",
        "partition",
        "primary",
        "public",
        "row",
        "sample",
        "sort",
        "backward",
        "forward",
        "second",
        "single",
    ]
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_MAY_BE = re.compile("|".join((_ANYWHERE.pattern, "pwd", *sorted(_LAST))), re.IGNORECASE)
"""What a line has in it wherever it has the name of a secret: most lines need no closer look."""
_NAME = r"[A-Za-z][\w.-]*"

_SHAPES = {
    hint: re.compile(shape)
    for hint, shape in {
        "PRIVATE KEY": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        "AKIA": r"\bAKIA[0-9A-Z]{16}\b",
        "ASIA": r"\bASIA[0-9A-Z]{16}\b",
        "gh": r"\bgh[pousr]_[A-Za-z0-9]{20,}",
        "github_pat_": r"\bgithub_pat_[A-Za-z0-9_]{20,}",
        "glpat-": r"\bglpat-[\w-]{16,}",
        "sk-": r"\bsk-[A-Za-z0-9_-]{16,}",
        "k_": r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
        "hf_": r"\bhf_[A-Za-z0-9]{20,}",
        "xox": r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
        "AIza": r"\bAIza[\w-]{30,}",
        "ya29.": r"\bya29\.[\w-]{20,}",
        "GOCSPX-": r"\bGOCSPX-[\w-]{16,}",
        "pypi-": r"\bpypi-[\w-]{16,}",
        "npm_": r"\bnpm_[A-Za-z0-9]{20,}",
        "eyJ": r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
        "earer ": r"(?<=[Bb]earer )[\w.~+/=-]{8,}",
        "asic ": r"(?<=[Bb]asic )[A-Za-z0-9+/]{12,}={0,2}",
    }.items()
}
"""Keys and tokens that are known by how they look, whatever they are called, by what each has in it."""
_USERINFO = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^/\s'\"]+@")
"""Up to the last `@` before the path: a password may have others in it."""
_ASSIGNED = re.compile(rf"({_NAME})(['\"]?[ \t]*(?::=|(?<![=!<>])=(?!=)|:(?![:/]))[ \t]*)(?=\S)")
_QUERY = re.compile(rf"([?&;])({_NAME})=([^&\s#'\"]+)")
_OPTION = re.compile(rf"(?<!\S)--({_NAME})([= ])([^\s'\"=-][^\s'\"]*)")
_QUOTED = re.compile(r"([\"'])(?:\\.|(?!\1)[^\\\n])+(?:\1|$)")
_OF_CODE = re.compile(r"""[\[({]*\s*(?:[A-Za-z]{,2}["']|[A-Za-z_][\w.]*\(.*["'])""")
"""A value that is a text in quotes, or a call or collection with some in it."""
_BARE = re.compile(r"(?=\S*\d)[^\s()\[\]{},'\"]{8,}\Z")
_NAMES_A_VARIABLE = ("_env", "_variable")
_FOLDERS = frozenset(["PWD", "OLDPWD"])
"""Variables in which every shell keeps where it is and was: no passwords, whatever they look like."""
_SHORTEST = 8
"""Characters of a value of the environment that is looked for in texts; a shorter one may be a word."""


@functools.lru_cache(4096)
def is_secret(name: str) -> bool:
    """Whether what has this name is a secret: a password, token, key, credential and the like."""
    return _says_secret(name) or _ends_as_secret(name)


def redacted(value: Any, name: str = "") -> Any:
    """A plain value, without what belongs to the names of secrets in it and without what looks like one.

    All texts in what is called `credentials`, `secrets` and the like are taken for secrets. Numbers stay where only the end of the name says so, as in `max_tokens`; true, false and null always do.
    """
    if isinstance(value, Mapping):
        inside = name if _says_secret(name) else ""
        return {key: redacted(item, inside or str(key)) for key, item in value.items()}
    if isinstance(value, str):
        return REDACTED if value and is_secret(name) else redacted_text(value)
    if isinstance(value, Sequence):
        return [redacted(item, name) for item in value]
    if isinstance(value, bool) or value is None or not _says_secret(name):
        return value
    return REDACTED


def redacted_text(text: str) -> str:
    """A text without tokens that are known by their look, credentials in URLs and options, and secrets of the environment."""
    for secret in _secrets_of_environment():
        text = text.replace(secret, REDACTED)
    return _without_shapes(text)


def hidden(name: str, text: str) -> str:
    """A text that somebody wrote into a spec, as it is shown: `***` where it is a secret by its name, and in place of what
    looks like one. The name of a variable, `api_key_env`, is none. Whose environment this is makes no difference.
    """
    if text and is_secret(name) and not name.lower().endswith(_NAMES_A_VARIABLE):
        return REDACTED
    return _without_shapes(text)


def _without_shapes(text: str) -> str:
    for hint, shape in _SHAPES.items():
        if hint in text:
            text = shape.sub(_as_many_lines, text)
    if "://" in text:
        text = _USERINFO.sub(rf"\1{REDACTED}@", text)
    if "--" in text:
        text = _OPTION.sub(_opted, text)
    return _QUERY.sub(_queried, text)


def redacted_lines(text: str) -> str:
    """The same, and without what a line gives to the name of a secret, as in `api_key = "..."`.

    Of code, texts in quotes go, or else the rest of the line; the lines stay as many as they were.
    """
    return "\n".join(map(_line, redacted_text(text).split("\n")))


def redacted_words(words: Sequence[str]) -> list[str]:
    """The words of a command, without the values of options that have the name of a secret."""
    found: list[str] = []
    is_value = False
    for word in words:
        if is_value and not word.startswith("-"):
            found.append(REDACTED)
            is_value = False
            continue
        name, separator, value = word.partition("=")
        is_value = word.startswith("-") and not separator and is_secret(name)
        hidden = separator and value and is_secret(name)
        found.append(f"{name}={REDACTED}" if hidden else redacted_lines(word))
    return found


def _as_many_lines(found: re.Match[str]) -> str:
    return REDACTED + "\n" * found.group().count("\n")


def _queried(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}={REDACTED}" if is_secret(found[2]) else found.group()


def _opted(found: re.Match[str]) -> str:
    name, separator, value = found.groups()
    is_hidden = _says_secret(name) or (is_secret(name) and not value.isdecimal())
    return f"--{name}{separator}{REDACTED}" if is_hidden else found.group()


def _line(line: str) -> str:
    at = 0 if _MAY_BE.search(line) else len(line)
    while found := _ASSIGNED.search(line, at):
        at = found.end()
        if not is_secret(found[1]):
            continue
        rest = line[at:]
        if _OF_CODE.match(rest):
            return line[:at] + _QUOTED.sub(lambda text: f"{text[1]}{REDACTED}{text[1]}", rest)
        # `key = self.key(x)` is code; `TOKEN=abc123` is a secret, and so is whatever a password is.
        if _says_secret(found[1]) or len(_words(found[1])) > 1 or _BARE.match(rest.strip()):
            return line[:at] + REDACTED
    return line


def _says_secret(name: str) -> bool:
    return bool(_ANYWHERE.search(name) or _JOINED.search("".join(_words(name))))


def _ends_as_secret(name: str) -> bool:
    words = _words(name)
    while len(words) > 1 and (words[-1] in _AFTER or words[-1].isdecimal()):
        words.pop()
    if not words:
        return False
    before = words[-2] if len(words) > 1 else ""
    ends = words[-1] in _LAST or words[-1].endswith(("token", "passwd", "sshpass"))
    return ends and before not in _HARMLESS


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _secrets_of_environment() -> list[str]:
    """The longest first: one may be a part of another."""
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and name not in _FOLDERS and is_secret(name)
    }
    return sorted(found, key=len, reverse=True)
