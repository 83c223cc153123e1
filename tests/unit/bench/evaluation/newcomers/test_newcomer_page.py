"""The page and its Markdown twin: they need nothing else, escape names, and show what was found."""

from __future__ import annotations

import json
import re

import plotly.graph_objects as go
import pytest

from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.newcomers import (
    RETRAINED,
    SUGGESTED,
    NewcomerEvaluation,
    give_verdict,
)
from graphrouter.bench.evaluation.newcomers.newcomer_cells import HoldOut
from graphrouter.bench.evaluation.newcomers.newcomer_figures import draw_curves
from graphrouter.bench.evaluation.newcomers.newcomer_page import (
    render_newcomers_html,
    render_newcomers_markdown,
)
from graphrouter.bench.evaluation.newcomers.newcomer_tables import build_newcomer_grids

LABELS = ("0", "5", "all")


def interval(value: float) -> Interval:
    return Interval(value, value - 0.01, value + 0.01)


def found_of(
    losses: dict[str, tuple[float, float, float]], *, hold_out: HoldOut = "models"
) -> NewcomerEvaluation:
    """A result with these log losses after 0, 5 and all outcomes, in which a difference beyond 0.02
    is sure."""
    routers, paired = {}, {}
    for name, values in losses.items():
        routers[name] = {
            label: {
                "log_loss": interval(value),
                "learned_share": interval((0.7 - value) / 0.2),
                "newcomer_traffic": interval(0.25),
                "oracle_newcomer_traffic": interval(0.5),
                "reward_balanced": UNDEFINED,
            }
            for label, value in zip(LABELS, values, strict=True)
        }
        if name != "graphrouter":
            mine = losses["graphrouter"]
            differences = (own - value for own, value in zip(mine, values, strict=True))
            paired[name] = {
                label: {"log_loss": Interval(diff, diff - 0.02, diff + 0.02)}
                for label, diff in zip(LABELS, differences, strict=True)
            }
    return NewcomerEvaluation(
        dataset="a<b>|c",
        seeds=(0, 1),
        hold_out=hold_out,
        held_out={0: ("x",), 1: ("<script>y",)},
        num_queries=100,
        num_models=4,
        shots=(0, 5, None),
        routers=routers,
        paired=paired,
        seconds={},
        failed={"mirt": "not applicable: <no>"},
    )


GOOD = found_of(
    {
        "graphrouter": (0.65, 0.6, 0.55),
        SUGGESTED: (0.65, 0.58, 0.55),
        RETRAINED: (0.5, 0.5, 0.5),
        "rasch": (0.7, 0.66, 0.56),
        "knn": (0.8, 0.7, 0.65),
    }
)


def test_the_page_brings_everything_along_and_escapes_names() -> None:
    page = render_newcomers_html(GOOD, command="graphrouter benchmark-newcomers a&b")
    assert "<script>y" not in page
    assert "a&lt;b&gt;|c" in page
    assert "a&amp;b" in page
    assert re.search(r"default-src &#39;none&#39;|default-src 'none'", page)
    assert not re.findall(
        r"(?:src|href)=", page.partition("</main>")[0]
    )  # what follows is plotly itself
    assert page.count('class="plot"') == 3
    assert "Not among them: mirt" in page
    for text in re.findall(r'<script type="application/json" id="\w+">(.*?)</script>', page):
        assert "<" not in text
        go.Figure(json.loads(text))  # refuses what plotly does not know


def test_curves_have_a_point_a_shot_and_shares_have_intervals() -> None:
    figures = draw_curves(GOOD)
    assert list(figures) == ["log_loss", "learned_share", "newcomer_traffic"]
    lines = {line["name"]: line for line in figures["log_loss"]["data"]}
    assert lines["graphrouter"]["x"] == list(LABELS)
    assert lines["graphrouter"]["y"] == [0.65, 0.6, 0.55]
    shares = {line["name"]: line for line in figures["learned_share"]["data"]}
    assert set(shares) == {"graphrouter", SUGGESTED}
    assert shares["graphrouter"]["error_y"]["array"] == pytest.approx([0.01] * 3)
    assert figures["newcomer_traffic"]["data"][-1]["y"] == [0.5] * 3


def test_a_held_out_task_has_no_traffic() -> None:
    found = found_of({"graphrouter": (0.6, 0.5, 0.4), "rasch": (0.7, 0.6, 0.5)}, hold_out="tasks")
    assert list(draw_curves(found)) == ["log_loss", "learned_share"]
    assert "on the new task" in build_newcomer_grids(found)[0].caption


def test_markdown_has_a_row_a_router_and_marks_what_is_sure() -> None:
    text = render_newcomers_markdown(GOOD, command="c")
    row = next(line for line in text.splitlines() if line.startswith("| rasch"))
    assert row.count("▲") == 2  # after all outcomes the difference of 0.01 is not sure
    assert r"| **graphrouter** | **0.6500 \[0.6400, 0.6600\]** |" in text
    assert "The oracle sends 50.0% to newcomers." in text
    assert "Balanced reward" not in text  # nobody has a figure
    assert "a&lt;b&gt;" in text


def test_the_verdict_says_where_nobody_is_beaten_and_what_was_learned() -> None:
    assert give_verdict(GOOD) == (
        "graphrouter predicts newcomers surely better than all baselines with 0, 5 outcomes. Not "
        "beaten, with all outcomes: "
        "rasch. Of what a new training would teach it has learned 25% with no outcome, 50% with 5 "
        "outcomes, "
        "75% with all outcomes."
    )
    bad = found_of({"graphrouter": (0.7, 0.7, 0.7), "rasch": (0.6, 0.6, 0.7)})
    assert give_verdict(bad).startswith(
        "graphrouter is never surely better than all baselines on newcomers. Not beaten, with no "
        "outcome: rasch; 5 outcomes: "
    )
    best = found_of(
        {"graphrouter": (0.5, 0.5, 0.5), "rasch": (0.6, 0.6, 0.7), "knn": (0.9, 0.9, 0.9)},
        hold_out="tasks",
    )
    assert give_verdict(best).startswith(
        "After every number of outcomes graphrouter predicts the new task surely better than all 2"
    )
