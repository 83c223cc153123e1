"""How long changes of the pool take, and how far they move the predictions for the others.

Usage:
    python experiments/newcomers/changes.py ARTIFACT DATA

ARTIFACT is a graph router that was trained without some models of DATA, such as those that cards.py
leaves in its folder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

import graphrouter as gr

Made = TypeVar("Made")
NUM_OUTCOMES = 100
NUM_RUNS = 5


def timed(what: str, make: Callable[[], Made]) -> Made:
    """What `make` gives; prints the median time."""
    seconds = []
    for _ in range(NUM_RUNS):
        start = time.perf_counter()
        made = make()
        seconds.append(time.perf_counter() - start)
    print(f"{what}: {1000 * float(np.median(seconds)):.1f} ms")
    return made


def main() -> None:
    """Prints a line for each change."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact")
    parser.add_argument("data")
    arguments = parser.parse_args()
    data = gr.load_dataset(arguments.data)
    router = gr.GraphRouter.load(arguments.artifact)
    name = next(model for model in data.pool.names if model not in router.models)
    theirs = data.outcomes[
        (data.outcomes["model"] == name)
        & data.outcomes["query_id"].isin(router.support.queries["query_id"])
    ]
    some = theirs.sample(NUM_OUTCOMES, random_state=0).drop(columns="answer", errors="ignore")
    test = data.queries.set_index("query_id").loc[list(router.provenance.split.test)]
    prompts, tasks = test["prompt"].tolist(), test["task"].tolist()
    print(f"{router!r}, newcomer {name!r}")
    blind = timed("add_model by its card alone", lambda: router.add_model(data.pool[name]))
    joined = timed(
        f"add_model with {NUM_OUTCOMES} outcomes",
        lambda: router.add_model(data.pool[name], outcomes=some),
    )
    removed = timed("remove_model", lambda: joined.remove_model(name))
    timed("suggest_probes(20)", lambda: blind.suggest_probes(20, model=name))
    prompt = [prompts[0]]

    def reprice() -> gr.GraphRouter:
        return joined.set_price(name, input_usd_per_mtok=0.0, output_usd_per_mtok=0.0)

    free = timed("set_price", reprice)
    print("expected cost of one call before and after: "
          f"{joined.predict(prompt).cost_usd[0, -1]:.2e} USD, "
          f"{free.predict(prompt).cost_usd[0, -1]:.2e} USD")  # fmt: skip
    before = router.predict(prompts, tasks=tasks).effect
    for what, other in (
        ("card alone", blind),
        (f"{NUM_OUTCOMES} outcomes", joined),
        ("added and removed", removed),
    ):
        moved = np.abs(other.predict(prompts, tasks=tasks).effect[:, : before.shape[1]] - before)
        print(f"others moved, {what}: mean {moved.mean():.1e}, most {moved.max():.1e}")


if __name__ == "__main__":
    main()
