"""Who asks and what goes with the query, together: gains add up, trained routers keep both."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.simulate import simulate_views
from graphrouter.data.columns import VIEWS
from graphrouter.encoders import HashingEncoder
from graphrouter.types import FloatArray, Queries

ENCODER = HashingEncoder(64)
TRAINING = ["training.max_epochs=2", "training.steps_per_epoch=2"]
NUM_USERS = 6


class World(NamedTuple):
    """Contexts that help or mislead, graded by people with tastes."""

    data: gr.RoutingDataset
    effect: FloatArray
    """(num_queries, num_models) true chances that who asked is pleased."""

    def hide(self, *columns: str) -> gr.RoutingDataset:
        """The same without some columns."""
        return gr.RoutingDataset.from_frames(
            queries=self.data.queries.drop(columns=list(columns), errors="ignore"),
            models=self.data.models,
            outcomes=self.data.outcomes,
            tasks=self.data.tasks,
        )


def _draw(num_queries: int, seed: int) -> World:
    plain = simulate_views("context", num_queries, 4, seed=seed)
    rng = np.random.default_rng([seed, 3])
    user = rng.integers(NUM_USERS, size=num_queries)
    taste = 1.5 * rng.normal(size=(NUM_USERS, 4))
    odds = plain.effect / (1 - plain.effect) * np.exp(taste[user])
    effect = odds / (1 + odds)
    chance = effect[plain.data.pair_positions]
    data = gr.RoutingDataset.from_frames(
        queries=plain.data.queries.assign(user=[f"user-{number}" for number in user]),
        models=plain.data.models,
        outcomes=plain.data.outcomes.assign(
            effect=(rng.random(len(chance)) < chance).astype(float)
        ),
        tasks=plain.data.tasks,
    )
    return World(data, effect)


@pytest.fixture(scope="module")
def world() -> World:
    return _draw(500, 1)


@pytest.fixture(scope="module")
def trained(world: World) -> gr.GraphRouter:
    return gr.GraphRouter.fit(world.data, gr.load_config(overrides=TRAINING), encoder=ENCODER)


def _log_loss(router: gr.GraphRouter, world: World) -> float:
    """Expected by the truth, on the test queries of the router."""
    test = world.data.queries["query_id"].isin(router.provenance.split.test).to_numpy()
    predicted = router.predict(Queries.of_frame(world.data.queries[test])).effect
    chance, truth = predicted.clip(1e-4, 1 - 1e-4), world.effect[test]
    return float(-(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)).mean())


@pytest.mark.slow
def test_what_both_bring_together_is_near_the_sum(world: World) -> None:
    people, views = ("user",), tuple(VIEWS)
    hidden = {"both": (), "users": views, "contexts": people, "neither": (*people, *views)}
    loss = {
        name: _log_loss(
            gr.GraphRouter.fit(world.hide(*columns), encoder=ENCODER, instant=True), world
        )
        for name, columns in hidden.items()
    }
    gain = {name: loss["neither"] - each for name, each in loss.items()}
    assert min(gain["users"], gain["contexts"]) > 0.01
    assert gain["both"] > 0.8 * (gain["users"] + gain["contexts"])


@pytest.mark.slow
def test_a_trained_router_reads_both(world: World, trained: gr.GraphRouter) -> None:
    prompt, context = "Who painted it?", ["The record of 1907 covers who painted it."]
    plain = trained.predict([prompt])
    asked = {"users": ["user-1"], "contexts": [context]}
    both = trained.predict([prompt], **asked)
    for each in ({"users": ["user-1"]}, {"contexts": [context]}):
        assert not np.allclose(trained.predict([prompt], **each).effect, both.effect)
    assert not np.allclose(plain.effect, both.effect)
    assert (both.effect_low <= both.effect).all()
    assert (both.effect <= both.effect_high).all()
    instant = gr.GraphRouter.fit(world.data, encoder=ENCODER, instant=True)
    assert _log_loss(trained, world) < _log_loss(instant, world) + 0.02


@pytest.mark.slow
def test_its_artifact_gives_the_same_bits_and_forgets(
    world: World, trained: gr.GraphRouter, tmp_path: Path
) -> None:
    trained.save(tmp_path / "a")
    loaded = gr.load_router(tmp_path / "a", encoder=ENCODER)
    asked = Queries.of_frame(world.data.queries.head(20))
    for name in ("effect", "effect_low", "effect_high", "cost_usd"):
        here, there = (getattr(router.predict(asked), name) for router in (trained, loaded))
        np.testing.assert_array_equal(here, there)
    forgotten = loaded.forget_user("user-1")
    assert "user-1" not in forgotten.support.people.users
    assert not np.allclose(forgotten.predict(asked).effect, loaded.predict(asked).effect)
