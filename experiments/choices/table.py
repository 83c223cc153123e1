"""The committed results of the choices that routers make, as Markdown.

Usage:
    python -m experiments.choices.table > experiments/choices/README.md
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.main_comparison.table import SETTINGS, figure
from graphrouter.bench.evaluation.conclusion import find_mark
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.results import Evaluation, SettingName

HERE = Path(__file__).parent
NAMED = (
    "best_single", "task_mean", "knn", "uniroute_map", "avengers_pro", "embed_llm", "tryage", "gbt",
)  # fmt: skip
"""Simple methods, and those that were best somewhere."""
SHOWN = {
    "log_loss": "log loss",
    "deviation_r2": "deviation R2",
    "added_deviation_r2": "adds to it",
    "area_log": "area",
    "reward_performance_first": "performance",
    "reward_balanced": "balanced",
    "reward_cost_first": "cost",
}
COUNTED = [metric for metric in SHOWN if metric != "added_deviation_r2"]
INTRODUCTION = """# Choices

Does the graph router choose better than simple methods, and does any of them know something that it
does not? Default settings, test rows of {num_seeds} splits a set, made by

    ROUTERS=rasch,knn,carrot_linear,linear,uniroute_map,avengers_pro,embed_llm
    ROUTERS=$ROUTERS,tryage,gbt,graphrouter_paper_ties
    ROUTERS=$ROUTERS,cascade_routing,ellie_sql,ltrr,mas_router,rag_router,router_retriever
    graphrouter benchmark DATA/NAME --seeds {num_seeds} --out RUN --routers $ROUTERS \\
        --config experiments/main_comparison/config.yaml
    python experiments/take.py RUN/*.json experiments/choices/results
    python -m experiments.choices.table > experiments/choices/README.md

The networks are of commit 62547e3.

Behind a value stands `+` where graphrouter is better and the paired 95 % bootstrap interval of the
difference excludes zero, `-` where it is worse, `=` where neither is sure. *Adds to it*: what
graphrouter's deviation R2 gains when its deviations are averaged with those of the baseline; below
0 the mean is worse than graphrouter alone. cascade_routing grades answers to the test queries, by a
simulated judge; no choice before the call can do that.
"""


def load() -> list[Evaluation]:
    """The committed evaluations, by dataset."""
    files = sorted((HERE / "results").glob("*.json"))
    return [Evaluation.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]


def page() -> Iterator[str]:
    """The lines of the page of this folder."""
    evaluations = load()
    yield INTRODUCTION.format(num_seeds=len(evaluations[0].seeds))
    yield from _count(evaluations)
    for found in evaluations:
        for setting, title in SETTINGS.items():
            if setting in found.settings:
                yield from _section(found, setting, title)


def _count(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    """How often graphrouter is surely better, level, or surely worse than a named baseline."""
    yield f"Signs against {', '.join(NAMED)}, over all sets and both settings:\n"
    yield f"| {' | '.join(SHOWN[metric] for metric in COUNTED)} |"
    yield "|---" * len(COUNTED) + "|"
    cells = []
    for metric in COUNTED:
        marks = Counter(
            find_mark(result.paired[name][metric], METRICS[metric])
            for found in evaluations
            for result in found.settings.values()
            for name in NAMED
            if _is_known(result.routers["graphrouter"][metric].value)
        )
        cells.append(f"{marks['better']} + / {marks['']} = / {marks['worse']} -")
    yield f"| {' | '.join(cells)} |"


def _section(found: Evaluation, setting: SettingName, title: str) -> Iterator[str]:
    yield f"\n## {found.dataset}, {title}\n"
    yield f"{found.num_queries:,.0f} test queries a split, {found.num_models} models.\n"
    yield f"| router | {' | '.join(SHOWN.values())} |"
    yield "|---" * (len(SHOWN) + 1) + "|"
    for router in found.settings[setting].routers:
        yield f"| {router} | {' | '.join(_cell(found, setting, router, m) for m in SHOWN)} |"


def _cell(found: Evaluation, setting: SettingName, router: str, metric: str) -> str:
    if metric == "added_deviation_r2":
        value = found.settings[setting].routers[router][metric].value
        return f"{value:+.4f}" if _is_known(value) else "-"
    return figure(found, setting, router, metric)


def _is_known(value: float) -> bool:
    return value == value


if __name__ == "__main__":
    print("\n".join(page()))
