"""Train a router on a small simulated world, route a prompt, save the router and load it again.

Usage:
    python examples/quickstart.py [ARTIFACT]
"""

from __future__ import annotations

import sys

import graphrouter as gr

PROMPT = "Translate into French: The museum opens at nine."
POLICIES = {"balanced": gr.Policy.preset("balanced"), "at least 0.95": gr.Policy(min_effect=0.95)}


def main(artifact: str) -> None:
    """Train for a few seconds; leave the configuration out for a full training."""
    data = gr.simulate(num_queries=300).data
    config = gr.load_config(overrides=["training.max_epochs=3", "training.steps_per_epoch=10"])
    router = gr.GraphRouter.fit(data, config)

    for name, policy in POLICIES.items():
        try:
            found = router.route(PROMPT, task="translation", policy=policy)
        except gr.GraphRouterError as error:  # nobody reaches 0.95: the policy names no fallback
            print(f"{name}: {error}")
            continue
        print(f"{name}: {found.model}, effect {found.effect:.2f}, cost {found.cost_usd:.6f} USD")

    router.save(artifact)
    again = gr.load_router(artifact).route(PROMPT, task="translation")
    print(f"{artifact} loaded: {again.model}, {len(again.rejected)} models rejected")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "artifacts/quickstart")
