"""Measures how long one routing decision takes, text encoding included, after loading.

Usage:
    python experiments/route_latency/run.py ARTIFACT DATA [--routes 300]

Prints milliseconds and, because machines differ, the ratio to two yardsticks of the same run:
encoding the prompt alone, and one multiplication of the whole support with a vector (what an exact
neighbour search must do at the least).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import graphrouter as gr


def median_ms(action: Callable[[int], object], repeats: int) -> float:
    """Median milliseconds of `action(0)`, `action(1)`, ..., after five calls to warm up."""
    for i in range(5):
        action(i)
    times = []
    for i in range(repeats):
        start = time.perf_counter()
        action(i)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact")
    parser.add_argument("data", help="whose test prompts are routed, or all prompts")
    parser.add_argument("--routes", type=int, default=300)
    arguments = parser.parse_args()

    start = time.perf_counter()
    router = gr.load_router(arguments.artifact)
    load_s = time.perf_counter() - start
    queries = gr.load_dataset(arguments.data).queries.set_index("query_id")
    test = [query for query in router.provenance.split.test if query in queries.index]
    prompts = queries.loc[test or list(queries.index), "prompt"].tolist()
    support = router.support.raw.prompts
    route = median_ms(lambda i: router.route(prompts[i % len(prompts)]), arguments.routes)
    encode = median_ms(
        lambda i: router.encoder.encode([prompts[i % len(prompts)]]), arguments.routes
    )
    search = median_ms(lambda i: support @ support[i % len(support)], arguments.routes)
    long_ms = median_ms(lambda i: router.predict(["x y " * 250_000]), 5)
    result = {
        "num_models": len(router.models),
        "num_support_queries": len(support),
        "load_s": round(load_s, 2),
        "route_ms": round(route, 2),
        "encode_ms": round(encode, 2),
        "search_ms": round(search, 2),
        "route_over_encode_plus_search": round(route / (encode + search), 1),
        "predict_million_chars_ms": round(long_ms, 1),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
