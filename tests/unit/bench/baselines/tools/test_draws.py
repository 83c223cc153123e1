"""Draws of pairs: stable, uniform, and their own."""

from __future__ import annotations

import numpy as np

from graphrouter.bench.baselines.tools.draws import draw_for_pairs

PROMPTS = [f"prompt {i}" for i in range(4000)]


def test_a_draw_depends_on_its_pair_alone() -> None:
    draws = draw_for_pairs(PROMPTS[:50], ["a", "b", "c"], seed=1, purpose="p")
    np.testing.assert_array_equal(
        draw_for_pairs([PROMPTS[7]], ["c"], seed=1, purpose="p"), draws[7:8, 2:]
    )
    np.testing.assert_array_equal(
        draw_for_pairs(PROMPTS[:50][::-1], ["c", "a"], seed=1, purpose="p"), draws[::-1][:, [2, 0]]
    )
    for other in (
        draw_for_pairs(PROMPTS[:50], ["a"], seed=2, purpose="p"),
        draw_for_pairs(PROMPTS[:50], ["a"], seed=1, purpose="q"),
    ):
        assert (np.abs(other - draws[:, :1]) > 1e-9).all()


def test_draws_are_uniform_and_independent() -> None:
    draws = draw_for_pairs(PROMPTS, ["a", "b"], seed=0, purpose="p")
    assert ((draws > 0) & (draws < 1)).all()
    counts = np.histogram(draws[:, 0], bins=10, range=(0, 1))[0]
    assert np.sum((counts - 400) ** 2 / 400) < 27.9  # chi squared with 9 degrees of freedom, 0.1 %
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.05
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.05


def test_odd_texts() -> None:
    draws = draw_for_pairs(["", "\ud800", "é", "é"], ["a"], seed=0, purpose="p")
    assert draws[2, 0] == draws[3, 0]
    assert len(set(draws[:, 0].tolist())) == 3
    assert draw_for_pairs([], ["a", "b"], seed=0, purpose="p").shape == (0, 2)
