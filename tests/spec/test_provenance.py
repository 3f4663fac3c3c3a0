"""Whatever is laid over what: the value is the merged one, and each part of it knows where it stands."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specplan.errors import SpecplanError
from specplan.spec.address import parts_of, step
from specplan.spec.composition import Composition
from specplan.spec.diagnostics import format_path
from specplan.spec.load import from_mapping, load_configuration
from specplan.spec.provenance import as_text, provenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.spec.diagnostics import Path as Place

LABELS = st.sampled_from(["a", "b", "c", "d"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LABELS, inner, max_size=3),
    max_leaves=5,
)
MAPPINGS = st.dictionaries(LABELS, VALUES, max_size=4)


def merged(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {
        key: merged(below[key], item) if key in below else item for key, item in above.items()
    }


def places(value: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    yield path, value
    if isinstance(value, dict | list):
        for part, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, part))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(["pre", "import", "post"]), MAPPINGS), max_size=4), MAPPINGS
)
def test_files(others: list[tuple[str, dict[str, Any]]], own: dict[str, Any]) -> None:
    pre, imported, post = (
        [value for kind, value in others if kind == wanted] for wanted in ("pre", "import", "post")
    )
    with TemporaryDirectory() as folder:

        def write(name: str, value: dict[str, Any]) -> Path:
            file = Path(folder) / f"{name}.json"
            file.write_text(json.dumps(value))
            return file

        names = [write(f"import{number}", item).name for number, item in enumerate(imported)]
        main = write("main", {"imports": names} | own)
        composition = Composition(
            pre=tuple(write(f"pre{number}", item) for number, item in enumerate(pre)),
            post=tuple(write(f"post{number}", item) for number, item in enumerate(post)),
        )
        document = load_configuration(main, composition)
    layers = [*pre, functools.reduce(merged, [*imported, {"imports": names} | own]), *post]
    assert document.value == functools.reduce(merged, layers)
    for path, value in places(document.value):
        trace = document.trace.at(path)
        chain = document.chain(path)
        said = trace.source.value_at(trace.inner)
        assert trace.inner == path
        assert said == value or isinstance(value, dict)
        assert chain[-1].origin == document.origin(path)
        assert chain[-1].value == said
        assert len({item.origin for item in chain}) == len(chain)


@given(spec=MAPPINGS, item=VALUES, data=st.data())
def test_an_override_sets_one_value_and_no_other(
    spec: dict[str, Any], item: Any, data: st.DataObject
) -> None:
    reachable = [path for path, _ in places(spec) if path]
    if not reachable:
        return
    path = data.draw(st.sampled_from(reachable))
    text = f"{format_path(path)}={json.dumps(item, ensure_ascii=False)}"
    document = from_mapping({"x": spec}, composition=Composition(overrides=(f"x.{text}",)))
    assert document.problems == ()
    changed = dict(places(document.value["x"]))
    assert changed[path] == item
    for other, value in places(spec):
        aside = other[: len(path)] != path and path[: len(other)] != other
        assert not aside or changed[other] == value
    *before, last = document.chain(("x", *path))
    assert (last.cause, last.value) == ("override", item)
    assert [earlier.value for earlier in before] == [dict(places(spec))[path]]


@given(VALUES)
def test_every_place_has_an_address(value: Any) -> None:
    for path, item in places(value):
        parts, end = parts_of(format_path(path) if path else "")
        assert end == len(format_path(path) if path else "")
        found = value
        for part in parts:
            inside = step(found, part.name)
            assert inside is not None
            for key in inside:
                found = found[key]
        assert found == item


@given(
    st.dictionaries(st.sampled_from(["plan", "graph", "run", "params", "losses"]), VALUES),
    st.sampled_from(["plan", "plan.a", "graph.nodes.a.model", "run.seed", "losses.b", "params"]),
    st.text(alphabet="abuse.[]01= -", max_size=6),
)
def test_any_address_is_explained_or_refused(spec: dict[str, Any], start: str, end: str) -> None:
    document = from_mapping(spec)
    try:
        text = as_text(provenance(document, start + end))
    except SpecplanError as error:
        text = str(error)
    assert " = " in text.partition("\n")[0] or "`" in text
