"""Files of a run: `exp.files("models").save(model, to="model.safetensors")`."""

from __future__ import annotations

import fnmatch
import glob
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.redaction import redacted
from specplan.errors import RunError
from specplan.results.catalogue import is_pattern
from specplan.spec.wording import choices
from specplan.store.artifact_formats import Format
from specplan.store.fields import DELETED, FILE_NOTES
from specplan.track.file_formats import IMAGES, figure_format, image_format, video_format
from specplan.track.plain import plain

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Container, Sequence

    from specplan.results.artifacts import Artifact
    from specplan.track.run import TrackedRun

_TENSORS = ".safetensors"
_OF_TORCH = (".pt", ".pth")


class Notes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a program says of a file. What is not said stays as it was."""

    description: str | None = None
    tags: list[str] | None = None
    bindrs: list[str] | None = None
    metadata: dict[str, Any] | None = None


class Files:
    """The files below one folder of a run's artifacts. A name that is saved again has the newer file.

    Nothing is pickled: weights are stored as safetensors, arrays as npy, frames as Parquet.

    `files("models/best.pt")` is also the file of that name, for `download`, `read_text`, `exists`, `update`
    and `delete` without a name. Where a name is asked for, that of a file below a deeper folder will do,
    if it is the only one; a pattern such as `*.png` means all files whose name or path matches.
    """

    def __init__(
        self,
        folder: str,
        run: Callable[[], TrackedRun],
        notes: Notes | None = None,
        *,
        file_id: str | None = None,
        dest_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.folder = folder.strip("/")
        self._run = run
        self._notes = notes or Notes()
        self._file_id = file_id
        self._dest_path = dest_path

    def __call__(
        self,
        folder: str | None = None,
        *,
        prefix: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        bindrs: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        file_id: str | None = None,
        dest_path: str | os.PathLike[str] | None = None,
    ) -> Files:
        """The files of a folder below this one.

        Args:
            folder: its path; `prefix` says the same.
            description: said of every file that is saved; so are `tags`, `bindrs` and `metadata`. `list`
                gives the files that have all of the tags and bindrs.
            file_id: the one file of this id instead.
            dest_path: where `download` puts it.
        """
        below = "/".join(part.strip("/") for part in (folder, prefix) if part)
        notes = Notes(
            description=description,
            tags=None if tags is None else list(tags),
            bindrs=None if bindrs is None else list(bindrs),
            metadata=None if metadata is None else plain(metadata, "metadata"),
        )
        return Files(
            f"{self.folder}/{below}", self._run, notes, file_id=file_id, dest_path=dest_path
        )

    def save(self, obj: Any, to: str | None = None, **said: Any) -> dict[str, Any]:
        """Keep an object, or a copy of a file or folder.

        Args:
            obj: the path of a file or folder, as text or path; bytes; a mapping or list of plain values,
                an array, tensor or state of a model, a frame or a figure.
            to: name below this folder; needed for what is no path. Its suffix may choose the format: an array
                as `.png` or `.jpg` is an image.
            said: of this file: description, tags, bindrs and metadata.

        Returns:
            `id`; `name` below this folder; `filename`, its last part, and `path`, the folder of it;
            `sizeBytes`, `contentType`, `checksum` (BLAKE3), and what was said of the file.

        Raises:
            RuntimeError: the run has not begun, or is over.
            FileNotFoundError: there is nothing at the path.
            TypeError: the object could only be pickled.
            ValueError: it has no name, or one that leaves the folder.
        """
        if said:
            return self(**said).save(obj, to)
        value = Path(obj) if isinstance(obj, str) else obj
        name = to or (value.name if isinstance(value, Path) else None)
        if name is None:
            raise ValueError(f"a {type(obj).__name__} has no name of its own: say one with `to=`")
        if hasattr(value, "state_dict"):
            return self.save_torch(value, name)
        if name.lower().endswith(IMAGES) and hasattr(value, "__array__"):
            return self.save_image(value, name)
        return self._save(name, value)

    def upload(
        self, path: str | os.PathLike[str], to: str | None = None, **said: Any
    ) -> dict[str, Any]:
        """Keep a copy of a file or folder; see `save`."""
        return self.save(Path(path), to, **said)

    def save_text(self, text: str, to: str) -> dict[str, Any]:
        """Keep a text."""
        return self._save(to, text)

    def save_json(self, value: Any, to: str) -> dict[str, Any]:
        """Keep a value as JSON."""
        return self._save(to, value)

    def save_blob(self, data: bytes, to: str) -> dict[str, Any]:
        """Keep bytes."""
        return self._save(to, data)

    def save_torch(self, model: Any, to: str) -> dict[str, Any]:
        """Keep the tensors of a module, or of a state, as safetensors; `best.pt` becomes, and finds, `best.safetensors`."""
        state = model.state_dict() if hasattr(model, "state_dict") else model
        name = to if to.endswith(_TENSORS) else f"{to.rsplit('.', 1)[0]}{_TENSORS}"
        return self._save(name, state)

    def save_pkl(self, obj: Any, to: str) -> dict[str, Any]:
        """Refuse: reading a pickle runs what it holds.

        Raises:
            TypeError: always, with what to call instead.
        """
        raise TypeError(
            f"`{to}`: a {type(obj).__name__} is not pickled, for reading a pickle runs what it holds\n"
            "hint: save_json, save_torch, or save of arrays, frames and plain values"
        )

    def save_image(self, image: Any, to: str, quality: int = 95) -> dict[str, Any]:
        """Keep an array as an image.

        Args:
            image: height x width, or height x width x 1 to 4; bytes, or floats from 0 to 1, to which others
                are stretched.
            to: name with the suffix `.png`; or `.jpg`, which needs pillow.
            quality: of a `.jpg`, from 1 to 100.

        Raises:
            ValueError: the array is no image, or the name is that of another format.
            RunError: pillow is needed, and is not there.
        """
        return self._save(to, image_format(to, image, quality))

    def save_video(
        self, frames: Sequence[Any], to: str, fps: float = 20, **options: Any
    ) -> dict[str, Any]:
        """Keep images, one after the other.

        Args:
            frames: images as for `save_image`, all of one size.
            to: name; `.png` is an animated PNG, `.gif` needs pillow, others such as `.mp4` imageio.
            fps: frames per second.
            options: for the writer, such as the quality.

        Raises:
            ValueError: there are no frames, or one is no image.
            RunError: pillow or imageio is needed, and is not there.
        """
        return self._save(to, video_format(to, frames, fps, options))

    def save_fig(self, fig: Any = None, to: str = "figure.png", **options: Any) -> dict[str, Any]:
        """Keep a figure of matplotlib in the format of the name's suffix, and close it.

        Args:
            fig: by default the current one of pyplot.
            to: name with the suffix `.png`, `.svg`, `.pdf`, `.jpg` or another that the figure can write.
            options: for `savefig`, such as the dpi.

        Raises:
            ValueError: there is no figure.
        """
        form, close = figure_format(to, fig, options)
        described = self._save(to, form)
        close()
        return described

    def list(self, pattern: str = "*") -> list[dict[str, Any]]:
        """The newest files below this folder whose names match, in the order in which they were first saved."""
        return [
            described
            for name, artifact in self._present().items()
            if _is_called(self._short(name), pattern)
            and self._is_meant(described := self._described(artifact))
        ]

    def exists(self, name: str | None = None) -> bool:
        """Whether there is a file of this name."""
        everything = self._run().artifacts()
        return _kept_as(self._long(name), everything) in everything

    def read_text(self, name: str | None = None) -> str:
        """The text of a file."""
        return self._artifact(name).path.read_text("utf-8")

    def download(self, name: str | None = None, to: str | os.PathLike[str] | None = None) -> Any:
        """Copy a file, after a look whether it is what was saved; by default into the current folder.

        Returns:
            The path of the copy; of a pattern, a list of those in the folder `to`.
        """
        if name is not None and is_pattern(name):
            folder = Path(to or self._dest_path or ".")
            folder.mkdir(parents=True, exist_ok=True)
            return [_copied(each, folder / Path(each.name).name) for each in self._matching(name)]
        artifact = self._artifact(name)
        target = Path(to or self._dest_path or Path(artifact.name).name)
        return _copied(artifact, target)

    def duplicate(self, source: str | Mapping[str, Any], to: str) -> dict[str, Any]:
        """Save a file under a second name.

        Args:
            source: its name or id, or what `save` said of it.
            to: the second name.

        Raises:
            ValueError: the source is none of these.
            RunError: there is no such file.
        """
        wanted = source.get("id") if isinstance(source, Mapping) else source
        if not isinstance(wanted, str):
            raise ValueError(
                f"the source must be the name or id of a file, or what save said of it, not {source!r}"
            )
        return self._save(to, self._artifact(wanted).path)

    def update(self) -> dict[str, Any]:
        """Say anew of a file what `files(...)` was given: description, tags, bindrs, metadata."""
        artifact = self._artifact(None)
        self._note(self._id(artifact))
        return self._described(artifact)

    def delete(self, name: str | None = None) -> Any:
        """Leave a file out of what is listed. Its bytes stay in the run.

        Returns:
            What `list` said of it; of a pattern, a list of these.
        """
        if name is not None and is_pattern(name):
            return [self._delete(each) for each in self._matching(name)]
        return self._delete(self._artifact(name))

    def _delete(self, artifact: Artifact) -> dict[str, Any]:
        described = self._described(artifact)
        note = msgspec.json.encode([artifact.name, artifact.version])
        self._run().record_text(DELETED, note.decode())
        return described

    def _save(self, name: str, value: Any) -> dict[str, Any]:
        name = self._long(name.lstrip("/"))
        if isinstance(value, Format):
            value = msgspec.structs.replace(value, name=self._long(value.name.lstrip("/")))
        row = self._run().log_artifact(name, value)
        if self._notes != Notes():
            self._note(row.file)
        return {
            **_described(
                row.file, row.name, self._short(row.name), msgspec.to_builtins(self._notes)
            ),
            "sizeBytes": row.bytes,
            "contentType": row.media_type,
            "checksum": row.blake3,
        }

    def _note(self, file: str) -> None:
        said = redacted(msgspec.to_builtins(self._notes))
        self._run().record_text(FILE_NOTES, msgspec.json.encode([file, said]).decode())

    def _described(self, artifact: Artifact) -> dict[str, Any]:
        file = self._id(artifact)
        return {
            **_described(file, artifact.name, self._short(artifact.name), self._said(file)),
            "sizeBytes": artifact.bytes,
            "contentType": artifact.media_type,
            "checksum": artifact.digest,
        }

    def _said(self, file: str) -> dict[str, Any]:
        """What was said of a file, the last of each kind."""
        said: dict[str, Any] = {}
        for noted, fields in self._run().documents(FILE_NOTES, tuple[str, dict[str, Any]]):
            said |= fields if noted == file else {}
        return said

    def _is_meant(self, described: Mapping[str, Any]) -> bool:
        """Whether a file has the tags and bindrs that were asked for."""
        wanted = {"tags": self._notes.tags, "bindrs": self._notes.bindrs}
        return all(set(each or ()) <= set(described.get(key, ())) for key, each in wanted.items())

    def _present(self) -> dict[str, Artifact]:
        """The files below this folder, and that of its own name."""
        below = f"{self.folder}/" if self.folder else ""
        return {
            name: artifact
            for name, artifact in self._run().artifacts().items()
            if name.startswith(below) or name == self.folder
        }

    def _matching(self, pattern: str) -> Sequence[Artifact]:
        present = self._present()
        return [present[name] for name in present if _is_called(self._short(name), pattern)]

    def _artifact(self, name: str | None) -> Artifact:
        """The file of a name or id; without either, that which the folder is the name of."""
        everything = self._run().artifacts()
        wanted = _kept_as(self._long(name and name.lstrip("/")), everything)
        if wanted in everything and self._file_id is None:
            return everything[wanted]
        found = [each for each in everything.values() if self._id(each) == (self._file_id or name)]
        if not found and self._file_id is None:
            below = f"{self.folder}/" if self.folder and name is not None else ""
            end = f"*/{glob.escape(self.folder if name is None else name)}"
            found = [
                each
                for each in everything.values()
                if each.name.startswith(below) and _is_called(each.name, end)
            ]
        if len(found) == 1:
            return found[0]
        asked = self._file_id or (self.folder if name is None else name)
        if found:
            raise RunError(f"several files are `{asked}`: {', '.join(each.name for each in found)}")
        known = choices(asked, [self._short(each) for each in self._present()] or [*everything])
        raise RunError(f"no file `{asked}`; there: {known or 'none'}")

    def _id(self, artifact: Artifact) -> str:
        return artifact.path.relative_to(self._run().folder.artifacts).as_posix()

    def _long(self, name: str | None) -> str:
        if name is None:
            return self.folder
        return f"{self.folder}/{name}" if self.folder else name

    def _short(self, name: str) -> str:
        return name.removeprefix(f"{self.folder}/") if self.folder else name


def _kept_as(name: str, names: Container[str]) -> str:
    """The name under which a file of this name is: that of tensors has another suffix than torch gives it."""
    stem, _, suffix = name.rpartition(".")
    kept = f"{stem}{_TENSORS}"
    return kept if f".{suffix}" in _OF_TORCH and name not in names and kept in names else name


def _is_called(name: str, pattern: str) -> bool:
    """Whether a name matches a pattern, that of tensors also with a suffix that torch gives them."""
    stem = name.removesuffix(_TENSORS)
    names = [name, *(stem + suffix for suffix in _OF_TORCH if stem != name)]
    return any(fnmatch.fnmatchcase(each, pattern) for each in names)


def _copied(artifact: Artifact, target: Path) -> Path:
    artifact.check()
    copy = shutil.copytree if artifact.path.is_dir() else shutil.copyfile
    return Path(copy(artifact.path, target))


def _described(file: str, name: str, short: str, said: Mapping[str, Any]) -> dict[str, Any]:
    folder, _, last = name.rpartition("/")
    return {"id": file, "name": short, "filename": last, "path": f"/{folder}", **said}
