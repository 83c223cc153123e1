"""A month of calls as a client logs them: many prompts, one model each, and hardly any grades.

Usage:
    python -m experiments.first_hour.make_log FILE [--calls 5000] [--graded 800] [--seed 0]

The calls are of the simulated world, so what they would have been worth with other models is known.
Six models share the traffic as habit has it, some prompts were tried on two of them, and people
rated a few answers from 1 to 5.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import graphrouter as gr

SHARES = (0.4, 0.22, 0.16, 0.1, 0.07, 0.05)
"""Of the calls, by model."""
TRIED_TWICE = 0.15
"""Share of the calls that ask a second model what another was asked."""


def make_lines(num_calls: int, num_graded: int, *, seed: int) -> Iterator[dict[str, Any]]:
    """Lines of request and response, in the order of the calls."""
    rng = np.random.default_rng(seed)
    num_queries = round(num_calls / (1 + TRIED_TWICE))
    world = gr.simulate(num_queries, len(SHARES), missing=0.0, seed=seed).data
    outcomes = world.outcomes.set_index(["query_id", "model"])
    queries = world.queries.sample(frac=1, random_state=seed)
    order = [rng.choice(len(SHARES), size=2, replace=False, p=SHARES) for _ in range(num_queries)]
    calls = [(number, pair[0]) for number, pair in enumerate(order)]
    again = rng.choice(num_queries, size=num_calls - num_queries, replace=False)
    calls += [(int(number), order[number][1]) for number in again]
    graded = set(rng.choice(num_calls, size=num_graded, replace=False).tolist())
    for place in rng.permutation(num_calls).tolist():
        number, model = calls[place]
        query = queries.iloc[number]
        name = world.pool.names[model]
        outcome = outcomes.loc[query["query_id"], name]
        line = _make_line(query, name, outcome)
        if place in graded:
            line["rating"] = int(
                rng.integers(4, 6) if outcome["effect"] > 0.5 else rng.integers(1, 4)
            )
        yield line


def _make_line(query: Any, model: str, outcome: Any) -> dict[str, Any]:
    usage = {
        "prompt_tokens": int(outcome["input_tokens"]),
        "completion_tokens": int(outcome["output_tokens"]),
    }
    answer = {"role": "assistant", "content": f"An answer of {model}."}
    line = {
        "request": {
            "model": model,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": query["prompt"]},
            ],
            "metadata": {"feature": query["task"]},
        },
        "response": {"object": "chat.completion", "model": model, "usage": usage},
        "latency_s": round(float(outcome["latency_s"]), 3),
        "cost_usd": round(float(outcome["cost_usd"]), 9),
    }
    line["response"]["choices"] = [{"index": 0, "message": answer, "finish_reason": "stop"}]
    return line


def main() -> None:
    """Write the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--graded", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    lines = make_lines(asked.calls, asked.graded, seed=asked.seed)
    asked.file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
