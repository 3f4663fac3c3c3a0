"""A picture of boxes and arrows: as Mermaid, as SVG, and in a notebook. Needs no network."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Literal

import msgspec

from specplan.base.svg import svg

Form = Literal["data", "node", "merge", "loss", "outputs", "phase"]

_MERMAID: dict[Form, tuple[str, str]] = {
    "data": ("[(", ")]"),
    "node": ("[", "]"),
    "merge": ("[/", "\\]"),
    "loss": ("{{", "}}"),
    "outputs": ("([", "])"),
    "phase": ("(", ")"),
}


class Box(msgspec.Struct, frozen=True):
    """One box. A group of boxes is drawn around those that name it in `within`.

    Attributes:
        name: by which edges name it: letters, digits and underscores.
        text: what stands in it; line breaks are kept.
        form: what it stands for, by its shape.
        within: title of the frame that it is in.
        faded: whether it is drawn as something that stands still.
        backend: what computes it, by its colour: "torch", "sklearn" or nothing.
    """

    name: str
    text: str
    form: Form = "node"
    within: str | None = None
    faded: bool = False
    backend: str = ""


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
                lines.append(f'    subgraph in_{_word(within)}["{_quoted(within)}"]')
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

    def to_svg(self, *, title: str = "drawing") -> str:
        """The drawing as one SVG element, without scripts, fonts or anything else from outside.

        `title` is what a screen reader says of it."""
        return svg(self.boxes, self.edges, title=title)

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
