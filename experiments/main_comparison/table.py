"""The committed results of `graphrouter benchmark` as Markdown.

Usage:
    python experiments/main_comparison/table.py > experiments/main_comparison/README.md
    python experiments/main_comparison/table.py --summary      # the block of docs/results.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from graphrouter.bench.evaluation.conclusion import conclude, find_cascades, find_mark
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.results import Evaluation, SettingName

HERE = Path(__file__).parent
SETTINGS: dict[SettingName, str] = {"task_known": "task known", "task_hidden": "task hidden"}
SUMMARY = ("log_loss", "area_log", "reward_balanced")
SIGNS = {"better": "+", "worse": "-", "": "="}
SHOWN_ALWAYS = ("best_single", "task_mean", "knn", "graphrouter_paper_ties")
COMMAND = """graphrouter benchmark DATA/bfcl_v1 DATA/helm_mmlu DATA/llmrouter_default \\
        DATA/mmlu_pro DATA/reasoning_gym DATA/routerbench_subset DATA/zeroeval \\
        --routers all --seeds 5 --config experiments/main_comparison/config.yaml --out RUN"""
INTRODUCTION = """# The main comparison

The graph router against every baseline, on the same splits, embeddings and trade-offs: default
settings, seven datasets of real outcomes, {num_seeds} splits each. Made by:

    {command}
    python experiments/take.py RUN/*.json experiments/main_comparison/results
    python experiments/main_comparison/table.py > experiments/main_comparison/README.md

A value is the mean over the splits. Behind it stands `+` where graphrouter is better and the
paired 95 % bootstrap interval of the difference excludes zero, `-` where it is worse, `=` where
neither is sure; of many comparisons without any difference, one in twenty is marked by chance.
All metrics with their intervals are in `results/`. What they mean:
[docs/evaluation.md](../../docs/evaluation.md). Who the baselines are, and what is left out of
each: [docs/baselines.md](../../docs/baselines.md).

frugal_gpt, auto_mix, routerbench_cascade, cascade_routing and oracle look at answers to the test
queries; the judges of cascades are simulated, which favours them. graphrouter_paper gives ties to
the first model of the pool, as its code does, so its choices depend on the order of the models;
graphrouter_paper_ties shares them. routerbench_subset brings its own split, so its runs differ in
validation rows and seeds only. The networks are of commit 62547e3."""


def load() -> list[Evaluation]:
    """The committed evaluations, by dataset."""
    files = sorted((HERE / "results").glob("*.json"))
    return [Evaluation.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]


def figure(found: Evaluation, setting: SettingName, router: str, metric: str) -> str:
    """The value, and behind a router that graphrouter is compared with, the sign of the
    difference."""
    result = found.settings[setting]
    value = result.routers[router][metric].value if router in result.routers else float("nan")
    if value != value:
        return "-"
    text = f"{value:.4f}"
    if router not in result.paired or router == "oracle":
        return text
    return f"{text} {SIGNS[find_mark(result.paired[router][metric], METRICS[metric])]}"


def rivals(found: Evaluation, setting: SettingName, metric: str) -> list[str]:
    """Baselines with a figure that see no outcome of a test query, the best first."""
    result = found.settings[setting]
    excluded = {found.router, "oracle", *find_cascades(result.routers)}
    known = [
        name
        for name, by in result.routers.items()
        if name not in excluded and by[metric].value == by[metric].value
    ]
    return sorted(
        known,
        key=lambda name: (
            result.routers[name][metric].value * (1 if METRICS[metric].lower_is_better else -1)
        ),
    )


def summary() -> Iterator[str]:
    """The lines of the block of docs/results.md."""
    num_seeds = len(load()[0].seeds)
    yield (
        f"Default settings and text encoder, means over the test queries of {num_seeds} splits. "
        "Behind a method stands `+` where "
        "graphrouter is better and the paired 95 % interval excludes zero, `-` where it is worse, "
        "`=` where neither is sure. "
        "The last column counts these signs over all baselines that do not look at answers."
    )
    for setting, title in SETTINGS.items():
        for metric in SUMMARY:
            yield ""
            yield from _table(setting, title, metric)


def _table(setting: SettingName, title: str, metric: str) -> Iterator[str]:
    """One row a dataset: graphrouter, the best baseline, some that stand in every row, and all
    signs counted."""
    better = "lower" if METRICS[metric].lower_is_better else "higher"
    heads = [
        f"{METRICS[metric].title}, {title} ({better} is better)",
        "graphrouter",
        "best baseline",
        *SHOWN_ALWAYS,
        "+ / = / -",
    ]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for found in load():
        names = rivals(found, setting, metric)
        if names:
            cells = [
                figure(found, setting, "graphrouter", metric),
                f"{names[0]} {figure(found, setting, names[0], metric)}",
            ]
            cells += [figure(found, setting, name, metric) for name in SHOWN_ALWAYS]
            yield (
                f"| {found.dataset} | "
                f"{' | '.join([*cells, _counts(found, setting, metric, names)])} |"
            )


def _counts(found: Evaluation, setting: SettingName, metric: str, names: list[str]) -> str:
    marks = [
        find_mark(found.settings[setting].paired[name][metric], METRICS[metric]) for name in names
    ]
    return " / ".join(str(marks.count(mark)) for mark in ("better", "", "worse"))


def page() -> Iterator[str]:
    """The lines of the page of this folder."""
    yield INTRODUCTION.format(num_seeds=len(load()[0].seeds), command=COMMAND)
    for found in load():
        for setting, title in SETTINGS.items():
            if setting in found.settings:
                yield from _section(found, setting, title)


def _section(found: Evaluation, setting: SettingName, title: str) -> Iterator[str]:
    result = found.settings[setting]
    yield f"\n## {found.dataset}, {title}\n"
    yield f"{found.num_queries:,} test queries a split, {found.num_models} models.\n"
    yield f"**{conclude(found, setting=setting).text}**\n"
    metrics = [
        name
        for name, metric in METRICS.items()
        if metric.is_headline and rivals(found, setting, name)
    ]
    yield "| router | " + " | ".join(METRICS[name].title for name in metrics) + " |"
    yield "|---" * (len(metrics) + 1) + "|"
    for router in result.routers:
        yield (
            f"| {router} | "
            + " | ".join(figure(found, setting, router, metric) for metric in metrics)
            + " |"
        )
    for router, reason in found.failed.items():
        yield f"\nNot among them: {router} ({reason})"


def main() -> None:
    """Prints the page or the summary."""
    arguments = sys.argv[1:]
    if arguments not in ([], ["--summary"]):
        sys.exit(f"Unknown arguments {arguments}; expected --summary or nothing.")
    print("\n".join(summary() if arguments else page()))


if __name__ == "__main__":
    main()
