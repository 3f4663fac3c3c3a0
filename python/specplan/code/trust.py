"""Which code of the user may run: that whose text the user has said to trust, in a file of his own.

As in direnv, trust is given to a file or a folder as it is: when a text in it changes, it has to be given
again. A spec cannot trust itself, because nothing in a spec or beside it is asked.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from specplan.errors import CodeError
from specplan.spec.source import displayed
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONFIG = "SPECPLAN_CONFIG"
_NOT_CODE = frozenset({"__pycache__", "node_modules"})


class Refusal(msgspec.Struct, frozen=True):
    """Why code is not run."""

    code: str
    message: str
    hint: str

    def error(self) -> CodeError:
        """As an exception."""
        return CodeError(self.code, self.message, self.hint)


def trust_file() -> Path:
    """Where trust is written down: in $SPECPLAN_CONFIG, or in `specplan` of the user's settings."""
    own = os.environ.get(CONFIG)
    settings = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    folder = Path(own) if own else Path(settings) / "specplan"
    return folder.expanduser() / "trust.json"


def pins() -> dict[Path, str]:
    """What is trusted: the digest of each file and folder when trust was given.

    Raises:
        CodeError: the file of the user's trust is damaged.
    """
    file = trust_file()
    try:
        written = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"`{file}` does not hold what `mlx trust` writes: {error}"
        raise CodeError("SP404", message, "remove it, and give trust again") from error
    return {Path(path): digest for path, digest in written.items()}


def trust(path: Path) -> int:
    """Trust a file, or every Python file below a folder, as they are now; returns how many.

    Raises:
        CodeError: there is no Python there.
    """
    place = path.resolve()
    files = list(_python_files(place))
    if not files:
        raise CodeError("SP402", f"`{displayed(path)}` holds no Python file", None)
    _write({**pins(), place: digest(place)})
    return len(files)


def distrust(path: Path) -> bool:
    """Take trust in `path` back; whether there was any."""
    known = pins()
    found = known.pop(path.resolve(), None) is not None
    if found:
        _write(known)
    return found


def refusal(files: Iterable[Path]) -> Refusal | None:
    """Why these files may not run; None where each of them is trusted as it is now.

    A file is trusted by a pin of its own or by that of a folder around it.
    """
    known = pins()
    right = functools.cache(lambda place: known[place] == digest(place))
    strange: list[Path] = []
    changed: list[Path] = []
    for file in files:
        resolved = file.resolve()
        around = [place for place in (resolved, *resolved.parents) if place in known]
        holding = [place for place in around if _holds(place, resolved)]
        if not any(right(place) for place in holding):
            (changed if holding else strange).append(resolved)
    if strange:
        state = "is not trusted" if len(strange) == 1 else "are not trusted"
        return _refusal("SP404", strange, f"{state}; a run would execute it")
    if changed:
        return _refusal("SP405", changed, "changed after it was trusted")
    return None


def digest(place: Path) -> str:
    """Of a file's bytes, or of the names and bytes of all Python files below a folder."""
    hasher = blake3()
    for file in _python_files(place):
        content = file.read_bytes()
        name = file.relative_to(place).as_posix()
        hasher.update(f"{name}\n{len(content)}\n".encode())
        hasher.update(content)
    return f"b3:{hasher.hexdigest()}"


def _refusal(code: str, files: list[Path], state: str) -> Refusal:
    names = sorted(displayed(file) for file in files)
    place = names[0] if len(names) == 1 else _folder_of(files)
    shown = quoted(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    hint = f"review it, then `mlx trust {place}`, or `--trust` for this call only"
    return Refusal(code, f"{shown} {state}", hint)


def _folder_of(files: list[Path]) -> str:
    return displayed(Path(os.path.commonpath(files)))


def _holds(place: Path, file: Path) -> bool:
    """Whether the digest of `place` covers `file`."""
    inner = file.relative_to(place).parts
    steps = [place.joinpath(*inner[:length]) for length in range(1, len(inner))]
    return not any(_is_skipped(step) for step in steps)


def _python_files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if not _is_skipped(Path(folder, name)))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def _is_skipped(folder: Path) -> bool:
    """Folders that hold no code of a project: hidden ones, caches, and environments of Python."""
    hidden = folder.name.startswith(".") or folder.name in _NOT_CODE
    return hidden or (folder / "pyvenv.cfg").exists()


def _write(known: dict[Path, str]) -> None:
    file = trust_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = msgspec.json.encode({str(path): known[path] for path in sorted(known)})
    descriptor, beside = tempfile.mkstemp(dir=file.parent, prefix=".trust-")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.format(content, indent=2) + b"\n")
    Path(beside).replace(file)
