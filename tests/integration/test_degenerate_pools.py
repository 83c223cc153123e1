"""Pools that say little or all the same: training and placing stay finite, without a warning."""

from __future__ import annotations

import dataclasses
import tempfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.data.splits import Split

NEW = "newcomer"


@dataclasses.dataclass(frozen=True)
class World:
    """What is degenerate about a pool."""

    num_models: int = 2
    num_tasks: int = 1
    num_outcomes: int = 20  # of each model, at most
    effect: str = "random"
    tokens: str = "random"
    cards: str = "different"
    one_family: bool = False
    alike_prompts: bool = False
    newcomer_share: float = 0.2
    seed: int = 0

    @property
    def models(self) -> list[str]:
        return [f"m{number}" for number in range(self.num_models)]

    def card_table(self, models: list[str]) -> pd.DataFrame:
        place = np.arange(len(models), dtype=float)
        cards = pd.DataFrame({"model": models})
        if self.one_family:
            cards["family"] = "all of one"
        if self.cards == "none":
            return cards
        cards["description"] = "a model"
        cards["input_usd_per_mtok"] = 1.0 if self.cards == "equal" else 10.0 ** (place - 3)
        cards["output_usd_per_mtok"] = 2.0 if self.cards == "equal" else 10.0 ** (place - 2)
        return cards

    def query_table(self) -> pd.DataFrame:
        """Queries, spread over the tasks; one beyond the outcomes of any model."""
        rng = np.random.default_rng(self.seed)
        number = np.arange(max(self.num_outcomes, 6))
        words = [" ".join(rng.choice(["red", "blue", "sum", "of", "two"], 4)) for _ in number]
        return pd.DataFrame(
            {
                "query_id": [f"q{i}" for i in number],
                "task": [f"t{i}" for i in rng.integers(self.num_tasks, size=len(number))],
                "prompt": [
                    f"Say {i}." if self.alike_prompts else f"{text} {i}"
                    for i, text in zip(number, words, strict=True)
                ],
            }
        )

    def outcome_table(self, models: list[str], queries: pd.DataFrame) -> pd.DataFrame:
        rng = np.random.default_rng(self.seed + 1)
        tables = []
        for place, model in enumerate(models):
            chosen = rng.permutation(len(queries))[: self.num_outcomes]
            effect = {
                "zero": np.zeros(len(chosen)),
                "one": np.ones(len(chosen)),
                "half": np.full(len(chosen), 0.5),
                "apart": np.full(len(chosen), float(place % 2)),
                "random": rng.integers(2, size=len(chosen)).astype(float),
            }[self.effect]
            table = pd.DataFrame(
                {"query_id": queries["query_id"].to_numpy()[chosen], "model": model}
            ).assign(effect=effect)
            if self.tokens != "none":
                random = rng.integers(1, 9000, size=(2, len(chosen)))
                amounts = np.full((2, len(chosen)), 7) if self.tokens == "constant" else random
                table = table.assign(input_tokens=amounts[0], output_tokens=amounts[1])
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def dataset(self) -> gr.RoutingDataset:
        queries = self.query_table()
        return gr.RoutingDataset.from_frames(
            queries=queries,
            models=self.card_table(self.models),
            outcomes=self.outcome_table(self.models, queries),
        )


worlds = st.builds(
    World,
    num_models=st.integers(2, 5),
    num_tasks=st.sampled_from([1, 2, 3, 8, 20, 58, 200]) | st.integers(1, 200),
    num_outcomes=st.integers(1, 20),
    effect=st.sampled_from(["zero", "one", "half", "apart", "random"]),
    tokens=st.sampled_from(["none", "constant", "random"]),
    cards=st.sampled_from(["none", "equal", "different"]),
    one_family=st.booleans(),
    alike_prompts=st.booleans(),
    newcomer_share=st.sampled_from([0.0, 0.2, 0.9]),
    seed=st.integers(0, 1000),
)


def check_world(world: World, num_shots: int) -> None:
    """Train a router for a few steps, and do all that can be done to its pool."""
    data = world.dataset()
    config = gr.load_config(
        overrides=[
            "encoder.name=hashing",
            "encoder.dimension=16",
            "network.width=8",
            "network.hidden=8",
            "training.max_epochs=1",
            "training.steps_per_epoch=3",
            f"training.newcomer_share={world.newcomer_share}",
            f"seed={world.seed}",
        ]
    )
    # Every side of the split has an outcome of the pool.
    ids = data.queries["query_id"].tolist()
    answered = [name for name in ids if name in set(data.outcomes["query_id"])]
    others = [name for name in ids if name not in answered]
    if len(answered) < 2:
        return
    train = sorted([*answered[1:], *others])
    split = Split(train=tuple(train), validation=(answered[0],), test=())
    router = gr.GraphRouter.fit(data, config, split=split)
    check_predictions(router, ["Say 3.", "something else"])

    card = gr.ModelCard(model=NEW, description="a model")
    known = data.queries.set_index("query_id").loc[router.support.queries["query_id"]]
    graded = world.outcome_table([NEW], known.reset_index()).head(num_shots)
    by_card = router.add_models([card])
    placed = router.add_models([card], outcomes=graded) if num_shots else by_card
    more = by_card.add_outcomes(graded) if num_shots else by_card
    for each in (by_card, placed, more):
        check_predictions(each, ["Say 3.", "something else"])
    if len(graded) < len(known):
        assert len(more.suggest_probes(1, model=NEW)) == 1
    assert len(router.suggest_probes(2)) == 2
    with tempfile.TemporaryDirectory() as folder:
        placed.save(f"{folder}/router")
        loaded = gr.load_router(f"{folder}/router")
    np.testing.assert_array_equal(
        loaded.predict(["Say 3."]).effect, placed.predict(["Say 3."]).effect
    )


def check_predictions(router: gr.GraphRouter, prompts: list[str]) -> None:
    predictions = router.predict(prompts)
    assert ((predictions.effect >= 0) & (predictions.effect <= 1)).all()
    assert np.isfinite(predictions.effect_low).all()
    assert np.isfinite(predictions.effect_high).all()
    for amounts in (predictions.cost_usd, predictions.input_tokens, predictions.output_tokens):
        assert not np.isinf(amounts).any()
    assert router.route(prompts[0]).model in router.models


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds, num_shots=st.integers(0, 20))
@example(world=World(num_tasks=58, effect="apart"), num_shots=0)
@example(world=World(num_tasks=1, num_outcomes=2, one_family=True, effect="one"), num_shots=1)
def test_degenerate_pools_train_and_take_in_a_model(world: World, num_shots: int) -> None:
    check_world(world, num_shots)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds, num_shots=st.integers(0, 20))
def test_many_degenerate_pools_train_and_take_in_a_model(world: World, num_shots: int) -> None:
    check_world(world, num_shots)
