"""Route by the documents that go with a question: whom they help, and whom they mislead."""

from __future__ import annotations

import numpy as np

import graphrouter as gr
from graphrouter.bench.simulate import simulate_views
from graphrouter.types import Queries


def main() -> None:
    """Print what choices are worth with the documents and without, and one decision."""
    world = simulate_views("context", num_queries=500, num_models=5, seed=1)
    router = gr.GraphRouter.fit(world.data, instant=True)
    test = world.data.queries["query_id"].isin(router.provenance.split.test).to_numpy()
    seen = Queries.of_frame(world.data.queries[test])
    unseen = Queries.of(seen.prompts, seen.tasks)
    for name, queries in (("with the documents:   ", seen), ("without the documents:", unseen)):
        chosen = router.predict(queries).effect.argmax(axis=1)
        reached = world.effect[test][np.arange(len(chosen)), chosen].mean()
        print(f"{name} {reached:.3f} of the answers are right")
    prompt = "Who wrote the report?"
    documents = ["The record of 1931 covers who wrote the report.", "A list of names follows."]
    print("asked with documents: ", router.route(prompt, context=documents).model)


if __name__ == "__main__":
    main()
