"""Worlds in which the right answer is plain to see."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.encoders.hashing import HashingEncoder

EffectOf = Callable[[str, str], float | None]
"""From (topic, model) to effect, None = not run."""
TwoTopics = Callable[..., LearningData]
PROMPTS = {
    "sums": "add these numbers and give the sum {}",
    "poems": "write a rhyming verse about the sea {}",
}


@pytest.fixture(scope="session")
def two_topics() -> TwoTopics:
    """Builds 80 training and 20 validation queries on two topics whose texts differ; every model
    costs its own price."""

    def build(
        effect_of: EffectOf, costs: dict[str, float], *, tasks: bool = False, validated: bool = True
    ) -> LearningData:
        topics = [list(PROMPTS)[i % 2] for i in range(100)]
        ids = [f"q{i:03}" for i in range(100)]
        rows = [
            (query, model, effect, cost)
            for query, topic in zip(ids, topics, strict=True)
            for model, cost in costs.items()
            if (effect := effect_of(topic, model)) is not None
        ]
        prompts = [PROMPTS[topic].format(i) for i, topic in enumerate(topics)]
        data = gr.RoutingDataset.from_frames(
            queries=pd.DataFrame(
                {"query_id": ids, "task": topics if tasks else None, "prompt": prompts}
            ),
            models=pd.DataFrame({"model": list(costs)}),
            outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
        )
        held = ids[80:] if validated else []
        return LearningData.of(
            data, ids[:80], encoder=HashingEncoder(64), validation_ids=held, seed=0
        )

    return build


@pytest.fixture(scope="session")
def specialists(two_topics: TwoTopics) -> LearningData:
    """One model for each topic, one that is halfway good at both and dear, and one that was never
    run."""

    def effect_of(topic: str, model: str) -> float | None:
        return {"adder": float(topic == "sums"), "poet": float(topic == "poems"), "fair": 0.5}.get(
            model
        )

    return two_topics(effect_of, {"adder": 0.01, "poet": 0.02, "fair": 0.05, "new": 0.01})


@pytest.fixture(scope="session")
def topic_prompts() -> list[str]:
    """An unseen sum, then an unseen poem."""
    return [prompt.format("today") for prompt in PROMPTS.values()]
