"""Familiarity: bars count queries, and foreign ones stand at the left."""

from __future__ import annotations

import pytest

import graphrouter as gr
from graphrouter.bench.pictures import draw_familiarity


def make_foreign(number: int) -> gr.RoutingDataset:
    prompts = [f"Xylofonspielerin {i} qwfp zxcv {'ж' * 40} {i * i}" for i in range(number)]
    answers = {"prompt": prompts * 2, "model": ["a"] * number + ["b"] * number}
    from graphrouter.data import read_answers

    return read_answers({**answers, "effect": [0, 1] * number})


def test_bars_count_the_held_out_queries(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    picture = draw_familiarity(router, data)
    counts = [row[2] for row in picture.rows]
    assert sum(counts) == len(router.provenance.split.test)
    bars = picture.figure().axes[0].patches
    assert sorted(bar.get_height() for bar in bars) == sorted(counts)
    assert {bar.get_x(): bar.get_height() for bar in bars}[0.0] == counts[0]
    (usual,) = picture.figure().axes[0].lines
    assert usual.get_ydata()[0] == pytest.approx(sum(counts) / 20)


def test_foreign_queries_are_a_tower_at_zero(router: gr.GraphRouter) -> None:
    picture = draw_familiarity(router, make_foreign(40))
    assert picture.rows[0][2] > 30
    share = picture.rows[0][2] / 40
    assert f"{share:.0%} are unlike" in picture.says
