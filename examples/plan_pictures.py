"""Subtasks that carry pictures and build upon each other, as in M3: a model for each of them.

Pictures come as vectors of an encoder named picture: here of a simulated world, whose truth is
known. A plan reads two pictures, then answers a question about a third by what both have told.
"""

from __future__ import annotations

import numpy as np

import graphrouter as gr
from graphrouter.bench.simulate import simulate_views
from graphrouter.types import Embedding

BUDGET_USD, NUM_PLANS = 0.005, 80


def main() -> None:
    """Print how often plans go right with the pictures and without, and the last plan."""
    world = simulate_views("embedding", num_queries=800, num_models=5)
    queries = world.data.queries
    router = gr.GraphRouter.fit(world.data, instant=True)
    test = np.flatnonzero(queries["query_id"].isin(router.provenance.split.test))
    drawn = [np.random.default_rng([0, i]).choice(test, 3, replace=False) for i in range(NUM_PLANS)]
    for sees in (False, True):
        chances = []
        for rows in drawn:
            steps = [
                {"name": name, "role": query["task"], "prompt": query["prompt"], "after": after}
                for name, after, (_, query) in zip(
                    ("first picture", "second picture", "answer"),
                    ([], [], ["first picture", "second picture"]),
                    queries.iloc[rows].iterrows(),
                    strict=True,
                )
            ]
            if sees:
                for step, vector in zip(steps, queries["embedding"].iloc[rows], strict=True):
                    step["embedding"] = Embedding.of(vector, "picture")
            routing = router.route_steps(steps, budget_usd=BUDGET_USD)
            models = [router.models.index(step.model) for step in routing.steps]
            chances.append(world.effect[rows, models].prod())  # the end needs all three
        print(f"{'with' if sees else 'without'} pictures {np.mean(chances):.2f} of plans go right")
    print("; ".join(f"{step.name} by {step.model} ({step.effect:.2f})" for step in routing.steps))


if __name__ == "__main__":
    main()
