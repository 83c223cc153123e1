"""Logs of a strong and a weak model in which somebody looked at the difficulty of the prompt."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from graphrouter.data import RoutingDataset
from graphrouter.types import BoolArray

EASY = ("Add {a} and {b}.", "What is {a} plus {b}?", "How much is {a} + {b}, roughly?")
HARD = (
    "Prove that a group of order {a} with a subgroup of index {b} is solvable, with every lemma.",
    "Design a lock-free queue for {a} producers and {b} consumers, and prove it linearizable.",
    "Derive the asymptotic variance of an estimator with {a} moments and {b} instruments.",
)
EFFECT = {"strong": (0.97, 0.55), "weak": (0.88, 0.25)}
"""Chance of success of each model on an easy and on a hard prompt."""
Tasks = Literal["one", "kind", "none"]


def make_chosen_logs(
    seed: int,
    *,
    tasks: Tasks = "one",
    share_strong: float = 0.9,
    share_both: float = 0.0,
    num_queries: int = 600,
) -> tuple[RoutingDataset, BoolArray]:
    """The logs, and which of the queries are hard.

    Args:
        seed: Of everything.
        tasks: One task for all, one for each kind of prompt, or none.
        share_strong: Share of the hard prompts that `strong` is asked, and of the easy ones that
            `weak` is; 0.5 is at random.
        share_both: Share of the queries that both were asked.
        num_queries: Half of them hard.
    """
    rng = np.random.default_rng(seed)
    hard = rng.random(num_queries) < 0.5
    names = {"one": ("all", "all"), "kind": ("easy", "hard"), "none": (None, None)}[tasks]
    queries, outcomes = [], []
    for i, is_hard in enumerate(hard):
        form = (HARD if is_hard else EASY)[rng.integers(3)]
        a, b = rng.integers(10, 9999, 2)
        queries.append((f"q{i}", names[int(is_hard)], form.format(a=a, b=b)))
        suits = "strong" if is_hard else "weak"
        other = "weak" if is_hard else "strong"
        asked = [suits if rng.random() < share_strong else other]
        if rng.random() < share_both:
            asked = ["strong", "weak"]
        for model in asked:
            outcomes.append((f"q{i}", model, float(rng.random() < EFFECT[model][int(is_hard)])))
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame(queries, columns=["query_id", "task", "prompt"]),
        models=pd.DataFrame({"model": ["strong", "weak"]}),
        outcomes=pd.DataFrame(outcomes, columns=["query_id", "model", "effect"]),
        name="chosen",
    )
    return data, hard
