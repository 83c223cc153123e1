"""Adds a model to a trained router by its card alone, with ten outcomes, and with suggested probes.

Prints what that changes.
"""

from __future__ import annotations

import numpy as np

import graphrouter as gr
from graphrouter.bench.simulate.simulation import Simulation

NEW = "tarn-grand"


def describe(router: gr.GraphRouter, world: Simulation) -> str:
    """What the choices on the test prompts look like, and how far the router is from the truth,
    which it never sees.
    """
    test = world.data.queries["query_id"].isin(router.provenance.split.test).to_numpy()
    truth, names = world.truth.effect[test], world.truth.models
    prompts = world.data.queries["prompt"][test].tolist()
    chosen = [
        each.model
        for each in router.route_batch(prompts, policy=gr.Policy.preset("performance_first"))
    ]
    reached = truth[np.arange(len(prompts)), [names.index(name) for name in chosen]].mean()
    expected, true = router.predict(prompts).effect[:, -1].mean(), truth[:, names.index(NEW)].mean()
    return (
        f"{chosen.count(NEW) / len(chosen):.0%} sent to it, expected {expected:.2f} (true "
        f"{true:.2f}), reached {reached:.2f}"
    )


def main() -> None:
    """Prints one line a way."""
    world = gr.simulate(num_queries=300, missing=0)
    known = [name for name in world.data.pool.names if name != NEW]
    router = gr.GraphRouter.fit(
        world.data.select_models(known), gr.load_config(overrides=["training.max_epochs=3"])
    )
    card = world.data.pool[NEW]
    done = world.data.outcomes[
        world.data.outcomes["model"] == NEW
    ]  # stands for running the model and grading its answers
    solved = done[done["query_id"].isin(router.support.queries["query_id"])]
    by_card = router.add_model(card)
    probes = by_card.suggest_probes(10, model=NEW)
    print("card alone:   ", describe(by_card, world))
    print(
        "ten outcomes: ",
        describe(router.add_model(card, outcomes=solved.sample(10, random_state=0)), world),
    )
    print(
        "ten probes:   ",
        describe(by_card.add_outcomes(solved[solved["query_id"].isin(probes["query_id"])]), world),
    )


if __name__ == "__main__":
    main()
