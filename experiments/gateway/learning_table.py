"""What came of `experiments.gateway.learning`, as a table and a figure.

Usage:
    python -m experiments.gateway.learning_table experiments/gateway/learning.json --draw regret.svg

The figure needs matplotlib, which MLflow brings.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from experiments.gateway.learning import BATCH, DROP_AT

REACHED = 0.9
Rows = dict[str, list[dict[str, Any]]]
"""By the way to learn, one for each seed."""


def group(rows: list[dict[str, Any]], part: str) -> dict[tuple[str, str], Rows]:
    """The runs of each data set and model in question."""
    found: dict[tuple[str, str], Rows] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["part"] == part:
            found[row["data"], row["model"]][row["way"]].append(row)
    return found


def read_batch(runs: list[dict[str, Any]]) -> int:
    """Requests between two lessons."""
    return int(runs[0].get("batch", BATCH))


def reach(value: np.ndarray, low: float, high: np.ndarray | float, batch: int) -> str:
    """Requests until so much of the way from low to high is reached, on the mean over seeds."""
    if np.mean(high) - low < 0.005:
        return "-"
    is_there = value >= low + REACHED * (high - low)
    there = np.flatnonzero(is_there[:-1] & is_there[1:])  # once may be chance
    return str(there[0] * batch) if len(there) else "not"


def tell_newcomer(rows: list[dict[str, Any]]) -> None:
    print("| data, newcomer | way | reward | share | regret | asked | 90 % of the gain after |")
    print("|---|---|---|---|---|---|---|")
    for (data, model), ways in group(rows, "newcomer").items():
        best = ways["all known"]
        high = np.mean([row["value"] for row in best], axis=0)
        low = float(np.mean([row["bounds"][0][0] for row in best]))
        total = np.mean([sum(row["reward"]) for row in best])
        for way, runs in ways.items():
            reward = np.mean([sum(row["reward"]) for row in runs])
            value = np.mean([row["value"] for row in runs], axis=0)
            asked = np.mean([sum(row["asked"]) for row in runs])
            told = "" if way == "all known" else reach(value, low, high, read_batch(runs))
            share = f"{100 * reward / total:.0f} %"
            numbers = f"{reward:.0f} | {share} | {total - reward:.0f} | {asked:.0f} | {told}"
            print(f"| {data} ({len(runs)}), {model} | {way} | {numbers} |")


def tell_drop(rows: list[dict[str, Any]]) -> None:
    print("| data, model | way | reward after the drop | alarm after | left after | at the end |")
    print("|---|---|---|---|---|---|")
    for (data, model), ways in group(rows, "drop").items():
        for way, runs in ways.items():
            batch = read_batch(runs)
            reward = np.mean([sum(row["reward"][DROP_AT // batch :]) for row in runs])
            alarms = [
                str(number - DROP_AT)
                for row in runs
                for number, name, *_ in row["alarms"]
                if name == model
            ]
            others = sum(name != model for row in runs for _, name, *_ in row["alarms"])
            low, high = np.mean([[each[0] for each in row["bounds"]] for row in runs], axis=0)
            value = np.mean([row["value"] for row in runs], axis=0)[DROP_AT // batch :]
            told = ", ".join(alarms) + (f" ({others} of others)" if others else "")
            left = reach(value, float(low), float(high), batch)
            ends = f"{value[-1]:.3f} of {low:.3f} to {high:.3f}"
            print(
                f"| {data} ({len(runs)}), {model} | {way} | {reward:.0f} | {told or '-'} | ", end=""
            )
            print(f"{left} | {ends} |")


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Cumulative regret of each way against the router that knew the newcomer from the start."""
    import matplotlib.pyplot as plt

    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "graphrouter"}
    sets = group(rows, "newcomer")
    figure, axes = plt.subplots(1, len(sets), figsize=(4 * len(sets), 3.4), squeeze=False)
    for axis, ((data, model), ways) in zip(axes[0], sets.items(), strict=True):
        best = np.mean([np.cumsum(row["reward"]) for row in ways["all known"]], axis=0)
        for way, runs in ways.items():
            if way == "all known":
                continue
            regret = best - np.mean([np.cumsum(row["reward"]) for row in runs], axis=0)
            requests = np.arange(1, len(regret) + 1) * read_batch(runs)
            axis.plot(requests, regret, label=way, lw=1.5 + way.startswith("newcomers"))
        axis.set_title(f"{data}: {model}", fontsize=9)
        axis.set_xlabel("requests")
        axis.axhline(0, color="0.7", lw=0.8)
    axes[0][0].set_ylabel("cumulative regret, answers")
    axes[0][0].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--draw", type=Path, metavar="FILE")
    asked = parser.parse_args()
    rows = [row for file in asked.results for row in json.loads(file.read_text())]
    tell_newcomer(rows)
    print()
    tell_drop(rows)
    if asked.draw is not None:
        draw(rows, asked.draw)


if __name__ == "__main__":
    main()
