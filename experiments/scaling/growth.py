"""What a training takes by the number of outcomes: stages summed up, and carried on to a billion.

Usage:
    python -m experiments.scaling.growth STAGES.json ...

Writes results/growth.json, by which `python -m experiments.pictures.draw` draws, from what
`experiments.scaling.stages --json` wrote for worlds of 12 models and ten times the outcomes each.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULT = Path(__file__).with_name("results") / "growth.json"
STAGES = {
    "tables": ("load_dataset", "split_dataset"),
    "texts": ("training_tables",),
    "epochs": ("fit_network",),
    "calibration": ("fit_calibration", "fit_effect_interval"),
    "states": (
        "_training_support",
        "make_states",
        "find_search",
        "find_outcome_covariance",
        "save_parts",
    ),
}
"""Parts of a training, and the stages that they are made of."""
GROWING = ("tables", "texts")
"""Parts that the settings do not bound: they go on growing as they did over the last tenfold."""
FAR = 1_000_000_000
"""Outcomes that nobody trained on."""


def sum_up(report: Mapping[str, Any]) -> dict[str, Any]:
    """One training: processor seconds by part, and its peak, from what `stages` wrote."""
    spent: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    for stage in report["stages"]:
        for part, names in STAGES.items():
            if stage["name"] in names:
                spent[part] += stage["process_s"] + stage["system_s"]
    peak = max(stage["peak_mib"] for stage in report["stages"])
    return {
        "outcomes": report["outcomes"],
        "queries": report["queries"],
        "seconds": {part: round(seconds, 2) for part, seconds in spent.items()},
        "peak_mib": round(peak),
    }


def read_growth() -> list[dict[str, Any]]:
    """The trainings that were summed up, fewest outcomes first."""
    found: list[dict[str, Any]] = json.loads(RESULT.read_text(encoding="utf-8"))
    return found


def carry_on(trainings: Sequence[Mapping[str, Any]], outcomes: float = FAR) -> dict[str, Any]:
    """What so many outcomes would take, by the last two trainings.

    Parts of `GROWING` and the memory grow by the power of the outcomes by which they grew between
    these two, at least in proportion; what the settings bound stays.
    """
    before, last = trainings[-2:]
    more, far = last["outcomes"] / before["outcomes"], outcomes / last["outcomes"]
    seconds = {
        part: spent * (_grow(spent / before["seconds"][part], more, far) if part in GROWING else 1)
        for part, spent in last["seconds"].items()
    }
    # Memory is a floor, which the libraries take, and a slope.
    slope = (last["peak_mib"] - before["peak_mib"]) / (last["outcomes"] - before["outcomes"])
    peak = last["peak_mib"] + slope * (outcomes - last["outcomes"])
    return {"outcomes": outcomes, "seconds": seconds, "peak_mib": peak}


def _grow(growth: float, more: float, far: float) -> float:
    """By what a part grows over `far` times the outcomes that grew by `growth` over `more`."""
    return max(far, far ** (math.log(growth) / math.log(more)))


def main() -> None:
    """Writes the result, and prints a row a training in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=Path)
    options = parser.parse_args()
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in options.reports]
    found = sorted(map(sum_up, reports), key=lambda each: each["outcomes"])
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("| outcomes |", " | ".join(STAGES), "| peak, MiB |")
    print("|---" * (2 + len(STAGES)) + "|")
    for each in (*found, carry_on(found)):
        seconds = " | ".join(f"{spent:,.1f}" for spent in each["seconds"].values())
        print(f"| {each['outcomes']:,} | {seconds} | {each['peak_mib']:,.0f} |")


if __name__ == "__main__":
    main()
