"""What a router takes once it is loaded, beside its yardsticks: for `run`, in a process of its own.

Usage: python -m experiments.bench.warm ROUTER OUT.json [--data DATA] [--artifact ARTIFACT] ...
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import graphrouter as gr
from experiments.bench.beside_llmrouter import measure_beside
from experiments.bench.report import BenchError
from graphrouter.exceptions import GraphRouterError

MOST_AT_ONCE = 256
WARM_UP = 5
NUM_ROWS = 1_000
NUM_THREADS, NUM_ROUNDS = 8, 3
NUM_PROCESSES, SHORT_CHARS = 2, 80
GROWING, SHRINKING = (2, 4), (0.25, 0.5)
"""Times the queries or the models, and times the outcomes, of the world of the settings."""
Seconds = np.ndarray[Any, np.dtype[np.float64]]


def take_turns(actions: Mapping[str, Callable[[int], object]], repeats: int) -> dict[str, Seconds]:
    """Processor seconds of `action(0)`, `action(1)`, ..., of each action, which take turns: caches
    and clock rates that others change meet all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for i in range(-min(WARM_UP, repeats), repeats):
        for name, action in actions.items():
            start = time.process_time()
            action(abs(i))
            if i >= 0:
                seconds[name].append(time.process_time() - start)
    return {name: np.array(found) for name, found in seconds.items()}


def find_neighbours(support: Seconds) -> Callable[[Seconds], object] | None:
    """scikit-learn's exact search over the embeddings; None where it is not installed."""
    if util.find_spec("sklearn") is None:
        return None
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=min(16, len(support)), algorithm="brute")
    found: Callable[[Seconds], object] = nearest.fit(support).kneighbors
    return found


def measure_answers(router: gr.GraphRouter, prompts: list[str], routes: int) -> dict[str, Any]:
    """Routing prompts one by one, evidence included, and predicting many at once."""
    support = np.asarray(router.support.raw.prompts, dtype=np.float64)
    encode, knn = router.encoder.encode, find_neighbours(support)
    several = (prompts * (1 + MOST_AT_ONCE // len(prompts)))[:MOST_AT_ONCE]

    def measure(asked: Callable[[int], list[str]], act: Callable[[int], object], repeats: int
    ) -> dict[str, Seconds]:  # fmt: skip
        vectors = [np.asarray(encode(asked(i)), dtype=np.float64) for i in range(repeats)]
        actions = {
            "act": act,
            "encode": lambda i: encode(asked(i)),
            "search": lambda i: support @ vectors[i % len(vectors)].T,
        }
        if knn is not None:
            actions["knn"] = lambda i: knn(vectors[i % len(vectors)])
        return take_turns(actions, repeats)

    one = measure(
        lambda i: [prompts[i % len(prompts)]],
        partial(_route_one, router, prompts),
        routes,
    )
    batch = measure(lambda i: several, lambda i: router.predict(several), max(3, routes // 50))
    long = ["x y " * 250_000]
    longest = measure(lambda _: long, lambda _: router.predict(long), 3)
    prompt_s = float(np.median(batch["act"])) / len(several)
    return {
        "route, median, ms": _compare_answers(one, 50, 1e3),
        "route, 99th percentile, ms": _compare_answers(one, 99, 1e3),
        f"predict {len(several)} prompts, ms a prompt": {
            **_compare_answers(batch, 50, 1e3 / len(several)),
            "predictions_a_second": len(router.models) / prompt_s,
        },
        "predict a prompt of a million characters, ms": _compare_answers(longest, 50, 1e3),
    }


def _compare_answers(found: Mapping[str, Seconds], percent: float, scale: float) -> dict[str, Any]:
    """A percentile of the answers, beside those of the yardsticks."""
    value = float(np.percentile(found["act"], percent))
    return {
        "value": value * scale,
        "over": {
            f"encode + {name}": value / float(np.percentile(found["encode"] + found[name], percent))
            for name in ("search", "knn")
            if name in found
        },
    }


def measure_threads(router: gr.GraphRouter, prompts: list[str], routes: int) -> dict[str, Any]:
    """Routes by several threads at once, beside as many by one after the other."""
    with ThreadPoolExecutor(NUM_THREADS) as several, ThreadPoolExecutor(1) as alone:
        seconds: dict[ThreadPoolExecutor, list[float]] = {several: [], alone: []}
        for _ in range(NUM_ROUNDS):
            for pool, found in seconds.items():
                start = time.perf_counter()
                list(pool.map(partial(_route_one, router, prompts), range(routes)))
                found.append((time.perf_counter() - start) / routes)
    value, yardstick = min(seconds[several]), min(seconds[alone])
    over = {"one thread": value / yardstick}
    return {f"route by {NUM_THREADS} threads, ms": {"value": value * 1e3, "over": over}}


def measure_processes(
    router: gr.GraphRouter, prompts: list[str], num_batches: int
) -> dict[str, Any]:
    """Predictions of short prompts by several processes that have begun, beside those by one."""
    short = [prompts[i % len(prompts)][:SHORT_CHARS] for i in range(MOST_AT_ONCE)]
    ids = [str(i) for i in range(MOST_AT_ONCE)]
    batch = pa.RecordBatch.from_pydict({"query_id": ids, "prompt": short})
    seconds: dict[int, float] = {}
    for number in (1, NUM_PROCESSES):
        found = router.predict_batches([batch] * num_batches, num_processes=number)
        for _ in range(2 * NUM_PROCESSES):  # which may be done ahead
            next(found)
        start = time.perf_counter()
        left = len(list(found))
        seconds[number] = (time.perf_counter() - start) / left / MOST_AT_ONCE
    value = seconds[NUM_PROCESSES]
    over = {"one process": value / seconds[1]}
    name = f"predict prompts of {SHORT_CHARS} characters by {NUM_PROCESSES} processes, ms a prompt"
    return {name: {"value": value * 1e3, "over": over}}


def measure_changes(router: gr.GraphRouter, prompt: str, repeats: int) -> dict[str, Any]:
    """A router that learns of more outcomes, which makes its states anew, or of a price."""
    row = {"query_id": ["bench"], "prompt": [prompt], "model": [router.models[0]], "effect": [1.0]}
    many = pd.DataFrame(
        {
            "prompt": [f"{prompt} ({i})" for i in range(NUM_ROWS)],
            "model": [router.models[i % len(router.models)] for i in range(NUM_ROWS)],
            "effect": [i % 3 / 2 for i in range(NUM_ROWS)],
        }
    )
    price = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
    one = pd.DataFrame(row)
    actions = {
        "add_outcomes of one row, ms": lambda _: router.add_outcomes(one),
        f"add_outcomes of {NUM_ROWS:,} rows, ms": lambda _: router.add_outcomes(many),
        "add_outcomes of one row, unsettled, ms": lambda _: router.add_outcomes(one, settle=False),
        f"add_outcomes of {NUM_ROWS:,} rows, unsettled, ms": lambda _: router.add_outcomes(
            many, settle=False
        ),
        "set_price, ms": lambda _: router.set_price(router.models[0], **price),
        "gram": make_gram(router),
    }
    found = {name: float(np.median(each)) for name, each in take_turns(actions, repeats).items()}
    gram = found.pop("gram")
    return {
        name: {"value": value * 1e3, "over": {"gram": value / gram}}
        for name, value in found.items()
    }


def measure_growth(options: argparse.Namespace, prompts: list[str]) -> dict[str, Any]:
    """Routes in worlds of other sizes beside those in the world of the settings, in turns."""
    size = {"queries": options.queries, "models": options.models, "outcomes": 1.0}
    worlds = {"route": size} | {
        f"{times:g} x the {name}": {**size, name: times * value}
        for name, value in size.items()
        for times in (SHRINKING if name == "outcomes" else GROWING)
    }
    actions = {}
    for name, each in worlds.items():
        data = gr.simulate(int(each["queries"]), int(each["models"]), seed=0).data
        if each["outcomes"] < 1:
            data = thin_out(data, each["outcomes"])
        router = gr.GraphRouter.fit(data, gr.load_config(), instant=True)
        actions[name] = partial(_route_one, router, prompts)
    found = {
        name: float(np.median(each)) for name, each in take_turns(actions, options.routes).items()
    }
    route = found.pop("route")
    return {
        f"route with {name}, ms": {"value": value * 1e3, "over": {"route": value / route}}
        for name, value in found.items()
    }


def thin_out(data: gr.RoutingDataset, share: float) -> gr.RoutingDataset:
    """The dataset with a share of its outcomes, drawn; every query keeps its place."""
    rng = np.random.default_rng(0)
    kept = np.sort(rng.permutation(len(data.outcomes))[: round(share * len(data.outcomes))])
    return gr.RoutingDataset.from_frames(
        queries=data.queries,
        models=data.models,
        outcomes=data.outcomes.iloc[kept].reset_index(drop=True),
        tasks=data.tasks,
        name=data.name,
    )


def _route_one(router: gr.GraphRouter, prompts: list[str], i: int) -> None:
    list(router.route(prompts[i % len(prompts)]).evidence)


def make_gram(router: gr.GraphRouter) -> Callable[[int], object]:
    """The product of the embeddings of the solved queries with themselves."""
    support = np.asarray(router.support.raw.prompts, dtype=np.float64)
    return lambda _: support.T @ support


def main() -> None:
    """Fits or loads a router, measures, and writes OUT.json; bad data ends it with one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("router", help="where a router that is fitted here is saved")
    parser.add_argument("out", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--artifact")
    parser.add_argument("--llmrouter", type=Path, help="the Python of its environment")
    for name in ("queries", "models", "routes", "changes", "steps"):
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args()
    try:
        result = measure(options)
    except (BenchError, GraphRouterError) as error:
        sys.exit(str(error))
    options.out.write_text(json.dumps(result), encoding="utf-8")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What OUT.json holds."""
    data = (
        gr.load_dataset(options.data)
        if options.data
        else gr.simulate(options.queries, options.models, seed=0).data
    )
    if not options.artifact:
        gr.GraphRouter.fit(data, gr.load_config(), instant=True).save(options.router)
    router = gr.GraphRouter.load(options.artifact or options.router)
    # Here: the processes of a batch import this module, and take no torch.
    from experiments.bench.training_step import measure_training

    queries = data.queries.set_index("query_id")["prompt"]
    test = [query for query in router.provenance.split.test if query in queries.index]
    prompts = queries[test or list(queries.index)].tolist()[: options.routes]
    steps, gram = options.steps, make_gram(router)
    measures = {
        **measure_answers(router, prompts, options.routes),
        **(measure_beside(router, prompts, options.llmrouter) if options.llmrouter else {}),
        **measure_threads(router, prompts, options.routes),
        **measure_processes(router, prompts, max(8, options.routes // 10)),
        **measure_changes(router, prompts[0], options.changes),
        **({} if options.data or options.artifact else measure_growth(options, prompts)),
        **(measure_training(router, data, steps, gram) if steps > 0 else {}),
    }
    settings = {
        "data": data.name if options.data else "simulated",
        "num_models": len(router.models),
        "num_support_queries": len(router.support.queries),
        "num_outcomes": len(router.support.outcomes),
        "encoder": router.encoder.id,
    }
    made_with = {name: metadata.version(name) for name in ("torch", "numpy", "pandas")}
    made_with |= {"python": platform.python_version(), "graphrouter": gr.__version__}
    return {"settings": settings, "made_with": made_with, "measures": measures}


if __name__ == "__main__":
    main()
