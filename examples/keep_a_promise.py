"""Find the cheapest policy that keeps a share of the best model's effect, with a guarantee.

Usage:
    python examples/keep_a_promise.py
"""

from __future__ import annotations

import graphrouter as gr

PROMPT = "Translate into French: The museum opens at nine."


def main() -> None:
    """Ready within seconds: `instant` trains nothing; the promise rests on the test queries."""
    data = gr.simulate(num_queries=1500, num_models=6, missing=0).data
    config = gr.load_config(overrides=["split.test=0.5"])
    router = gr.GraphRouter.fit(data, config, instant=True)
    try:  # to keep all of the effect cannot be shown with so few queries
        router.calibrate_policy(data, keep=1)
    except gr.GraphRouterError as error:
        print(f"Refused: {error}")
    promise = router.calibrate_policy(data, keep=0.9, of="best_single", confidence=0.95)
    print(promise)
    decision = router.route(PROMPT, task="translation", policy=promise.policy)
    print(f"{promise.policy.describe()}: {decision.model}")


if __name__ == "__main__":
    main()
