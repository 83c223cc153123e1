"""The plots, checked by plotly's own classes."""

from __future__ import annotations

import dataclasses
import json

import plotly.graph_objects as go
import pytest

from graphrouter.bench.evaluation.report import build_report
from graphrouter.bench.evaluation.report.content import Section
from graphrouter.bench.evaluation.report.curves import FrontierCurve, Frontiers, ModelPoint
from graphrouter.bench.evaluation.report.report_figures import (
    draw_calls,
    draw_frontier,
    draw_reliability,
)
from tests.unit.bench.evaluation.report.conftest import HOSTILE, Scored


@pytest.fixture(scope="module")
def section(scored: Scored) -> Section:
    return build_report(scored.runs, scored.evaluation).sections[0]


def test_plotly_accepts_all_figures(section: Section) -> None:
    assert section.frontiers is not None
    drawn = (draw_frontier(section, section.frontiers), draw_calls(section))
    for figure in (*drawn, draw_reliability(section)):
        go.Figure(figure)  # raises on a property that it does not know
        json.dumps(figure, allow_nan=False)


def test_the_frontier_shows_everybody_and_every_model(section: Section) -> None:
    assert section.frontiers is not None
    figure = draw_frontier(section, section.frontiers)
    points, *lines = figure["data"]
    assert len(points["x"]) == 6
    visible = {line["name"]: line["visible"] for line in lines}
    assert visible == {
        "graphrouter": True,
        "best_single": True,
        "task_mean": True,
        "frugal_gpt †": "legendonly",
        "oracle †": True,
    }
    assert lines[-1]["name"] == "graphrouter"  # drawn on top, first in the legend
    assert min(lines, key=lambda line: line["legendrank"])["name"] == "graphrouter"
    assert {label["text"] for label in figure["layout"]["annotations"]} == {
        name[0] for name in points["customdata"]
    }


def test_calls_are_drawn_for_the_router_and_whoever_asks_again(section: Section) -> None:
    *below, first, last = draw_calls(section)["data"]
    assert [line["name"] for line in below] == ["frugal_gpt †", "graphrouter"]
    assert (first["name"], last["name"]) == ("frugal_gpt †", "graphrouter")  # drawn on top
    assert [line["showlegend"] for line in (*below, first, last)] == [False, False, True, True]
    assert {line["yaxis"] for line in below} == {"y2"}
    assert set(below[1]["y"]) == {1.0}
    assert max(below[0]["y"]) > 1.05
    for upper, lower in zip((first, last), below, strict=True):
        assert upper["x"] == lower["x"]
        assert upper["x"][0] > upper["x"][-1]  # from effect alone to cost alone
        assert upper["y"][0] > upper["y"][-1]
        assert upper["customdata"][0][1] == f"{upper['y'][0]:.3f}"
        assert upper["customdata"][0][2] == f"{lower['y'][0]:.2f}"
    free = dataclasses.replace(section.calls[1], cost_usd=(0.0,) * len(section.calls[1].effect))
    go.Figure(draw_calls(dataclasses.replace(section, calls=(free, free))))
    curve = dataclasses.replace(section.calls[1], router=HOSTILE)
    hostile = dataclasses.replace(section, calls=(section.calls[0], curve))
    assert "<script" not in json.dumps(draw_calls(hostile))


def test_free_models_stand_at_the_left_edge_of_the_log_axis(section: Section) -> None:
    curve = FrontierCurve("graphrouter", (0.0, 0.2), (0.3, 0.8))
    frontiers = Frontiers(
        (curve,), (ModelPoint("free", 0.0, 0.3, 1.0), ModelPoint("dear", 0.2, 0.8, 1.0)), 0.0, 0.3
    )
    figure = draw_frontier(section, frontiers)
    left = 10 ** figure["layout"]["xaxis"]["range"][0]
    assert min(figure["data"][0]["x"]) == pytest.approx(left)
    assert min(figure["data"][1]["x"]) > 0
    all_free = Frontiers(
        (FrontierCurve("graphrouter", (0.0,), (0.3,)),),
        (ModelPoint("free", 0.0, 0.3, 1.0),),
        0.0,
        0.0,
    )
    go.Figure(draw_frontier(section, all_free))


def test_names_are_shown_literally(section: Section) -> None:
    assert section.frontiers is not None
    curve = dataclasses.replace(section.frontiers.curves[0], router=HOSTILE)
    model = dataclasses.replace(section.frontiers.models[0], model=HOSTILE)
    frontiers = dataclasses.replace(section.frontiers, curves=(curve,), models=(model,))
    reliability = (dataclasses.replace(section.reliability[0], router=HOSTILE),)
    texts = json.dumps(
        [
            draw_frontier(section, frontiers),
            draw_reliability(dataclasses.replace(section, reliability=reliability)),
        ]
    )
    assert HOSTILE not in texts
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in texts
