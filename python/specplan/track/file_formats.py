"""How images, videos and figures become files."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from specplan.errors import RunError
from specplan.store.artifact_formats import MEDIA_TYPES, OTHER, Format
from specplan.store.images import animated_png, pixels, png

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def image_format(name: str, image: Any) -> Format:
    """An array as an image.

    Raises:
        ValueError: the array is no image, or the name is that of another format.
    """
    if PurePosixPath(name).suffix.lower() != ".png":
        raise ValueError(f"`{name}`: an image of an array is stored as `.png`")
    content = png(image)
    return _format(name, "file", lambda path: path.write_bytes(content))


def video_format(
    name: str, frames: Sequence[Any], frames_per_second: float, options: Mapping[str, Any]
) -> Format:
    """Images, one after the other.

    Raises:
        ValueError: there are no frames, or one is no image.
        RunError: imageio is needed, and is not there.
    """
    if len(frames) == 0:
        raise ValueError("frame_stack is empty: there are no frames")
    if PurePosixPath(name).suffix.lower() == ".png":
        content = animated_png(frames, frames_per_second)
        return _format(name, "file", lambda path: path.write_bytes(content))
    try:
        imageio = import_module("imageio.v3")
    except ImportError as error:
        raise RunError(
            f"`{name}`: a video of this format needs the package imageio, which is not installed\n"
            "hint: `.png` is an animated PNG, which needs nothing; else install imageio[ffmpeg]"
        ) from error
    shown = [pixels(frame) for frame in frames]
    shown = [frame.repeat(3, axis=2) if frame.shape[2] == 1 else frame for frame in shown]
    suffix = PurePosixPath(name).suffix
    write = partial(_write_video, imageio, shown, suffix, {"fps": frames_per_second, **options})
    return _format(name, "file", write)


def figure_format(
    name: str, figure: Any, options: Mapping[str, Any]
) -> tuple[Format, Callable[[], object]]:
    """A figure in the format of the name's suffix, and what closes it.

    Raises:
        ValueError: there is no figure.
    """
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if figure is None:
        if pyplot is None or not pyplot.get_fignums():
            raise ValueError("there is no figure: none was given, and pyplot has none")
        figure = pyplot.gcf()
    if not PurePosixPath(name).suffix:
        name = f"{name}.png"
    kind = PurePosixPath(name).suffix.lower().removeprefix(".")
    form = _format(name, "figure", partial(figure.savefig, **{"format": kind, **options}))
    return form, partial(pyplot.close, figure) if pyplot is not None else lambda: None


def _format(name: str, kind: str, write: Callable[[Path], object]) -> Format:
    media_type = MEDIA_TYPES.get(PurePosixPath(name).suffix.lower(), OTHER)
    return Format(name=name, kind=kind, media_type=media_type, write=write)


def _write_video(
    imageio: Any, frames: Sequence[Any], suffix: str, options: Mapping[str, Any], path: Path
) -> None:
    content = imageio.imwrite("<bytes>", frames, extension=suffix, **options)
    path.write_bytes(content)
