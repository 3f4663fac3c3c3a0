"""Whether the values of a sweep fit its spec, without compiling each of its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from specplan.errors import SpecError
from specplan.spec.axes import axes_of
from specplan.spec.diagnostics import Diagnostic, Label, Origin, in_text_order
from specplan.spec.load import load
from specplan.spec.wording import as_json
from specplan.sweep.points import Choice, at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from specplan.spec.axes import Axis
    from specplan.spec.composition import Composition
    from specplan.spec.document import Document
    from specplan.sweep.points import Values

_MOST = 32
"""Values of an axis that are tried. A list that people write is shorter."""


def check_values(
    path: Path,
    composition: Composition,
    vary: Mapping[str, Any],
    check: Callable[[Document], object],
) -> None:
    """Check points of the sweep that among them have every value that it names, or the ends of what is drawn.

    Raises:
        SpecError: with everything that is wrong with any of them, each fault once.
    """
    document = load(path, composition)
    found: list[Diagnostic] = []
    for point in _points(axes_of(vary)):
        settings = tuple(choice.setting for choice in point)
        try:
            check(load(path, replace(composition, settings=settings)))
        except SpecError as error:
            found += [with_values(fault, document, point) for fault in error.diagnostics]
    if found:
        raise SpecError(each_once(found, document))


def _points(axes: Sequence[Axis]) -> Iterator[Values]:
    tried = [_tried(axis) for axis in axes]
    for index in range(max(map(len, tried), default=0)):
        yield tuple(values[index % len(values)] for values in tried)


def _tried(axis: Axis) -> list[Choice]:
    if axis.is_drawn:
        return [at(axis, 0.0), at(axis, 1.0)]
    known = axis.known_values()
    return [Choice(axis, known[index], index) for index in range(min(len(known), _MOST))]


def each_once(faults: Iterable[Diagnostic], document: Document) -> list[Diagnostic]:
    """The faults in the order of the text; one that several points have is told of the first."""
    known: dict[tuple[str, str, Origin], Diagnostic] = {}
    for fault in faults:
        known.setdefault((fault.code, fault.message, fault.origin), fault)
    return in_text_order(list(known.values()), document.sources[0].name)


def with_values(fault: Diagnostic, document: Document, point: Values) -> Diagnostic:
    """The fault with the values of the point, where it does not stand at one of them."""
    places = [
        Label(
            origin=document.origin(choice.setting.place),
            text=f"with `{choice.axis.address}: {as_json(choice.value)}`",
        )
        for choice in point
    ]
    keys = [document.origin(choice.setting.key, key=True) for choice in point]
    here = {_place(origin) for origin in (*(label.origin for label in places), *keys)}
    if _place(fault.origin) in here or fault.severity != "error":
        return fault
    return replace(fault, labels=(*fault.labels, *places))


def _place(origin: Origin) -> tuple[str | None, int, int]:
    return origin.file, origin.line, origin.column
