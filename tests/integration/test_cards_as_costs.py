"""Costs beyond dollars on real outcomes: seconds, fields of cards, and what the moment brings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.exceptions import PolicyError


def test_seconds_fields_and_the_moment_on_real_data(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    data = gr.load_dataset(shared_data("reasoning_gym"))
    drawn = np.random.default_rng(0).permutation(data.queries["query_id"])[:500]
    data = data.select_queries(sorted(drawn))
    num = len(data.models)
    models = data.models.assign(
        energy_wh=np.linspace(0.1, 3.0, num).round(2), region=["eu", "us"] * (num // 2) + ["eu"]
    )
    frames = {"queries": data.queries, "outcomes": data.outcomes, "tasks": data.tasks}
    data = gr.RoutingDataset.from_frames(models=models, **frames)
    data.save(tmp_path / "data", format="csv")
    gr.GraphRouter.fit(gr.load_dataset(tmp_path / "data"), instant=True).save(tmp_path / "mine")
    router = gr.load_router(tmp_path / "mine")
    prompts = data.queries["prompt"].tolist()[:60]

    eu = {card.model for card in router.pool if card.state_of("region") == "eu"}
    asked = gr.Policy(cost_weight=0, requires={"region": "eu"})
    chosen = router.route_batch(prompts, policy=asked)
    assert {decision.model for decision in chosen} <= eu
    batch = router.route_batch(prompts, policy=asked, max_calls={chosen[0].model: 5})
    assert set(batch.model) <= eu
    without = router.route_batch(prompts, policy=asked, unavailable={chosen[0].model})
    assert chosen[0].model not in {decision.model for decision in without}

    watts = [
        np.mean([router.pool[d.model].state_of("energy_wh") for d in decisions])
        for decisions in (
            router.route_batch(
                prompts, policy=gr.Policy(cost_weight=0, penalties={"energy_wh": rate})
            )
            for rate in (0.0, 0.1, 10.0)
        )
    ]
    assert watts[0] > watts[1] > watts[2] == pytest.approx(0.1)

    if np.isfinite(router.predict(prompts[:1]).latency_s).all():
        priced = gr.Policy(usd_per_effect=0.02, usd_per_second=0.001)
        first = router.route(prompts[0], policy=priced)
        assert first.parts is not None
        assert first.parts.seconds == pytest.approx(0.05 * (first.latency_s or 0))
        later = router.route(prompts[0], policy=priced, extra_latency_s={first.model: 1000})
        assert later.model != first.model
    else:
        with pytest.raises(PolicyError, match="latency"):
            router.route(prompts[0], policy=gr.Policy(usd_per_effect=0.02, usd_per_second=0.001))
