"""A router that is fitted at once, and routes for it."""

from __future__ import annotations

import pytest

import graphrouter as gr

FRENCH = (
    "Translate into French: Good night.",
    "Now in Spanish: I am late.",
    "Hello in German?",
)
PROOFS = ("Prove that 17 is prime.", "Prove that 2n is even.", "Show that 1 + 1 = 2.")  # fmt: skip


@pytest.fixture(scope="session")
def router() -> gr.GraphRouter:
    return gr.GraphRouter.fit(gr.simulate(num_queries=200, num_models=4, seed=0).data, instant=True)


@pytest.fixture
def routes(router: gr.GraphRouter) -> gr.Routes:
    first, second = router.models[:2]
    return gr.Routes(
        [
            {
                "name": "translation",
                "description": "Translate a sentence into another language.",
                "examples": list(FRENCH),
                "models": [first, second],
            },
            {"name": "proofs", "examples": list(PROOFS), "model": second},
            {"name": "talk", "description": "Small talk.", "policy": {"preset": "cost_first"}},
        ]
    )
