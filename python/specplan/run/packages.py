"""The packages that are installed, read from the names of their folders: in milliseconds."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from specplan.base.redaction import redacted_text
from specplan.run.git import commit_of

_INSTALLED = re.compile(r"(.+?)-([^-]+)(?:-py[\d.]+[^/]*)?\.(?:dist|egg)-info")


def packages() -> dict[str, str]:
    """The version of every package that this process can import, by its normalised name."""
    return dict(sorted((name, path[0]) for name, path in _installed(tuple(sys.path)).items()))


@functools.cache
def _installed(path: tuple[str, ...]) -> dict[str, tuple[str, Path]]:
    found: dict[str, tuple[str, Path]] = {}
    for entry in map(Path, path):
        if not entry.is_dir():
            continue
        for each in sorted(entry.iterdir()):
            if match := _INSTALLED.fullmatch(each.name):
                # The first on the path is the one that is imported.
                found.setdefault(normalised(match[1]), (match[2].replace("_", "+"), each))
    return found


def normalised(name: str) -> str:
    """A package's name as it is compared: in small letters, its parts divided by hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.cache
def origins() -> dict[str, dict[str, Any]]:
    """Where packages came from that are no releases: editable ones, folders, repositories, files.

    Of a folder of this machine there is its name, and the commit of its repository. Where the installer's note
    of it cannot be read, there is why.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, (_, folder) in sorted(_installed(tuple(sys.path)).items()):
        direct = folder / "direct_url.json"
        try:
            if direct.is_file():
                found[name] = _origin(msgspec.json.decode(direct.read_bytes(), type=_DirectUrl))
        except (OSError, ValueError, RecursionError) as error:  # it is the environment's, not ours
            found[name] = {"unreadable": redacted_text(str(error))}
    return found


class _FolderOrigin(msgspec.Struct):
    editable: bool = False


class _RepositoryOrigin(msgspec.Struct):
    commit_id: str = ""


class _DirectUrl(msgspec.Struct):
    """The parts of direct_url.json that are kept."""

    url: str
    dir_info: _FolderOrigin | None = None
    vcs_info: _RepositoryOrigin | None = None


def _origin(direct: _DirectUrl) -> dict[str, Any]:
    if direct.vcs_info is not None:
        return {"url": redacted_text(direct.url), "commit": direct.vcs_info.commit_id}
    scheme, _, place = direct.url.partition("://")
    if scheme != "file":
        return {"url": redacted_text(direct.url)}
    path = Path(unquote(place))
    if direct.dir_info is None:
        return {"file": path.name}
    return {
        "folder": path.name,
        "editable": direct.dir_info.editable,
        "commit": commit_of(path) if path.is_dir() else None,
    }
