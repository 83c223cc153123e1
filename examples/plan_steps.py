"""Choose a model for each step of a plan, given what came before, as M3 does for subtasks."""

from __future__ import annotations

import numpy as np

import graphrouter as gr

BUDGET_USD = 0.004
JUDGE = gr.Judge(hit_rate=0.9, false_alarm_rate=0.2)
"""How often whoever looks at a step passes right and wrong work."""
STEPS = [
    {"role": "extraction", "prompt": "Take the names, dates and amounts from the letter."},
    {"role": "facts", "prompt": "Which rules of the warranty apply to such a case?"},
    {"role": "writing", "prompt": "Write a polite answer.", "after": ["extraction", "facts"]},
    {"role": "translation", "prompt": "Translate it into French.", "after": ["writing"]},
]


def main() -> None:
    """Print the plan, and how it changes with what is seen."""
    router = gr.GraphRouter.fit(gr.simulate(num_queries=400).data, instant=True)
    routing = router.route_steps(STEPS, budget_usd=BUDGET_USD, tolerance=0.2)
    seen = []
    print(f"planned: the end goes right with chance {routing.total_effect:.2f}")
    random = np.random.default_rng(0)
    while routing.next_steps:
        step = routing.next_steps[0]
        is_right = random.random() < step.effect  # here the step is run, and looked at
        passes = random.random() < JUDGE.expect_pass(float(is_right))
        billed = float(random.uniform(0.7, 1.1)) * (step.cost_usd or 0.0)
        routing = routing.after(step.name, JUDGE.grade(float(passes)), cost_usd=billed)
        word = "passed" if passes else "failed"
        seen.append(f"{step.name} by {step.model} {word}, so {routing.total_effect:.2f}")
    print("; ".join(seen))
    print(f"spent {routing.spent_usd:.4f} of {BUDGET_USD} USD")


if __name__ == "__main__":
    main()
