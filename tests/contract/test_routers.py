"""One suite for every router: what a caller may rely on, whichever router it is."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.encoders import create_encoder
from graphrouter.evaluation import fit_references
from graphrouter.routers.base import Router

PROMPTS = ["Translate 'tree' into German.", "Add 3 and 4.", "", "Summarise this: " + "text " * 200]
NAMES = ("graphrouter", "best_single", "task_mean", "rasch", "knn")


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=200, num_models=6, seed=5, missing=0.5).data


@pytest.fixture(scope="module")
def routers(data: gr.RoutingDataset) -> dict[str, Router]:
    config = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])
    graph = gr.GraphRouter.fit(data, config)
    return {"graphrouter": graph, **fit_references(data, graph.provenance.split, create_encoder(config.encoder))}


@pytest.fixture(params=NAMES)
def router(request: pytest.FixtureRequest, routers: dict[str, Router]) -> Router:
    return routers[request.param]


def test_every_fitted_router_is_in_the_suite(routers: dict[str, Router]) -> None:
    assert set(routers) == set(NAMES)


def test_shapes_and_ranges(router: Router, data: gr.RoutingDataset) -> None:
    predictions = router.predict(PROMPTS)
    assert predictions.models == router.models == data.pool.names
    assert predictions.effect.shape == (4, 6)
    assert ((predictions.effect > 0) & (predictions.effect < 1)).all()
    assert (predictions.cost_usd >= 0).all()


def test_the_same_question_has_the_same_answer(router: Router) -> None:
    np.testing.assert_array_equal(router.predict(PROMPTS).effect, router.predict(PROMPTS).effect)


def test_scores_do_not_depend_on_batch_mates(router: Router, data: gr.RoutingDataset) -> None:
    tasks = [None, data.tasks["task"].iloc[0], None, "no such task"]
    together = router.predict(PROMPTS, tasks=tasks)
    for i, prompt in enumerate(PROMPTS):
        alone = router.predict([prompt], tasks=[tasks[i]])
        np.testing.assert_allclose(alone.effect[0], together.effect[i], atol=1e-9)
        np.testing.assert_allclose(alone.cost_usd[0], together.cost_usd[i], atol=1e-12)


@pytest.mark.parametrize("preset", ["performance_first", "balanced", "cost_first"])
def test_routes_under_every_preset(router: Router, preset: str) -> None:
    decisions = router.route_batch(PROMPTS, policy=gr.Policy.preset(preset))  # type: ignore[arg-type]
    assert all(decision.model in router.models for decision in decisions)
    alone = router.route(PROMPTS[1], policy=gr.Policy.preset(preset))  # type: ignore[arg-type]
    assert [c.model for c in alone.candidates] == [c.model for c in decisions[1].candidates]
    assert alone.effect == pytest.approx(decisions[1].effect, abs=1e-9)


def test_unobserved_outcomes_are_not_failures(data: gr.RoutingDataset, router: Router) -> None:
    """The data lacks half of its outcomes; had they been read as zeros, the mean would lie that much lower."""
    predicted = router.predict(data.queries["prompt"].tolist(), tasks=data.queries["task"].tolist()).effect.mean()
    observed = float(data.outcomes["effect"].mean())
    assert predicted == pytest.approx(observed, abs=0.15 * observed)
