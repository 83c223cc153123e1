"""Add a model to a trained router: by its card alone, with ten outcomes, with ten probes."""

from __future__ import annotations

import numpy as np

import graphrouter as gr
from graphrouter.bench.simulate import Simulation

NEW = "tarn-grand"


def describe(router: gr.GraphRouter, world: Simulation) -> str:
    """What the choices on the test prompts are like, and the truth, which the router never sees."""
    test = world.data.queries["query_id"].isin(router.provenance.split.test).to_numpy()
    truth, names = world.truth.effect[test], world.truth.models
    prompts = world.data.queries["prompt"][test].tolist()
    policy = gr.Policy.preset("performance_first")
    chosen = [decision.model for decision in router.route_batch(prompts, policy=policy)]
    reached = truth[np.arange(len(prompts)), [names.index(name) for name in chosen]].mean()
    expected, true = router.predict(prompts).effect[:, -1].mean(), truth[:, names.index(NEW)].mean()
    share = chosen.count(NEW) / len(chosen)
    return (
        f"{share:.0%} sent to it, expected {expected:.2f} (true {true:.2f}), reached {reached:.2f}"
    )


def main() -> None:
    """Print one line a way."""
    world = gr.simulate(num_queries=300, missing=0)
    known = [name for name in world.data.pool.names if name != NEW]
    config = gr.load_config(overrides=["training.max_epochs=3"])
    router = gr.GraphRouter.fit(world.data.select_models(known), config)
    card, done = world.data.pool[NEW], world.data.outcomes
    # The known outcomes stand for running the model and grading its answers.
    solved = done[
        (done["model"] == NEW) & done["query_id"].isin(router.support.queries["query_id"])
    ]
    by_card = router.add_model(card)
    probes = by_card.suggest_probes(10, model=NEW)
    print("card alone:   ", describe(by_card, world))
    by_chance = router.add_model(card, outcomes=solved.sample(10, random_state=0))
    print("ten outcomes: ", describe(by_chance, world))
    by_probes = by_card.add_outcomes(solved[solved["query_id"].isin(probes["query_id"])])
    print("ten probes:   ", describe(by_probes, world))


if __name__ == "__main__":
    main()
