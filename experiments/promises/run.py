"""How often a promise of the mean effect is broken, and what it saves.

Usage:
    python -m experiments.promises.run DATA [DATA ...] [--splits 200] [--queries 500]

Half of each set trains a graph router (`instant=True`), the other half is graded. `simulated`
stands for a simulated world of 6,000 queries. A model of which few queries have an outcome with a
cost is ruled out beforehand.

Savings: what is promised by all graded queries. Coverage: the graded queries are the whole world,
whose truth is known thereby; each split draws some of them with replacement, and the promise made
of these is broken where the policy keeps less over all. Beside it the cheapest trade-off that keeps
the share on the drawn queries themselves, without a test.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from scipy.stats import binom

import graphrouter as gr
from graphrouter.bench.evaluation.promise_trials import (
    CONFIDENCE,
    KEPT_SHARES,
    cover_promises,
    rule_out_sparse,
)
from graphrouter.data import RoutingDataset
from graphrouter.exceptions import DataError, GraphRouterError, PromiseError
from graphrouter.router.graded_trade_offs import GradedTradeOffs, grade_trade_offs
from graphrouter.router.policy_calibration import find_promise
from graphrouter.router.promise import Wish


def load(name: str) -> RoutingDataset:
    """A dataset of its folder, or the simulated world."""
    if name == "simulated":
        return gr.simulate(num_queries=6000, missing=0).data
    return gr.load_dataset(name)


def grade(data: RoutingDataset, wish: Wish) -> GradedTradeOffs:
    """What the trade-offs of a router that has learned from one half do on the other."""
    config = gr.load_config(overrides=["split.test=0.5"])
    router = gr.GraphRouter.fit(data, config, instant=True)
    excluded = rule_out_sparse(data, router.models)
    within = gr.Policy(excluded=excluded) if excluded else None
    return grade_trade_offs(router, data, wish, within=within)


def report(names: Sequence[str], num_splits: int, num_queries: int) -> Iterator[str]:
    """Two tables in Markdown."""
    most = int(binom.ppf(0.95, num_splits, 1 - CONFIDENCE))
    graded: dict[str, GradedTradeOffs] = {}
    yield f"## Savings at a confidence of {CONFIDENCE:.0%}\n"
    yield "| set | share | graded queries | reference | reached (at least) | saved |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        data = load(name)
        try:
            graded[data.name] = grade(data, Wish.read(KEPT_SHARES[0], None, CONFIDENCE))
        except DataError as error:
            yield f"| {data.name} | - | - | - | refused: {error} | - |"
            continue
        for share in KEPT_SHARES:
            yield _say_saving(data.name, graded[data.name], Wish.read(share, None, CONFIDENCE))
    yield f"\n## Coverage over {num_splits} splits of {num_queries} queries\n"
    yield (
        f"A rate of {1 - CONFIDENCE:.0%} breaks at most {most} of {num_splits} in 95 of 100 such "
        "studies.\n"
    )
    yield "| set | share | promises made | broken | broken without a test |"
    yield "|---|---|---|---|---|"
    for name, each in graded.items():
        for share in KEPT_SHARES:
            wish = Wish.read(share, None, CONFIDENCE)
            found = cover_promises(each, wish, num_samples=num_splits, num_queries=num_queries)
            yield (
                f"| {name} | {share:.0%} | {found.num_made} | {found.num_broken} | "
                f"{found.num_broken_untested} |"
            )


def _say_saving(name: str, graded: GradedTradeOffs, wish: Wish) -> str:
    start = f"| {name} | {wish.keep:.0%} | {len(graded):,} | {graded.reference} |"
    try:
        found = find_promise(graded, wish)
    except PromiseError as error:
        needed = "" if error.num_queries is None else f"; takes about {error.num_queries:,}"
        return f"{start} refused{needed} | - |"
    return f"{start} {found.share:.1%} ({found.share_low:.1%}) | {found.saving:.1%} |"


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--queries", type=int, default=500)
    given = parser.parse_args(words)
    try:
        for line in report(given.data, given.splits, given.queries):
            print(line, flush=True)
    except GraphRouterError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
