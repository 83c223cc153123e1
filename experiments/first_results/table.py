"""Prints the results of `run.py` as Markdown: values of the first seed, and how many seeds agree.

Usage:
    python experiments/first_results/table.py > experiments/first_results/README.md
    python experiments/first_results/table.py --summary    # the block in the README of the repository
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REFERENCES = ("best_single", "task_mean", "rasch", "knn")
METRICS = ("log_loss", "reward_performance_first", "reward_balanced", "reward_cost_first", "area_log")
HIGHER_IS_BETTER = METRICS[1:]


def load() -> dict[str, list[dict[str, Any]]]:
    """Results by dataset, in the order of their seeds."""
    results: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((HERE / "results").glob("*.json")):
        results.setdefault(path.name.split(".seed")[0], []).append(json.loads(path.read_text(encoding="utf-8")))
    return results


def cell(runs: list[dict[str, Any]], setting: str, metric: str, router: str) -> str:
    """The value of the first seed; against a reference also in how many seeds graphrouter is better, equal, worse (95 %)."""
    value = runs[0]["settings"][setting]["routers"].get(router, {}).get(metric, {}).get("value")
    if value is None:
        return "-"
    if router in ("graphrouter", "oracle"):
        return f"{value:.4f}"
    marks = "".join(mark(run["settings"][setting]["paired"][router][metric], metric) for run in runs)
    return f"{value:.4f} {marks}"


def mark(difference: dict[str, float | None], metric: str) -> str:
    """`+` when graphrouter is better and the 95 % interval excludes zero, `-` when it is worse, `=` otherwise."""
    low, high = difference["low"], difference["high"]
    if low is None or high is None or low <= 0 <= high:
        return "="
    return "+" if (low > 0) == (metric in HIGHER_IS_BETTER) else "-"


def summary() -> str:
    """Log loss and area of all datasets, task known, as two Markdown tables."""
    lines = [
        "Default settings, 2 CPU cores, test queries, task known. Behind a method stands one sign for each of three seeds:",
        "`+` graphrouter is better and the paired 95 % interval excludes zero, `-` it is worse, `=` neither can be shown.",
    ]
    for metric, title in (("log_loss", "log loss, lower is better"), ("area_log", "area under the frontier, higher is better")):
        routers = ("graphrouter", *REFERENCES)
        lines += ["", f"| {title} | " + " | ".join(routers) + " |", "|---" * (len(routers) + 1) + "|"]
        for name, runs in load().items():
            cells = [cell(runs, "task_known", metric, router) for router in routers]
            size = f"{runs[0]['num_queries']:,} queries x {runs[0]['num_models']} models"
            lines += [f"| {name} ({size}) | " + " | ".join(cells) + " |"] if cells[0] != "-" else []
    every = [run for runs in load().values() for run in runs]
    times, memory = [run["fit_s"] for run in every], max(run["peak_gb"] for run in every)
    lines += ["", f"Training took {min(times):.0f} to {max(times):.0f} s and at most {memory:.1f} GB."]
    return "\n".join(lines)


def main() -> None:
    """Prints the page, or the summary."""
    if "--summary" in sys.argv[1:]:
        print(summary())
        return
    command = "python experiments/first_results/run.py DATA/zeroeval DATA/mmlu_pro ... --seeds 0 1 2"
    print("# First results\n\nDefault settings, default encoder, 2 CPU cores. Made by:\n")
    print(f"    {command}\n    python experiments/first_results/table.py > experiments/first_results/README.md\n")
    print("Values are those of seed 0 on its test queries. Behind a reference stands one sign a seed: `+` graphrouter is better")
    print("and the paired 95 % bootstrap interval of the difference excludes zero, `-` it is worse, `=` neither can be shown.")
    for setting, title in (("task_known", "task known"), ("task_hidden", "task hidden")):
        for name, runs in load().items():
            first = runs[0]
            print(f"\n## {name}, {title}\n\n{first['num_queries']:,} test queries, {first['num_models']} models, ", end="")
            print(f"{first['num_train']:,} training queries; fit {first['fit_s']:.0f} s, peak {first['peak_gb']:.1f} GB.\n")
            routers = ("graphrouter", *REFERENCES, "oracle")
            print("| metric | " + " | ".join(routers) + " |\n|---" * 1 + "|---" * len(routers) + "|")
            for metric in METRICS:
                cells = [cell(runs, setting, metric, router) for router in routers]
                if cells[0] != "-":
                    print(f"| {metric} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
