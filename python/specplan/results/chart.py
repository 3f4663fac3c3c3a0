"""Curves as SVG pictures, with what they say at a place shown under the pointer, and no script."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 34
COLOURS = 6
"""How many colours a page has: the variables `--s0` and so on."""
MOST_POINTS = 600
"""Points of one curve that are drawn; each bucket of more keeps its lowest and its highest."""
MOST_PLACES = 160
"""Places under the pointer."""
_DECADES = 2
"""Values that are all positive and spread over more than these are shown by their logarithm."""


class Curve(msgspec.Struct, frozen=True):
    """Values at places in ascending order.

    Attributes:
        faint: whether it is only the background of another one, without a name and a pointer.
        colour: number of the colour.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    colour: int = 0
    faint: bool = False


def draw_chart(
    title: str, curves: Sequence[Curve], *, x_name: str, mark: tuple[float, str] | None = None
) -> str:
    """The curves in one picture. What is not finite is left out, and the caption says so.

    Args:
        title: what is measured.
        curves: at least one that is not faint.
        x_name: what the places are.
        mark: a place with a name, drawn as a line.
    """
    shown = [_finite(curve) for curve in curves]
    left_out = sum(len(curve.x) for curve in curves) - sum(len(curve.x) for curve in shown)
    if not any(len(curve.x) for curve in shown):
        return _figure(title, "", "<p>no finite value</p>", _left_out(left_out))
    xs = np.concatenate([curve.x for curve in shown])
    ys = np.concatenate([curve.y for curve in shown])
    place, level = _Scale(float(xs.min()), float(xs.max())), _level_of(ys)
    named = [curve for curve in shown if not curve.faint]
    parts = [
        _axes(place, level, x_name),
        *(_line(curve, place, level) for curve in sorted(shown, key=lambda curve: not curve.faint)),
        "" if mark is None else _mark(mark, place),
        _pointer(named, place, level, x_name),
    ]
    picture = (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
    notes = ["logarithmic"] if level.logarithmic else []
    return _figure(title, _legend(named), picture, [*notes, *_left_out(left_out)])


class _Scale:
    """From values to the unit interval."""

    def __init__(self, low: float, high: float, *, logarithmic: bool = False) -> None:
        self.logarithmic = logarithmic
        self.low, self.high = (math.log10(low), math.log10(high)) if logarithmic else (low, high)
        if self.low == self.high:
            self.low, self.high = self.low - 0.5, self.high + 0.5

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the values are."""
        inner = np.log10(values) if self.logarithmic else values
        # Divided first: the difference of two finite numbers may be infinite.
        return np.asarray((inner / 2 - self.low / 2) / (self.high / 2 - self.low / 2))

    def ticks(self, most: int) -> list[float]:
        """Round values."""
        if self.logarithmic:
            step = math.ceil((self.high - self.low) / most) or 1
            powers = range(math.ceil(self.low), math.floor(self.high) + 1, step)
            return [10.0**power for power in powers]
        return _round_values(self.low, self.high, most)


def _round_values(low: float, high: float, most: int) -> list[float]:
    rough = high / most - low / most
    if not (math.isfinite(rough) and rough > 0):
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)] if last - first < 50 else []


def _level_of(values: NDArray[np.float64]) -> _Scale:
    low, high = float(values.min()), float(values.max())
    if low > 0 and math.log10(high) - math.log10(low) > _DECADES:
        return _Scale(low, high, logarithmic=True)
    margin = (high / 2 - low / 2) * 0.1
    if not math.isfinite(low - margin) or not math.isfinite(high + margin):
        margin = 0.0
    return _Scale(low - margin, high + margin)


def _finite(curve: Curve) -> Curve:
    kept = np.isfinite(curve.y) & np.isfinite(curve.x)
    return msgspec.structs.replace(curve, x=curve.x[kept], y=curve.y[kept])


def thinned(curve: Curve) -> Curve:
    """At most MOST_POINTS points, the first, the last, the lowest and the highest among them."""
    count = len(curve.x)
    if count <= MOST_POINTS:
        return curve
    chosen = {0, count - 1}
    for bucket in np.array_split(np.arange(count), (MOST_POINTS - 2) // 2):
        values = curve.y[bucket]
        chosen |= {int(bucket[values.argmin()]), int(bucket[values.argmax()])}
    kept = np.array(sorted(chosen))
    return msgspec.structs.replace(curve, x=curve.x[kept], y=curve.y[kept])


def _across(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(LEFT + places * (WIDTH - LEFT - RIGHT))


def _down(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(TOP + (1 - levels) * (HEIGHT - TOP - BOTTOM))


def _line(curve: Curve, place: _Scale, level: _Scale) -> str:
    if not len(curve.x):
        return ""
    drawn = thinned(curve)
    xs, ys = _across(place.of(drawn.x)), _down(level.of(drawn.y))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    kind = f"s{curve.colour % COLOURS}{' faint' if curve.faint else ''}"
    dots = ""
    if not curve.faint and len(drawn.x) <= 40:
        dots = "".join(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
            for x, y in zip(xs, ys, strict=True)
        )
    return f'<polyline class="{kind}" points="{points}"/>{dots}'


def _axes(place: _Scale, level: _Scale, x_name: str) -> str:
    bottom = HEIGHT - BOTTOM
    parts = []
    for value in level.ticks(5):
        y = float(_down(level.of(np.array([value])))[0])
        if TOP - 1 <= y <= bottom + 1:
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'
            )
    for value in place.ticks(8):
        if value % 1:  # there is no half of an epoch
            continue
        x = float(_across(place.of(np.array([value])))[0])
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:.6g}</text>'
        )
    name = f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_name)}</text>'
    return f"{''.join(parts)}{name}"


def _mark(mark: tuple[float, str], place: _Scale) -> str:
    """The line, and its name above where any curve comes."""
    x = float(_across(place.of(np.array([mark[0]])))[0])
    side = "end" if x > WIDTH / 2 else "start"
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{x + (-4 if side == "end" else 4):.1f}" y="{TOP - 3}" text-anchor="{side}">'
        f"{escape(mark[1])}</text>"
    )


def _pointer(curves: Sequence[Curve], place: _Scale, level: _Scale, x_name: str) -> str:
    """An invisible strip for each place, and beside it what is shown while the pointer is there."""
    places = np.unique(np.concatenate([curve.x for curve in curves]))
    if len(places) > MOST_PLACES:
        places = places[np.linspace(0, len(places) - 1, MOST_PLACES).round().astype(int)]
    xs = _across(place.of(places))
    edges = np.concatenate([[LEFT], (xs[1:] + xs[:-1]) / 2, [WIDTH - RIGHT]])
    strips = []
    for index, (value, x) in enumerate(zip(places, xs, strict=True)):
        found = [(curve, _value_at(curve, value)) for curve in curves]
        read = [(curve, y) for curve, y in found if y is not None]
        strips.append(
            f'<g class="at"><rect x="{edges[index]:.1f}" y="{TOP}" '
            f'width="{edges[index + 1] - edges[index]:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
            f"<g>{_tip(x, f'{x_name} {value:g}', read, level)}</g></g>"
        )
    return "".join(strips)


def _value_at(curve: Curve, place: float) -> float | None:
    index = int(np.searchsorted(curve.x, place))
    return float(curve.y[index]) if index < len(curve.x) and curve.x[index] == place else None


def _tip(x: float, heading: str, read: Sequence[tuple[Curve, float]], level: _Scale) -> str:
    texts = [heading, *(f"{curve.name} {y:.5g}" for curve, y in read)]
    width = max(map(len, texts)) * 6.6 + 14
    left = x + 8 if x + 8 + width < WIDTH else x - 8 - width
    dots = "".join(
        f'<circle class="s{curve.colour % COLOURS}" cx="{x:.1f}" '
        f'cy="{float(_down(level.of(np.array([y])))[0]):.1f}" r="3.5"/>'
        for curve, y in read
    )
    lines = "".join(
        f'<text x="{left + 7:.1f}" y="{TOP + 18 + 14 * number}">{escape(text)}</text>'
        for number, text in enumerate(texts)
    )
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>{dots}'
        f'<rect class="tip" x="{left:.1f}" y="{TOP + 4}" width="{width:.1f}" '
        f'height="{8 + 14 * len(texts)}" rx="4"/>{lines}'
    )


def _legend(curves: Sequence[Curve]) -> str:
    names = "".join(
        f'<span><i class="s{curve.colour % COLOURS}"></i>{escape(curve.name)}</span>'
        for curve in curves
    )
    return f'<p class="legend">{names}</p>' if len(curves) > 1 else ""


def _left_out(count: int) -> list[str]:
    if not count:
        return []
    return [f"{count} value{' is' if count == 1 else 's are'} not finite"]


def _figure(title: str, legend: str, picture: str, notes: Sequence[str]) -> str:
    note = f" <small>({', '.join(notes)})</small>" if notes else ""
    return f"<figure><figcaption>{escape(title)}{note}</figcaption>{legend}{picture}</figure>"
