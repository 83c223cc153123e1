"""Keep a budget: of a batch known ahead, of a stream that is not, and beside the best one model."""

from __future__ import annotations

import graphrouter as gr
from graphrouter.router import BudgetStream

BUDGET_USD = 0.02


def main() -> None:
    """Print one line a way."""
    data = gr.simulate(num_queries=300).data
    router = gr.GraphRouter.fit(data, instant=True)
    prompts = data.queries["prompt"].tolist()[:200]

    whole = router.route_batch(prompts, budget_usd=BUDGET_USD)
    print(
        f"batch:      effect {whole.total_effect / 200:.2f} a prompt for "
        f"{whole.total_cost_usd:.4f} USD; one more cent would buy {whole.shadow_price / 100:.1f}"
    )

    stream = BudgetStream(budget_usd=BUDGET_USD, num_prompts=len(prompts))
    effect = 0.0
    for prompt in prompts:
        decision = stream.route(router, prompt)
        effect += decision.effect
        stream.record(decision.cost_usd * 1.1)  # here stands what the call was billed
    print(f"stream:     effect {effect / 200:.2f} a prompt for {stream.spent_usd:.4f} USD")

    expected = router.predict(prompts)
    fits = expected.cost_usd.sum(axis=0) <= BUDGET_USD
    best = expected.effect.mean(axis=0)[fits].max()
    print(f"one model:  effect {best:.2f} a prompt, the best that fits the budget for all")


if __name__ == "__main__":
    main()
