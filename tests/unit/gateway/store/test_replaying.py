"""What another policy would have brought, of decisions that a store has kept."""

from __future__ import annotations

import graphrouter as gr
from graphrouter.gateway.store.replaying import LoggedDecision, replay
from graphrouter.query_views import Embedding


def test_embeddings_that_a_router_leaves_aside_may_be_of_any_length(
    router: gr.GraphRouter,
) -> None:
    candidates = {name: {"propensity": 1 / len(router.models)} for name in router.models}
    plain = [
        LoggedDecision(candidates, router.models[i % 4], f"Add {i} and 4.", None, i % 3 / 2, 0.01)
        for i in range(160)
    ]
    vectors = [Embedding.of([0.5] * (3 + i % 2), "clip") for i in range(160)]
    log = [each._replace(embedding=one) for each, one in zip(plain, vectors, strict=True)]
    found = replay(log, router, gr.Policy(), again=True)
    assert found == replay(plain, router, gr.Policy(), again=True)
