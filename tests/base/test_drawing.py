from __future__ import annotations

import xml.etree.ElementTree as ET

from specplan.base.drawing import Box, Drawing, Edge

SVG = "{http://www.w3.org/2000/svg}"


def drawing() -> Drawing:
    boxes = [
        Box("data", 'Cells <"raw">', "data"),
        Box("one", "One\n32 wide", within="graph"),
        Box("two", "Two", "merge", "graph", faded=True),
    ]
    return Drawing(boxes, [Edge("data", "one", "x (10,)"), Edge("one", "two")])


def test_mermaid_has_each_box_and_edge() -> None:
    assert drawing().to_mermaid() == (
        "flowchart LR\n"
        "    data[(\"Cells <'raw'>\")]\n"
        '    subgraph in_graph["graph"]\n'
        '        one["One<br/>32 wide"]\n'
        '        two[/"Two"\\]\n'
        "    end\n"
        '    data -- "x (10,)" --> one\n'
        "    one --> two\n"
        "    style two stroke-dasharray: 4"
    )


def test_svg_is_one_picture_that_needs_nothing_else() -> None:
    text = drawing().to_svg()
    svg = ET.fromstring(text)
    assert svg.tag == f"{SVG}svg"
    said = [element.text for element in svg.iter(f"{SVG}text")]
    assert said == ["graph", "x (10,)", 'Cells <"raw">', "One", "32 wide", "Two"]
    assert text.count("http") == 1, "the name space, and no address"
    boxes = [group[0] for group in svg.iter(f"{SVG}g")]
    assert len(boxes) == 3
    left = [float(rect.get("x", "0")) for rect in boxes]
    assert left == sorted(left), "arrows lead to the right"
    width = float(svg.get("width", "0"))
    assert all(float(rect.get("x", "0")) < width for rect in boxes)


def test_a_long_line_is_cut_and_said_in_full_where_one_points_at_it() -> None:
    name = "a" * 40
    text = Drawing([Box("one", f"{name}\n<remark>")], []).to_svg(title='a "b"')
    assert f"<title>{name}</title>{'a' * 29}…</text>" in text
    svg = ET.fromstring(text)
    assert svg.get("aria-label") == 'a "b"'
    assert [each.get("class") for each in svg.iter(f"{SVG}text")] == [None, "dim"]


def test_boxes_of_a_column_do_not_overlap() -> None:
    boxes = [Box("top", "Top")] + [Box(f"n{index}", f"N{index}") for index in range(4)]
    svg = ET.fromstring(Drawing(boxes, [Edge("top", f"n{index}") for index in range(4)]).to_svg())
    places = [group[0] for group in svg.iter(f"{SVG}g")][1:]
    ends = [float(place.get("y", "0")) + float(place.get("height", "0")) for place in places]
    starts = [float(place.get("y", "0")) for place in places]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
    assert max(ends) < float(svg.get("height", "0"))


def test_html_holds_the_picture() -> None:
    assert drawing().to_svg() in drawing().to_html()
    assert repr(drawing()) == "Drawing(3 boxes, 2 edges)"


def test_a_terminal_gets_a_line_for_each_path() -> None:
    assert drawing().to_text() == 'Cells <"raw"> --x (10,)--> One 32 wide --> Two'
    diamond = Drawing(
        [Box(name, name.upper()) for name in "abcde"],
        [Edge("a", "b", "2"), Edge("a", "c", "3"), Edge("b", "d"), Edge("c", "d")],
    )
    framed = Drawing([Box("a", "A"), Box("b", "B", within="in")], [])
    assert framed.to_text() == "A\nin:\n  B"
    assert diamond.to_text() == "A --2--> B --> D\nA --3--> C --> D\nE"
