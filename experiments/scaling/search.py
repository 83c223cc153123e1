"""What a search by index costs and keeps, beside a comparison with all solved queries.

Usage:
    python -m experiments.scaling.search ARTIFACT DATA [--recalls 0.95,0.97,0.99] [--prompts N]

ARTIFACT was trained on DATA; prompts are drawn from those that it has not solved. Both searches
answer the same prompts in turn, one at a time, on one thread; milliseconds are of the processor.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import faiss
import numpy as np
import pandas as pd

import graphrouter as gr
from graphrouter.policy import PRESETS
from graphrouter.router.graph_router import GraphRouter


def main() -> None:
    """Prints one line a share, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--recalls", default="0.95,0.97,0.99")
    parser.add_argument("--prompts", type=int, default=200)
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    exact = GraphRouter.load(options.artifact)
    asked = pd.read_parquet(options.data / "queries.parquet", columns=["prompt"])["prompt"]
    solved = set(exact.support.query_table["prompt"])
    prompts = [text for text in asked if text not in solved][: options.prompts]
    heads = "share asked for", "of the evidence found", "same choice", "effects differ by"
    print("|", *(f"{head} |" for head in (*heads, "a route, ms", "exact, ms")))
    print("|---|---|---|---|---|---|")
    for recall in map(float, options.recalls.split(",")):
        indexed = gr.load_router(options.artifact, search_recall=recall)
        found, same, ours, theirs = [], [], [], []
        for prompt in prompts:
            for preset in PRESETS:
                policy = gr.Policy.preset(preset)
                a, spent = _route(indexed, prompt, policy)
                ours.append(spent)
                b, spent = _route(exact, prompt, policy)
                theirs.append(spent)
                same.append(a.model == b.model)
            found.append(_share(indexed, exact, prompt))
        off = np.abs(indexed.predict(prompts).effect - exact.predict(prompts).effect)
        print(
            f"| {recall} | {np.mean(found):.3f} | {np.mean(same):.2%} | {off.mean():.4f} | "
            f"{np.median(ours):.2f} | {np.median(theirs):.2f} |"
        )


def _route(router: gr.Router, prompt: str, policy: gr.Policy) -> tuple[gr.Decision, float]:
    """A decision, and milliseconds of the processor."""
    start = time.process_time()
    decision = router.route(prompt, policy=policy)
    return decision, 1e3 * (time.process_time() - start)


def _share(indexed: gr.Router, exact: gr.Router, prompt: str) -> float:
    """Share of the similar solved queries of one that the other finds too."""
    ours, theirs = (
        {each.query_id for each in router.route(prompt).evidence} for router in (indexed, exact)
    )
    return len(ours & theirs) / len(theirs)


if __name__ == "__main__":
    main()
