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
MANY_EASY = (
    "what is the capital of {a} {b}",
    "who wrote the novel {a} {b}",
    "translate {a} {b} to french",
    "when was {a} {b} born",
    "spell the surname {a} {b}",
)
MANY_HARD = (
    "prove that every {a} {b} operator is compact under weak topologies",
    "derive an asymptotic variance for {a} {b} estimators with nuisance parameters",
    "implement one lock-free {a} {b} queue in rust, then show linearizability",
    "does any {a} {b} manifold admit an exact symplectic structure? argue carefully",
    "bound spectral gaps of {a} {b} markov chains on expanders",
)
EFFECT = {"strong": (0.97, 0.55), "weak": (0.88, 0.25)}
"""Chance of success of each model on an easy and on a hard prompt."""
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
Tasks = Literal["one", "kind", "none"]


def make_chosen_logs(
    seed: int,
    *,
    tasks: Tasks = "one",
    share_strong: float = 0.9,
    share_both: float = 0.0,
    num_queries: int = 600,
    many_forms: bool = False,
) -> tuple[RoutingDataset, BoolArray]:
    """The logs, and which of the queries are hard.

    Args:
        seed: Of everything.
        tasks: One task for all, one for each kind of prompt, or none.
        share_strong: Share of the hard prompts that `strong` is asked, and of the easy ones that
            `weak` is; 0.5 is at random.
        share_both: Share of the queries that both were asked.
        num_queries: Half of them hard.
        many_forms: Prompts of a kind have hardly a word in common, and are filled with invented
            words in place of numbers.
    """
    rng = np.random.default_rng(seed)
    hard = rng.random(num_queries) < 0.5
    names = {"one": ("all", "all"), "kind": ("easy", "hard"), "none": (None, None)}[tasks]
    easy_forms, hard_forms = (MANY_EASY, MANY_HARD) if many_forms else (EASY, HARD)
    words = ["".join(rng.choice(LETTERS, 6)) for _ in range(400)] if many_forms else []
    queries, outcomes = [], []
    for i, is_hard in enumerate(hard):
        forms = hard_forms if is_hard else easy_forms
        form = forms[rng.integers(len(forms))]
        a, b = rng.choice(words, 2) if many_forms else rng.integers(10, 9999, 2)
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
