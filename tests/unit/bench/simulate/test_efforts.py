"""Simulated settings: more effort, more skill, more tokens; the models stay what they were."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.exceptions import ConfigError


def test_effort_raises_effect_and_cost() -> None:
    world = gr.simulate(200, 4, num_efforts=3, seed=2)
    assert len(world.data.pool) == 12
    effect, cost = (
        getattr(world.truth, name).mean(axis=0).reshape(4, 3) for name in ("effect", "cost_usd")
    )
    assert (np.diff(effect, axis=1) > 0).all()
    assert (np.diff(cost, axis=1) > 0).all()
    card = world.data.pool.cards[1]
    assert card.request == {"model": "juniper-30b", "reasoning_effort": "medium"}


def test_the_least_effort_is_the_model_itself() -> None:
    plain, settings = (gr.simulate(100, 3, num_efforts=number).truth for number in (1, 2))
    assert settings.models[::2] == tuple(f"{name}-low" for name in plain.models)
    assert plain.effect.shape == (100, 3)
    assert gr.simulate(100, 3).truth.models == plain.models


@pytest.mark.parametrize("number", [0, 4, 1.5, "2"])
def test_other_numbers_are_refused(number: object) -> None:
    with pytest.raises(
        ConfigError, match=r"num_efforts is .*; expected a whole number from 1 to 3"
    ):
        gr.simulate(100, 3, num_efforts=number)  # type: ignore[arg-type]
