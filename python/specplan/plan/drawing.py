"""A graph as an SVG picture that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import msgspec

from specplan.plan.shapes import show

if TYPE_CHECKING:
    from specplan.plan.model import Graph, Node, Read

_BOX_HEIGHT = 46
_GAP_X = 88
_GAP_Y = 20
_MARGIN = 10
_CHARACTER = 7.2
"""Width of a character in a picture's 12-pixel monospace text."""
_LONGEST = 30

_STYLE = (
    ".graph text{font:12px ui-monospace,monospace;fill:var(--ink,#1f2430)}"
    ".graph .dim{fill:var(--dim,#667085);font-size:11px}"
    ".graph rect{fill:var(--box,#f6f7f9);stroke:var(--line,#98a2b3)}"
    ".graph .torch rect{stroke:var(--s0,#2563eb)}.graph .sklearn rect{stroke:var(--s1,#d97706)}"
    ".graph path{fill:none;stroke:var(--line,#98a2b3)}"
)


class _Box(msgspec.Struct):
    """A FeatureSet or a node, at a place that is found when all of its column are known."""

    name: str
    note: str
    kind: str
    reads: list[tuple[str, str]]
    """The boxes that it reads, and what is read of each."""
    column: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        """As wide as its longer line."""
        return max(len(_short(self.name)), len(_short(self.note))) * _CHARACTER + 24


def graph_svg(graph: Graph, *, title: str = "graph") -> str:
    """The FeatureSets and nodes from left to right, with the shape of a row on each edge.

    Colours are CSS variables of the page around it (`--ink`, `--dim`, `--box`, `--line`, `--s0`, `--s1`), with
    defaults for a page without them.
    """
    boxes = _boxes(graph)
    width, height = _place(boxes)
    drawn = [
        _edge(boxes[source], box, text) for box in boxes.values() for source, text in box.reads
    ]
    drawn += [_drawn_box(box) for box in boxes.values()]
    return (
        f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        f"<style>{_STYLE}</style>{''.join(drawn)}</svg>"
    )


def _boxes(graph: Graph) -> dict[str, _Box]:
    """The boxes by name, each after those that it reads."""
    boxes: dict[str, _Box] = {}
    for label in graph.order:
        node = graph.nodes[label]
        reads = [_source(read) for read in node.inputs]
        for source, _ in reads:
            if source not in boxes:
                boxes[source] = _Box(source, "data", "data", [])
        boxes[label] = _Box(label, _note(node), node.backend, reads)
        boxes[label].column = 1 + max((boxes[source].column for source, _ in reads), default=0)
    return boxes


def _source(read: Read) -> tuple[str, str]:
    source, _, columns = read.value.partition(".")
    return source, " ".join(part for part in (columns, show(read.shape)) if part)


def _note(node: Node) -> str:
    return f"{node.component.use.rpartition(':')[2]} → {show(node.shape)}"


def _place(boxes: dict[str, _Box]) -> tuple[float, float]:
    """Give every box its place; returns the size of the picture."""
    columns: dict[int, list[_Box]] = {}
    for box in boxes.values():
        columns.setdefault(box.column, []).append(box)
    tallest = max((len(column) for column in columns.values()), default=0)
    x = float(_MARGIN)
    for number in sorted(columns):
        column = columns[number]
        texts = [len(_short(text)) for box in column for _, text in box.reads]
        x += max((length * _CHARACTER for length in texts), default=0.0)
        top = _MARGIN + (tallest - len(column)) * (_BOX_HEIGHT + _GAP_Y) / 2
        for row, box in enumerate(column):
            box.x, box.y = x, top + row * (_BOX_HEIGHT + _GAP_Y)
        x += max(box.width for box in column) + _GAP_X / 2
    height = tallest * (_BOX_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _MARGIN
    return x - _GAP_X / 2 + _MARGIN, max(height, 2.0 * _MARGIN)


def _edge(source: _Box, target: _Box, text: str) -> str:
    x0, y0 = source.x + source.width, source.y + _BOX_HEIGHT / 2
    x1, y1 = target.x, target.y + _BOX_HEIGHT / 2
    bend = (x1 - x0) / 2
    line = f"M{x0:.0f} {y0:.0f}C{x0 + bend:.0f} {y0:.0f} {x1 - bend:.0f} {y1:.0f} {x1 - 7:.0f} {y1:.0f}"
    arrow = f"M{x1 - 7:.0f} {y1 - 4:.0f}L{x1:.0f} {y1:.0f}L{x1 - 7:.0f} {y1 + 4:.0f}"
    return (
        f'<path d="{line}"/><path d="{arrow}"/>'
        f'<text class="dim" text-anchor="end" x="{x1 - 12:.0f}" y="{y1 - 6:.0f}">'
        f"<title>{escape(text)}</title>{escape(_short(text))}</text>"
    )


def _drawn_box(box: _Box) -> str:
    middle = box.x + box.width / 2
    return (
        f'<g class="{box.kind}"><title>{escape(f"{box.name}: {box.note}")}</title>'
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{_BOX_HEIGHT}" rx="6"/>'
        f'<text text-anchor="middle" x="{middle:.0f}" y="{box.y + 20:.0f}">{escape(_short(box.name))}</text>'
        f'<text class="dim" text-anchor="middle" x="{middle:.0f}" y="{box.y + 36:.0f}">'
        f"{escape(_short(box.note))}</text></g>"
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
