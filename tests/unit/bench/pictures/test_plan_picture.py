"""A plan: every step has its box, and what is expected of all is the mean over the branches."""

from __future__ import annotations

import pytest

import graphrouter as gr
from graphrouter.bench.pictures import draw_plan
from graphrouter.exceptions import DataError


@pytest.fixture(scope="module")
def plan(router: gr.GraphRouter) -> object:
    return router.plan(
        "Prove that 17 is prime.",
        policy=gr.Policy.preset("performance_first"),
        judge=gr.Judge.parse("auc:0.8"),
    )


def test_every_line_of_the_tree_has_its_box(plan: gr.router.Plan) -> None:
    picture = draw_plan(plan)
    texts = [text.get_text() for text in picture.figure().axes[0].texts]
    lines = [line for line in plan.tree(3).splitlines() if "grade it, and see" not in line]
    assert len(texts) == len(lines) == len(picture.rows)
    for text, row in zip(texts, picture.rows, strict=True):
        assert f"{row[0]} {row[3]}, {row[4]:.2f}" in text
    assert texts[0].startswith(f"ask {plan.first}")


def test_the_mean_is_over_the_branches(router: gr.GraphRouter) -> None:
    plan = router.plan("1 + 1?", max_calls=1)
    picture = draw_plan(plan, depth=1)
    assert "On average 1.00 calls" in picture.says
    certain = router.plan("1 + 1?", max_calls=2, judge=gr.Judge.parse("exact"))
    calls = float(draw_plan(certain, depth=2).says.split("On average ")[1].split(" ")[0])
    assert 1 <= calls <= 2


def test_a_depth_below_one_is_refused(plan: gr.router.Plan) -> None:
    with pytest.raises(DataError, match="depth is 0"):
        draw_plan(plan, depth=0)
