"""The committed results of `graphrouter benchmark-newcomers` as Markdown.

Usage:
    python experiments/newcomers/table.py > experiments/newcomers/README.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.newcomers.newcomer_cells import RETRAINED, SUGGESTED
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation, give_verdict
from graphrouter.bench.evaluation.newcomers.newcomer_tables import (
    LEARNED,
    LOG_LOSS,
    MEASURES,
    TRAFFIC,
    Measure,
    find_mark,
)

RESULTS = Path(__file__).parent / "results"
SIGNS = {"better": "+", "worse": "-", "": "="}
ROUTING = ("reward_balanced", "area_log")
REWARDS = ("reward_performance_first", "reward_balanced", "reward_cost_first")
PAPER = ("graphrouter_paper", "graphrouter_paper_ties")
INTRODUCTION = """# Newcomers

Models that nobody was trained on: 30 % of the models, in whole families, are held out of
training, {num_seeds} splits a dataset. They join with their cards and k outcomes each, without a
training, and everybody is asked about unseen queries. Made by

    graphrouter benchmark-newcomers DATA/NAME --seeds 5 --shots 0,5,10,20,40,50,100,all \\
        --out RUN     # for each dataset
    python experiments/newcomers/cards.py DATA/bfcl_v1 DATA/mmlu_pro DATA/zeroeval --seeds 1 \\
        --out RUN/cards
    python experiments/take.py RUN/*-models.json RUN/cards/cards.json \\
        experiments/newcomers/results
    python experiments/newcomers/table.py > experiments/newcomers/README.md

`graphrouter` was shown random outcomes, `graphrouter_suggested` those of the probes that it asked
for, a batch at a time; `graphrouter_retrained` was trained again with everything. Behind a figure
of another router stands `+` where graphrouter is better after as many outcomes and the paired 95
% bootstrap interval over test queries excludes zero, `-` where it is worse, `=` where neither is
sure. The learned share is (L_rasch(0) - L(k)) / (L_rasch(0) - L_retrained), L = log loss on
newcomers. All metrics with intervals are in `results/`; what they mean:
[docs/newcomer-benchmark.md](../../docs/newcomer-benchmark.md)."""
FEW_SHOT = """
## The few-shot setting of the paper

GraphRouter's paper lets new models join with few outcomes and no training, and compares the reward
with that of a new training, and the time. Here 30 % of the models, in whole families, join with k
outcomes each. `graphrouter_paper` is the published network: a newcomer is a node with its
description and an edge for each outcome. `graphrouter_paper_ties` labels all of the best models of
a query and not the first alone. Behind both stands the same network trained again with all
outcomes of the newcomers, and so for graphrouter; one such training stands under every k. Signs
are those of above.

Joining is exact: the newcomer gets what the trained network says of the whole graph with it inside.
What the network says is the trouble. Messages are summed and most labels are 0, one best model of
many, so logits fall with the number of edges: far below 0 for models with all of theirs, near 0 for
one with few. Every query then goes to newcomers. With k = all they still have fewer edges than the
models that were trained, whose outcomes on validation queries are visible too. Made by

    python experiments/newcomers/few_shot.py DATA/bfcl_v1 --seeds 3 --out RUN
    python experiments/take.py RUN/bfcl_v1-few-shot.json experiments/newcomers/results
    python experiments/newcomers/table.py > experiments/newcomers/README.md"""
SECONDS = """
Seconds until all newcomers of a split have joined, or of the new training, on one CPU thread of a
machine that others used too:
"""
ELSEWHERE = """
In the runs of the tables above, mean of five splits, from the fewest to the most outcomes (k = 0 to
all):
"""


def load(kind: str = "models") -> list[NewcomerEvaluation]:
    """The committed evaluations, by dataset: `models`, or those of `few-shot`."""
    files = sorted(RESULTS.glob(f"*-{kind}.json"))
    return [
        NewcomerEvaluation.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files
    ]


def page() -> Iterator[str]:
    """The lines of the page of this folder."""
    evaluations = load()
    yield INTRODUCTION.format(num_seeds=len(evaluations[0].seeds))
    yield "\n## Learned share, mean over the datasets\n"
    yield from _mean_shares(evaluations)
    for found in evaluations:
        yield f"\n## {found.dataset}\n"
        yield (
            f"{found.num_queries:,} test queries a split, {found.num_models} models. "
            f"**{give_verdict(found)}**\n"
        )
        yield f"{LOG_LOSS.title} (lower is better):\n"
        yield from _table(found, LOG_LOSS, found.routers)
        yield "\nLearned share:\n"
        yield from _table(found, LEARNED, (MAIN, SUGGESTED))
        for name in ROUTING:
            measure = next(measure for measure in MEASURES if measure.name == name)
            if np.isfinite(found.figure(MAIN, "0", name).value):
                yield f"\n{measure.title} (higher is better):\n"
                yield from _table(found, measure, (MAIN, SUGGESTED, RETRAINED))
    yield FEW_SHOT
    for found in load("few-shot"):
        yield from _few_shot(found)
    yield ELSEWHERE
    yield from _seconds_elsewhere(evaluations)
    yield from _cards()


def _table(found: NewcomerEvaluation, measure: Measure, names: Iterable[str]) -> Iterator[str]:
    yield from _head("router", found.labels)
    for name in names:
        cells = []
        for label in found.labels:
            value = found.figure(name, label, measure.name).value
            text = format(value, measure.form) if np.isfinite(value) else "-"
            is_compared = np.isfinite(value) and measure.name in found.paired.get(name, {}).get(
                label, {}
            )
            cells.append(
                f"{text} {SIGNS[find_mark(found, name, label, measure)]}" if is_compared else text
            )
        yield f"| {name} | {' | '.join(cells)} |"


def _mean_shares(evaluations: Sequence[NewcomerEvaluation]) -> Iterator[str]:
    labels = evaluations[0].labels
    yield from _head("router", labels)
    for name in (MAIN, SUGGESTED):
        means = [
            float(np.mean([found.figure(name, label, LEARNED.name).value for found in evaluations]))
            for label in labels
        ]
        yield (
            f"| {name} | "
            f"{' | '.join(format(mean, '.3f') if np.isfinite(mean) else '-' for mean in means)} |"
        )


def _few_shot(found: NewcomerEvaluation) -> Iterator[str]:
    """The rewards in the three presets, the traffic of newcomers and the seconds."""
    again = {name: f"{name}_retrained" for name in PAPER}
    names = [MAIN, RETRAINED, *(each for pair in again.items() for each in pair)]
    yield (
        f"\n{found.dataset}, {len(found.seeds)} splits, {found.num_queries:,} test queries a "
        f"split, {found.num_models} models."
    )
    for name in (*REWARDS, TRAFFIC.name):
        measure = next(measure for measure in MEASURES if measure.name == name)
        better = "" if measure is TRAFFIC else " (higher is better)"
        yield f"\n{measure.title}{better}:\n"
        yield from _table(found, measure, names)
    yield SECONDS
    yield from _head("router", found.labels)
    for name in names:
        by_shot = found.seconds[name]
        once = name in (RETRAINED, *again.values())
        cells = [by_shot["all" if once else label] for label in found.labels]
        yield f"| {name} | {' | '.join(format(each, '.3g') for each in cells)} |"


def _seconds_elsewhere(evaluations: Sequence[NewcomerEvaluation]) -> Iterator[str]:
    yield "| dataset | graphrouter: seconds to join | graphrouter_retrained: seconds to train |"
    yield "|---|---|---|"
    for found in evaluations:
        joined = found.seconds[MAIN].values()
        [trained] = found.seconds[RETRAINED].values()
        yield f"| {found.dataset} | {min(joined):.2f} to {max(joined):.2f} | {trained:.0f} |"


def _cards() -> Iterator[str]:
    file = RESULTS / "cards.json"
    plain = json.loads(file.read_text(encoding="utf-8"))
    yield "\n## Poor and false cards\n"
    yield (
        f"Log loss on the newcomers, {plain['seeds']} split each. The boast is one and the same "
        "for all: the best model in "
        "the world, with the size, context and date to match; prices stay."
    )
    for dataset, by_card in plain["log_loss"].items():
        yield f"\n{dataset}:\n"
        labels = list(next(iter(by_card.values())))
        yield from _head("card", labels)
        for card, by_shot in by_card.items():
            yield f"| {card} | {' | '.join(format(by_shot[label], '.4f') for label in labels)} |"


def _head(first: str, labels: Sequence[str]) -> Iterator[str]:
    yield f"| {first} | {' | '.join(f'k = {label}' for label in labels)} |"
    yield "|---" * (len(labels) + 1) + "|"


if __name__ == "__main__":
    print("\n".join(page()))
