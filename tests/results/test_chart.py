"""Charts and graphs as pictures. `UPDATE_GOLDEN=1 pytest tests/results/test_chart.py` writes the files anew."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from specplan.plan.drawing import draw_plan_graph
from specplan.results.chart import MOST_PLACES, MOST_POINTS, Curve, draw_chart, thinned
from tests.run.specs import MLP, compiled, evaluation, fit, node

GOLDEN = Path(__file__).parents[1] / "golden/pictures"


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def curve(*values: float, name: str = "train_loss", colour: int = 0) -> Curve:
    return Curve(name, np.arange(len(values), dtype=float), np.array(values), colour)


def points(chart: str) -> list[tuple[float, float]]:
    found = re.search(r'<polyline[^>]*points="([^"]*)"', chart)
    assert found is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found[1].split())]


def test_a_chart_is_a_picture() -> None:
    curves = [curve(1.0, 0.5, 0.4), curve(1.1, 0.7, 0.75, name="val_loss", colour=1)]
    chart = draw_chart("loss", curves, x_name="epoch", mark=(1.0, "epoch 1 kept"))
    ET.fromstring(chart)
    check_golden("loss.html", chart + "\n")
    assert re.findall(r'text-anchor="middle">([^<]*)<', chart) == ["0", "1", "2"]


def test_values_over_decades_are_shown_by_their_logarithm() -> None:
    chart = draw_chart("loss", [curve(1000.0, 10.0, 0.1)], x_name="epoch")
    assert "loss <small>(logarithmic)</small>" in chart
    heights = [y for _, y in points(chart)]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)
    assert "logarithmic" not in draw_chart("loss", [curve(-1.0, 1000.0)], x_name="epoch")


def test_what_is_not_finite_is_left_out_and_said() -> None:
    chart = draw_chart("loss", [curve(1.0, np.nan, np.inf, 0.5)], x_name="epoch")
    assert "(2 values are not finite)" in chart
    assert len(points(chart)) == 2
    assert "no finite value" in draw_chart("loss", [curve(np.nan)], x_name="epoch")


@pytest.mark.parametrize("values", [(3.0, 3.0), (0.0, 0.0), (1.7e308, -1.7e308), (5e-324, 1e-320)])
def test_odd_ranges_stay_in_the_picture(values: tuple[float, float]) -> None:
    chart = draw_chart("loss", [curve(*values)], x_name="epoch")
    ET.fromstring(chart)
    for x, y in points(chart):
        assert 0 <= x <= 640
        assert 0 <= y <= 250


def test_thousands_of_points_are_thinned_and_keep_their_extremes() -> None:
    values = np.random.default_rng(0).standard_normal(50_000)
    values[777], values[40_001] = 99.0, -99.0
    whole = Curve("loss", np.arange(len(values), dtype=float), values)
    kept = thinned(whole)
    assert len(kept.x) <= MOST_POINTS
    assert (kept.x[0], kept.x[-1]) == (0, 49_999)
    assert {777, 40_001} <= set(kept.x.astype(int))
    chart = draw_chart("loss", [whole], x_name="step")
    assert chart.count('class="at"') == MOST_PLACES
    assert len(chart) < 150_000


def test_names_are_text_and_nothing_else() -> None:
    hostile = '</svg><script>alert(1)</script>"'
    chart = draw_chart(hostile, [curve(1.0, 2.0, name=hostile)], x_name=hostile, mark=(0, hostile))
    ET.fromstring(chart)
    assert "<script" not in chart


def test_a_graph_is_a_picture() -> None:
    nodes = {
        "Encoder": {"model": {**MLP, "output_shape": [8]}, "input": "Set.x"},
        "Forest": node({"use": "sklearn.ensemble:RandomForestRegressor"}),
        "Head": node(MLP, "Encoder"),
    }
    active = evaluation(active=["Head", "Forest"], losses=[])
    graph = compiled(fit(active=["Forest"]), active, nodes=nodes, losses={}).plan.graph
    picture = draw_plan_graph(graph).to_svg(title="graph")
    drawn = ET.fromstring(picture)
    assert {"torch", "sklearn"} <= {
        word for each in drawn.iter() for word in each.get("class", "").split()
    }
    for label in graph.nodes:
        assert f">{label}</text>" in picture
    check_golden("graph.svg", picture + "\n")
