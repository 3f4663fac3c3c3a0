"""tags.json: words to find a run by, which may change after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.base.redaction import hidden, redacted
from specplan.errors import RunError
from specplan.store.checked_json import encode_checked, matches_checksum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specplan.store.layout import RunFolder

Tags = dict[str, str | None]
"""Values by tag; None for a tag that is only there."""


class _TagsFile(msgspec.Struct):
    tags: Tags


class _Named(msgspec.Struct):
    tags: Tags = {}


class _OfPlan(msgspec.Struct):
    """What a plan says of its tags. The rest of it is not looked at: thousands of runs may be read."""

    experiment: _Named


def read_tags(folder: RunFolder) -> Tags:
    """The tags of a run: those of its plan until they are changed.

    Raises:
        RunError: tags.json or the plan is damaged.
    """
    changed = folder.tags_file.is_file()
    path = folder.tags_file if changed else folder.plan_file
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    if changed and not matches_checksum(content):
        raise RunError(f"{path} is damaged: it does not match its checksum")
    try:
        if changed:
            return msgspec.json.decode(content, type=_TagsFile).tags
        said = msgspec.json.decode(content, type=_OfPlan).experiment.tags
        return {name: value and hidden(name, value) for name, value in said.items()}
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


def change_tags(folder: RunFolder, added: Mapping[str, str | None], removed: Sequence[str]) -> Tags:
    """Add tags, without secrets, and remove some; returns those of the run then. Calls of several processes follow each other.

    Raises:
        RunError: tags.json or the plan is damaged; or the run has none of a name to remove.
    """
    # A list of runs reads thousands of tags and changes none: it is not to wait for this.
    from specplan.store.run_files import locked

    with locked(folder.path):
        tags = read_tags(folder)
        for name in removed:
            if name not in tags:
                known = ", ".join(f"`{each}`" for each in tags) or "none"
                raise RunError(f"run `{folder.path}` has no tag `{name}`; it has {known}")
            del tags[name]
        return _write(folder, tags | redacted(added))


def set_tags(folder: RunFolder, tags: Mapping[str, str | None]) -> Tags:
    """Put tags, without secrets, in the place of those of a run; returns them."""
    from specplan.store.run_files import locked

    with locked(folder.path):
        return _write(folder, redacted(tags))


def _write(folder: RunFolder, tags: Tags) -> Tags:
    from specplan.base.files import write_atomically

    tags = dict(sorted(tags.items()))
    write_atomically(folder.tags_file, encode_checked(_TagsFile(tags)))
    return tags
