"""Files of a run: `exp.files("models").save(model, to="model.safetensors")`."""

from __future__ import annotations

import fnmatch
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RunError
from specplan.spec.wording import choices

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from specplan.results.artifacts import Artifact
    from specplan.track.run import TrackedRun

DELETED = "deleted_files"
"""The field of the records that tell which version of which file was deleted."""


class Files:
    """The files below one folder of a run's artifacts. A name that is saved again has the newer file.

    Nothing is pickled: weights are stored as safetensors, arrays as npy, frames as Parquet.
    """

    def __init__(self, folder: str, run: Callable[[], TrackedRun]) -> None:
        self.folder = folder.strip("/")
        self._run = run

    def __call__(self, folder: str) -> Files:
        """The files of a folder below this one."""
        return Files(f"{self.folder}/{folder.strip('/')}".strip("/"), self._run)

    def save(self, obj: Any, to: str | None = None) -> dict[str, Any]:
        """Keep an object, or a copy of a file or folder.

        Args:
            obj: the path of a file or folder, as text or path; bytes; a mapping or list of plain values,
                an array, tensor or state of a model, a frame or a figure.
            to: name below this folder; needed for what is no path. Its suffix may choose the format.

        Returns:
            `name`, `path` below the run's artifacts, `sizeBytes`, `contentType` and `checksum` (BLAKE3).

        Raises:
            RuntimeError: the run has not begun, or is over.
            FileNotFoundError: there is nothing at the path.
            TypeError: the object could only be pickled.
            ValueError: it has no name, or one that leaves the folder.
        """
        value = Path(obj) if isinstance(obj, str) else obj
        name = to or (value.name if isinstance(value, Path) else None)
        if name is None:
            raise ValueError(f"a {type(obj).__name__} has no name of its own: say one with `to=`")
        return self._save(name, value)

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
        """Keep the tensors of a module, or of a state, as safetensors."""
        state = model.state_dict() if hasattr(model, "state_dict") else model
        name = to if to.endswith(".safetensors") else f"{to.rsplit('.', 1)[0]}.safetensors"
        return self._save(name, state)

    def save_fig(self, figure: Any, to: str) -> dict[str, Any]:
        """Keep a figure of matplotlib or plotly, in the format of the name's suffix."""
        return self._save(to, figure)

    def list(self, pattern: str = "*") -> list[dict[str, Any]]:
        """The newest files below this folder whose names match, in the order in which they were first saved."""
        return [
            _described(
                self._short(name),
                artifact.name,
                artifact.bytes,
                artifact.media_type,
                artifact.digest,
            )
            for name, artifact in self._present().items()
            if fnmatch.fnmatch(self._short(name), pattern)
        ]

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return self._long(name) in self._present()

    def read_text(self, name: str) -> str:
        """The text of a file."""
        return self._artifact(name).path.read_text("utf-8")

    def download(self, name: str, to: str | os.PathLike[str] | None = None) -> Path:
        """Copy a file, after a look whether it is what was saved; by default into the current folder."""
        artifact = self._artifact(name)
        artifact.check()
        target = Path(to) if to is not None else Path(Path(name).name)
        copy = shutil.copytree if artifact.path.is_dir() else shutil.copyfile
        return Path(copy(artifact.path, target))

    def duplicate(self, name: str, to: str) -> dict[str, Any]:
        """Save a file under a second name."""
        return self._save(to, self._artifact(name).path)

    def delete(self, name: str) -> None:
        """Leave a file out of what is listed. Its bytes stay in the run."""
        artifact = self._artifact(name)
        note = msgspec.json.encode([artifact.name, artifact.version])
        self._run().record_text(DELETED, note.decode())

    def _save(self, name: str, value: Any) -> dict[str, Any]:
        row = self._run().log_artifact(self._long(name), value)
        return _described(name, row.name, row.bytes, row.media_type, row.blake3)

    def _present(self) -> dict[str, Artifact]:
        run = self._run()
        deleted = [msgspec.json.decode(text) for text in run.texts(DELETED)]
        below = f"{self.folder}/" if self.folder else ""
        return {
            name: artifact
            for name, artifact in run.artifacts().items()
            if name.startswith(below) and [name, artifact.version] not in deleted
        }

    def _artifact(self, name: str) -> Artifact:
        present = self._present()
        if self._long(name) not in present:
            known = choices(name, [self._short(each) for each in present])
            raise RunError(f"no file `{name}`; there: {known or 'none'}")
        return present[self._long(name)]

    def _long(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name

    def _short(self, name: str) -> str:
        return name.removeprefix(f"{self.folder}/") if self.folder else name


def _described(name: str, path: str, size: int, media_type: str, digest: str) -> dict[str, Any]:
    return {
        "name": name,
        "path": path,
        "sizeBytes": size,
        "contentType": media_type,
        "checksum": digest,
    }
