"""How images, videos and figures become files."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from specplan.errors import RunError
from specplan.store.artifact_formats import MEDIA_TYPES, OTHER, Format
from specplan.store.images import animated_png, film, pixels, png

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

_PHOTOS = (".jpg", ".jpeg")
IMAGES = (".png", *_PHOTOS)
"""The suffixes of images that arrays are stored as."""
_MILLISECONDS = 1000


def image_format(name: str, image: Any, quality: int) -> Format:
    """An array as an image.

    Raises:
        ValueError: the array is no image, or the name is that of another format.
        RunError: pillow is needed, and is not there.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in IMAGES:
        raise ValueError(f"`{name}`: an image of an array is stored as {' or '.join(IMAGES)}")
    if suffix in _PHOTOS:
        photo = _picture(name, pixels(image))
        write = partial(photo.save, format="JPEG", quality=quality, optimize=True)
        return _format(name, "file", write)
    content = png(image)
    return _format(name, "file", lambda path: path.write_bytes(content))


def video_format(
    name: str, frames: Sequence[Any], frames_per_second: float, options: Mapping[str, Any]
) -> Format:
    """Images, one after the other.

    Raises:
        ValueError: there are no frames, or one is no image.
        RunError: pillow or imageio is needed, and is not there.
    """
    if len(frames) == 0:
        raise ValueError("frame_stack is empty: there are no frames")
    if not frames_per_second > 0:
        raise ValueError(f"{frames_per_second} frames per second are none")
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".png":
        content = animated_png(frames, frames_per_second)
        return _format(name, "file", lambda path: path.write_bytes(content))
    if suffix == ".gif":
        pictures = [_picture(name, frame) for frame in film(frames)]
        pause = round(_MILLISECONDS / frames_per_second)
        moving = {"save_all": True, "append_images": pictures[1:], "duration": pause, "loop": 0}
        return _format(
            name, "file", partial(pictures[0].save, format="GIF", **{**moving, **options})
        )
    imageio = _needed("imageio.v3", name)
    shown = [frame.repeat(3, axis=2) if frame.shape[2] == 1 else frame for frame in film(frames)]
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


def _picture(name: str, shown: NDArray[np.uint8]) -> Any:
    """Pixels as a picture of pillow, without alpha: what is clear is white."""
    pillow = _needed("PIL.Image", name)
    picture = pillow.fromarray(shown[:, :, 0] if shown.shape[2] == 1 else shown)
    if "A" not in picture.mode:
        return picture
    ground = pillow.new("RGBA", picture.size, "white")
    return pillow.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")


def _needed(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise RunError(
            f"`{name}`: this format needs the package {module.partition('.')[0]}, which is not installed\n"
            f"hint: pip install 'specplan[media]'; `.png`, also of videos, needs nothing"
        ) from error


def _write_video(
    imageio: Any, frames: Sequence[Any], suffix: str, options: Mapping[str, Any], path: Path
) -> None:
    content = imageio.imwrite("<bytes>", frames, extension=suffix, **options)
    path.write_bytes(content)
