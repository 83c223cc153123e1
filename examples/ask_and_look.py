"""Ask a cheap model, look at its answer, and go on only where that is worth it.

Usage:
    python examples/ask_and_look.py
"""

from __future__ import annotations

import graphrouter as gr
from graphrouter.router import Answer

PROMPT = "Translate into French: The museum opens at nine."


def ask(model: str, prompt: str) -> Answer:
    """Stands for a call of a provider; only one model knows French here."""
    knows_french = model == "juniper-30b"
    return Answer("Le musée ouvre à neuf heures." if knows_french else "Das Museum.", cost_usd=2e-4)


def judge(prompt: str, answer: str) -> float:
    """Stands for tests, a rule or another model: a number in [0, 1]."""
    return float("musée" in answer)


def main() -> None:
    """Ready within seconds: `instant` trains nothing."""
    router = gr.GraphRouter.fit(gr.simulate(num_queries=1000, num_models=6).data, instant=True)
    policy = gr.Policy.preset("performance_first")
    reliability = gr.Judge(hit_rate=0.95, false_alarm_rate=0.05)
    print(router.plan(PROMPT, policy=policy, judge=reliability))  # .tree() draws all of it
    run = router.run(
        PROMPT, ask=ask, judge=judge, reliability=reliability, policy=policy, max_calls=6
    )
    print(run)
    print(router.add_outcomes(run.outcomes))


if __name__ == "__main__":
    main()
