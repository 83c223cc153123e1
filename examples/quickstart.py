"""Trains a router on a small simulated world, routes a prompt under two policies, saves the router and loads it again.

Usage:
    python examples/quickstart.py [ARTIFACT]
"""

from __future__ import annotations

import sys

import graphrouter as gr

PROMPT = "Translate into French: The museum opens at nine."


def main(artifact: str) -> None:
    """Trains briefly, so that it takes a few seconds.

    Leave the configuration out for a full training.
    """
    data = gr.simulate(num_queries=300).data
    config = gr.load_config(overrides=["training.max_epochs=3", "training.steps_per_epoch=10"])
    router = gr.GraphRouter.fit(data, config)

    for name, policy in {
        "balanced": gr.Policy.preset("balanced"),
        "at least 0.95": gr.Policy(min_effect=0.95),
    }.items():
        try:
            decision = router.route(PROMPT, task="translation", policy=policy)
        except (
            gr.GraphRouterError
        ) as error:  # nobody reaches 0.95, and the policy names no fallback
            print(f"{name}: {error}")
            continue
        print(
            f"{name}: {decision.model}, effect {decision.effect:.2f}, cost "
            f"{decision.cost_usd:.6f} USD"
        )

    router.save(artifact)
    again = gr.load_router(artifact).route(PROMPT, task="translation")
    print(f"{artifact} loaded: {again.model}, {len(again.rejected)} models rejected")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "artifacts/quickstart")
