"""A picture of boxes and arrows: as Mermaid, as SVG, and in a notebook. Needs no network."""

from __future__ import annotations

import html
import importlib
import sys
from typing import Any, Literal

import msgspec

Form = Literal["data", "node", "merge", "loss", "outputs", "phase"]

_MERMAID: dict[Form, tuple[str, str]] = {
    "data": ("[(", ")]"),
    "node": ("[", "]"),
    "merge": ("[/", "\\]"),
    "loss": ("{{", "}}"),
    "outputs": ("([", "])"),
    "phase": ("(", ")"),
}
_FILLS: dict[Form, str] = {
    "data": "#e8f1fb",
    "node": "#ffffff",
    "merge": "#f4effa",
    "loss": "#fdf1e3",
    "outputs": "#eef7ee",
    "phase": "#f6f6f6",
}
_LETTER, _LINE, _GAP, _PAD = 7.2, 16.0, 26.0, 12.0


class Box(msgspec.Struct, frozen=True):
    """One box. A group of boxes is drawn around those that name it in `within`.

    Attributes:
        name: by which edges name it: letters, digits and underscores.
        text: what stands in it; line breaks are kept.
        within: title of the frame that it is in.
        faded: whether it is drawn as something that stands still.
    """

    name: str
    text: str
    form: Form = "node"
    within: str | None = None
    faded: bool = False


class Edge(msgspec.Struct, frozen=True):
    """An arrow between two boxes."""

    source: str
    target: str
    text: str = ""


class Drawing:
    """Boxes and arrows from left to right.

    A notebook shows the picture, a terminal a few lines, `print` and what is not a terminal Mermaid text.
    """

    def __init__(self, boxes: list[Box], edges: list[Edge]) -> None:
        self.boxes = boxes
        self.edges = edges
        self._was_shown = False

    def to_mermaid(self) -> str:
        """The drawing as a Mermaid flowchart."""
        lines = ["flowchart LR"]
        for within in dict.fromkeys(box.within for box in self.boxes):
            indent = "    " if within is None else "        "
            if within is not None:
                lines.append(f'    subgraph {_word(within)}["{_quoted(within)}"]')
            for box in self.boxes:
                if box.within == within:
                    opening, closing = _MERMAID[box.form]
                    lines.append(f'{indent}{box.name}{opening}"{_quoted(box.text)}"{closing}')
            if within is not None:
                lines.append("    end")
        for edge in self.edges:
            text = f' "{_quoted(edge.text)}" --' if edge.text else ""
            lines.append(f"    {edge.source} --{text}> {edge.target}")
        lines += [f"    style {box.name} stroke-dasharray: 4" for box in self.boxes if box.faded]
        return "\n".join(lines)

    def to_text(self) -> str:
        """The drawing as lines for a person to read, each a path along the arrows."""
        return "\n".join(_lines(self))

    def to_svg(self) -> str:
        """The drawing as one SVG element, without scripts, fonts or anything else from outside."""
        return _svg(self)

    def to_html(self) -> str:
        """The SVG in an element that scrolls where it is wider than the page."""
        return f'<div style="overflow-x:auto">{self.to_svg()}</div>'

    def shown(self) -> Drawing:
        """Show it, as a picture in a notebook and as text elsewhere; returns itself."""
        if _in_notebook():
            _ipython().display(self)
            self._was_shown = True
        else:
            # A program that reads the text wants to hand it on; a person wants to see it.
            text = self.to_text() if sys.stdout.isatty() else self.to_mermaid()
            print(text)  # noqa: T201 -- to show it is what the caller asks for
        return self

    def __str__(self) -> str:
        return self.to_mermaid()

    def __repr__(self) -> str:
        return f"Drawing({len(self.boxes)} boxes, {len(self.edges)} edges)"

    def _ipython_display_(self) -> None:
        """Show the picture, but not again as the value of the cell that has just shown it."""
        if self._was_shown:
            self._was_shown = False
            return
        _ipython().display(_ipython().HTML(self.to_html()))


def _ipython() -> Any:
    return importlib.import_module("IPython.display")


def _in_notebook() -> bool:
    """Whether a notebook runs the program. Imports nothing: a notebook has imported IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _quoted(text: str) -> str:
    return text.replace('"', "'").replace("\n", "<br/>")


def _word(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text)


def _lines(drawing: Drawing) -> list[str]:
    """Paths that together have every arrow once; a box where arrows part or meet is in several of them."""
    texts = {box.name: box.text.replace("\n", " ") for box in drawing.boxes}
    leaving: dict[str, list[Edge]] = {box.name: [] for box in drawing.boxes}
    for edge in drawing.edges:
        leaving[edge.source].append(edge)
    drawn = set[str]()
    lines: list[str] = []
    frame: str | None = None
    for box in drawing.boxes:
        indent = "" if box.within is None else "  "
        while leaving[box.name] or box.name not in drawn:
            name, line = box.name, texts[box.name]
            drawn.add(name)
            while leaving[name]:
                edge = leaving[name].pop(0)
                name = edge.target
                line += (f" --{edge.text}--> " if edge.text else " --> ") + texts[name]
                drawn.add(name)
            if box.within not in (None, frame):
                lines.append(f"{box.within}:")
            frame = box.within
            lines.append(indent + line)
    return lines


class _Place(msgspec.Struct, frozen=True):
    x: float
    y: float
    width: float
    height: float


def _svg(drawing: Drawing) -> str:
    places = _places(drawing)
    frames = _frames(drawing, places)
    around = [*places.values(), *(place for _, place in frames)]
    width = max((place.x + place.width for place in around), default=0) + _PAD
    height = max((place.y + place.height for place in around), default=0) + _PAD
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="monospace" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>'
    ]
    for title, place in frames:
        parts.append(
            f'<rect x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" '
            'rx="6" fill="none" stroke="#999999" stroke-dasharray="3 3"/>'
        )
        parts.append(_text(title, place.x + 6, place.y + 13, anchor="start", fill="#555555"))
    parts += [_arrow(edge, places[edge.source], places[edge.target]) for edge in drawing.edges]
    parts += [_drawn(box, places[box.name]) for box in drawing.boxes]
    return "".join([*parts, "</svg>"])


def _layers(drawing: Drawing) -> dict[str, int]:
    """How many arrows lead to each box at most."""
    found = {box.name: 0 for box in drawing.boxes}
    for _ in found:
        for edge in drawing.edges:
            found[edge.target] = max(found[edge.target], found[edge.source] + 1)
        if len(set(found.values())) == len(found):
            break
    return found


def _places(drawing: Drawing) -> dict[str, _Place]:
    layers = _layers(drawing)
    columns: dict[int, list[Box]] = {}
    for box in drawing.boxes:
        columns.setdefault(layers[box.name], []).append(box)
    above = _LINE + _PAD if any(box.within for box in drawing.boxes) else 0.0
    places: dict[str, _Place] = {}
    x = _PAD * 2
    for layer in sorted(columns):
        sizes = [_size(box.text) for box in columns[layer]]
        width, y = max(size[0] for size in sizes), _PAD * 2 + above
        for box, (_, height) in zip(columns[layer], sizes, strict=True):
            places[box.name] = _Place(x, y, width, height)
            y += height + _GAP
        texts = [edge.text for edge in drawing.edges if layers[edge.source] == layer]
        between = max((_size(text)[0] for text in texts if text), default=0.0)
        x += width + between + _GAP * 1.5
    return places


def _frames(drawing: Drawing, places: dict[str, _Place]) -> list[tuple[str, _Place]]:
    frames = []
    for within in dict.fromkeys(box.within for box in drawing.boxes if box.within is not None):
        inside = [places[box.name] for box in drawing.boxes if box.within == within]
        left, top = min(p.x for p in inside) - _PAD, min(p.y for p in inside) - _LINE - 6
        right = max(max(p.x + p.width for p in inside) + _PAD, left + _size(within)[0])
        bottom = max(p.y + p.height for p in inside) + _PAD
        frames.append((within, _Place(left, top, right - left, bottom - top)))
    return frames


def _size(text: str) -> tuple[float, float]:
    lines = text.split("\n")
    return max(map(len, lines)) * _LETTER + 2 * _PAD, len(lines) * _LINE + _PAD


def _drawn(box: Box, place: _Place) -> str:
    rounding = {"data": 12, "outputs": 14, "phase": 8}.get(box.form, 3)
    dashed = ' stroke-dasharray="4 3"' if box.faded else ""
    shape = (
        f'<rect x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" '
        f'rx="{rounding}" fill="{_FILLS[box.form]}" stroke="#333333"{dashed}/>'
    )
    lines = box.text.split("\n")
    first = place.y + place.height / 2 - (len(lines) - 1) * _LINE / 2 + 4
    middle = place.x + place.width / 2
    return shape + "".join(
        _text(line, middle, first + index * _LINE) for index, line in enumerate(lines)
    )


def _arrow(edge: Edge, source: _Place, target: _Place) -> str:
    x1, y1 = source.x + source.width, source.y + source.height / 2
    x2, y2 = target.x, target.y + target.height / 2
    bend = (x1 + x2) / 2
    line = (
        f'<path d="M{x1:.1f},{y1:.1f} C{bend:.1f},{y1:.1f} {bend:.1f},{y2:.1f} {x2 - 6:.1f},{y2:.1f}" '
        'fill="none" stroke="#333333"/>'
        f'<path d="M{x2:.1f},{y2:.1f} l-7,-4 l0,8 z" fill="#333333"/>'
    )
    if not edge.text:
        return line
    # Beside its target: arrows that leave one box would write over each other.
    return line + _text(edge.text, (bend + x2) / 2 - 4, (y1 + 3 * y2) / 4 - 4, fill="#555555")


def _text(text: str, x: float, y: float, *, anchor: str = "middle", fill: str = "#111111") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{html.escape(text)}</text>'
