"""Pictures of arrays as PNG, and moving ones as animated PNG: both without loss, and without another library."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""What PNG calls gray, gray with alpha, RGB and RGBA, by how many numbers a pixel has."""
_MILLISECONDS = 1000


def pixels(image: Any) -> NDArray[np.uint8]:
    """An image as rows of pixels of 1 to 4 bytes.

    Args:
        image: height x width, or height x width x 1 to 4: floats from 0 to 1, bytes, or truth values.
            Floats of another range are stretched to it, from the least to the greatest.

    Raises:
        ValueError: it has another shape, or a value that is no brightness.
    """
    return film([image])[0]


def film(frames: Sequence[Any]) -> list[NDArray[np.uint8]]:
    """Images as `pixels` gives each, but all stretched alike, so that the same float has the same brightness in each.

    Raises:
        ValueError: see `pixels`.
    """
    arrays = [_checked(frame) for frame in frames]
    floats = [array for array in arrays if array.dtype.kind == "f"]
    least = min((float(array.min()) for array in floats), default=0.0)
    greatest = max((float(array.max()) for array in floats), default=1.0)
    if least >= 0 and greatest <= 1:
        least, greatest = 0.0, 1.0
    return [_as_bytes(array, least, greatest) for array in arrays]


def _checked(image: Any) -> NDArray[Any]:
    """An image as height x width x numbers."""
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in _COLOURS or not array.size:
        raise ValueError(
            f"an image is height x width, or height x width x 1 to 4, not {' x '.join(map(str, array.shape))}"
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise ValueError("a pixel is a finite number")
    if array.dtype.kind in "iu" and not (array.min() >= 0 and array.max() <= 255):
        raise ValueError(
            f"the pixels of an image of {array.dtype} are from 0 to 255, and these from {array.min():g} to {array.max():g}"
        )
    return array


def _as_bytes(array: NDArray[Any], least: float, greatest: float) -> NDArray[np.uint8]:
    """Numbers of 0 to 255; of floats the least and the greatest are black and white."""
    if array.dtype.kind in "iu":
        return array.astype(np.uint8)
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    stretched = (array.astype(np.float64) - least) / ((greatest - least) or 1)
    return np.asarray(np.round(stretched * 255), np.uint8)


def png(image: Any) -> bytes:
    """An image as PNG.

    Raises:
        ValueError: see `pixels`.
    """
    return animated_png([image], 1)


def animated_png(frames: Sequence[Any], frames_per_second: float) -> bytes:
    """Images of one size, one after the other for ever, stretched as one `film`; one alone is a plain PNG.

    Raises:
        ValueError: there is none, they have several sizes, or see `pixels`.
    """
    shown = film(frames)
    if not shown:
        raise ValueError("there are no frames")
    if len({frame.shape for frame in shown}) > 1:
        raise ValueError("the frames have several sizes")
    if not frames_per_second > 0:
        raise ValueError(f"{frames_per_second} frames per second are none")
    height, width, depth = shown[0].shape
    size = struct.pack(">II", width, height)
    pause = struct.pack(">HH", round(_MILLISECONDS / frames_per_second), _MILLISECONDS)
    parts = [_SIGNATURE, _chunk(b"IHDR", size + bytes([8, _COLOURS[depth], 0, 0, 0]))]
    if len(shown) > 1:
        parts.append(_chunk(b"acTL", struct.pack(">II", len(shown), 0)))
    number = 0
    for index, frame in enumerate(shown):
        if len(shown) > 1:
            place = struct.pack(">I", number) + size + bytes(8) + pause + bytes(2)
            parts.append(_chunk(b"fcTL", place))
            number += 1
        lines = zlib.compress(np.pad(frame.reshape(height, -1), ((0, 0), (1, 0))).tobytes())
        if index == 0:
            parts.append(_chunk(b"IDAT", lines))
        else:
            parts.append(_chunk(b"fdAT", struct.pack(">I", number) + lines))
            number += 1
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
