"""Boxes and arrows as an SVG picture that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

_LETTER = 7.2
"""Width of a character in a picture's 12-pixel monospace text."""
_LINE, _GAP, _PAD = 16.0, 26.0, 12.0
_LONGEST = 30
_ROUNDING = {"data": 12, "outputs": 14, "phase": 8}

_STYLE = (
    ".drawing text{font:12px ui-monospace,monospace;fill:var(--ink,#1f2430)}"
    ".drawing .dim{fill:var(--dim,#667085);font-size:11px}"
    ".drawing .page{fill:var(--card,#ffffff)}"
    ".drawing .box rect{fill:var(--box,#f6f7f9);stroke:var(--line,#98a2b3)}"
    ".drawing .torch rect{stroke:var(--s0,#2563eb)}.drawing .sklearn rect{stroke:var(--s1,#d97706)}"
    ".drawing .frame{fill:none;stroke:var(--line,#98a2b3);stroke-dasharray:3 3}"
    ".drawing .faded rect{stroke-dasharray:4 3}"
    ".drawing path{fill:none;stroke:var(--line,#98a2b3)}"
)


class Boxed(Protocol):
    """A box: its text has a name in the first line, and remarks in those after it."""

    @property
    def name(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def form(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def within(self) -> str | None: ...
    @property
    def faded(self) -> bool: ...


class Arrow(Protocol):
    """An arrow between two boxes."""

    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def text(self) -> str: ...


class _Place(msgspec.Struct, frozen=True):
    x: float
    y: float
    width: float
    height: float


def svg(boxes: Sequence[Boxed], arrows: Sequence[Arrow], *, title: str) -> str:
    """The boxes from left to right along their arrows, as one element without scripts or fonts.

    Colours are CSS variables of the page around it (`--ink`, `--dim`, `--card`, `--box`, `--line`, `--s0`, `--s1`),
    with defaults for a page without them.
    """
    places = _places(boxes, arrows)
    frames = _frames(boxes, places)
    around = [*places.values(), *(place for _, place in frames)]
    width = max((place.x + place.width for place in around), default=0) + _PAD
    height = max((place.y + place.height for place in around), default=0) + _PAD
    parts = [
        f'<svg class="drawing" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        f'<style>{_STYLE}</style><rect class="page" width="100%" height="100%"/>'
    ]
    for frame, place in frames:
        parts.append(_rectangle(place, rounding=6, css="frame"))
        parts.append(_text(frame, place.x + 6, place.y + 13, anchor="start", css="dim"))
    parts += [_arrow(arrow, places[arrow.source], places[arrow.target]) for arrow in arrows]
    parts += [_drawn(box, places[box.name]) for box in boxes]
    return "".join([*parts, "</svg>"])


def _layers(boxes: Sequence[Boxed], arrows: Sequence[Arrow]) -> dict[str, int]:
    """How many arrows lead to each box at most."""
    found = {box.name: 0 for box in boxes}
    for _ in found:
        before = dict(found)
        for arrow in arrows:
            found[arrow.target] = max(found[arrow.target], found[arrow.source] + 1)
        if found == before:
            break
    return found


def _places(boxes: Sequence[Boxed], arrows: Sequence[Arrow]) -> dict[str, _Place]:
    layers = _layers(boxes, arrows)
    columns: dict[int, list[Boxed]] = {}
    for box in boxes:
        columns.setdefault(layers[box.name], []).append(box)
    framed = any(box.within for box in boxes)
    top = _PAD + (_LINE + _PAD if framed else 0.0)
    tallest = max((_height(column) for column in columns.values()), default=0.0)
    places: dict[str, _Place] = {}
    x = _PAD * (2 if framed else 1)
    for layer in sorted(columns):
        column = columns[layer]
        texts = [len(_short(arrow.text)) for arrow in arrows if layers[arrow.target] == layer]
        x += max(texts, default=0) * _LETTER
        width = max(_size(box.text)[0] for box in column)
        # A frame is drawn around boxes that are side by side, not in the middle of other ones.
        y = top + (0.0 if framed else (tallest - _height(column)) / 2)
        for box in column:
            height = _size(box.text)[1]
            places[box.name] = _Place(x, y, width, height)
            y += height + _GAP
        x += width + _GAP * 1.5
    return places


def _height(column: Sequence[Boxed]) -> float:
    return sum(_size(box.text)[1] + _GAP for box in column) - _GAP


def _frames(boxes: Sequence[Boxed], places: dict[str, _Place]) -> list[tuple[str, _Place]]:
    frames = []
    for within in dict.fromkeys(box.within for box in boxes if box.within is not None):
        inside = [places[box.name] for box in boxes if box.within == within]
        left, top = min(p.x for p in inside) - _PAD, min(p.y for p in inside) - _LINE - 6
        right = max(max(p.x + p.width for p in inside) + _PAD, left + _size(within)[0])
        bottom = max(p.y + p.height for p in inside) + _PAD
        frames.append((within, _Place(left, top, right - left, bottom - top)))
    return frames


def _size(text: str) -> tuple[float, float]:
    lines = text.split("\n")
    return max(len(_short(line)) for line in lines) * _LETTER + 2 * _PAD, len(lines) * _LINE + _PAD


def _drawn(box: Boxed, place: _Place) -> str:
    css = " ".join(word for word in ("box", box.backend, "faded" if box.faded else "") if word)
    lines = box.text.split("\n")
    first = place.y + place.height / 2 - (len(lines) - 1) * _LINE / 2 + 4
    middle = place.x + place.width / 2
    written = [
        _text(line, middle, first + index * _LINE, css="dim" if index else "")
        for index, line in enumerate(lines)
    ]
    outline = _rectangle(place, rounding=_ROUNDING.get(box.form, 4))
    return f'<g class="{css}">{outline}{"".join(written)}</g>'


def _rectangle(place: _Place, *, rounding: int, css: str = "") -> str:
    said = f' class="{css}"' if css else ""
    return (
        f'<rect{said} x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" '
        f'height="{place.height:.1f}" rx="{rounding}"/>'
    )


def _arrow(arrow: Arrow, source: _Place, target: _Place) -> str:
    x1, y1 = source.x + source.width, source.y + source.height / 2
    x2, y2 = target.x, target.y + target.height / 2
    bend = (x1 + x2) / 2
    line = (
        f'<path d="M{x1:.1f},{y1:.1f} C{bend:.1f},{y1:.1f} {bend:.1f},{y2:.1f} {x2 - 7:.1f},{y2:.1f}"/>'
        f'<path d="M{x2 - 7:.1f},{y2 - 4:.1f} L{x2:.1f},{y2:.1f} L{x2 - 7:.1f},{y2 + 4:.1f}"/>'
    )
    if not arrow.text:
        return line
    # Beside its target: arrows that leave one box would write over each other.
    return line + _text(arrow.text, x2 - 12, y2 - 6, anchor="end", css="dim")


def _text(text: str, x: float, y: float, *, anchor: str = "middle", css: str = "") -> str:
    said = f' class="{css}"' if css else ""
    shown = _short(text)
    whole = f"<title>{escape(text)}</title>" if shown != text else ""
    return (
        f'<text{said} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{whole}{escape(shown)}</text>'
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
