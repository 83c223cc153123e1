"""People with tastes: whom a router asks for each, what five grades change, and forgetting."""

from __future__ import annotations

import pandas as pd

import graphrouter as gr
from graphrouter.bench.simulate import simulate_people


def main() -> None:
    """Route one prompt for two people, teach a newcomer's taste, and forget the newcomer."""
    data = simulate_people(num_queries=400, num_models=4, num_users=6, num_teams=2, strength=2).data
    router = gr.GraphRouter.fit(data, instant=True)
    prompt = "Write a function that reverses a list."
    policy = gr.Policy.preset("performance_first")
    users = ("user-000", "user-001", "user-004", None)
    print(*(router.route(prompt, user=user, policy=policy).model for user in users))
    favourite = router.route(prompt, policy=policy).model
    prompts = [f"Write a function that adds {i} to a number." for i in range(5)]
    grades = pd.DataFrame({"prompt": prompts, "model": favourite, "effect": 0.0, "user": "eve"})
    taught = router.add_outcomes(grades)
    at = router.models.index(favourite)
    before, after = (r.predict([prompt], users=["eve"]).effect[0, at] for r in (router, taught))
    print(f"eve, of {favourite}: {before:.2f}, after five bad answers {after:.2f}")
    print("eve" in taught.forget_user("eve").support.people.users)


if __name__ == "__main__":
    main()
