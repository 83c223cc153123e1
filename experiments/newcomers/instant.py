"""Newcomers among models and tasks on all sets, with routers that were not trained.

Usage:
    python experiments/newcomers/instant.py RUN > experiments/newcomers/INSTANT.md

RUN holds what `graphrouter benchmark-newcomers DATA/NAME --hold-out models|tasks --shots
0,20,100,all --set training.max_epochs=0 --out RUN` has written for each set.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.newcomers.newcomer_cells import RETRAINED, SUGGESTED
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation
from graphrouter.bench.evaluation.newcomers.newcomer_tables import LEARNED, LOG_LOSS, find_mark

INTRODUCTION = """# Newcomers without a training

What joins, models in whole families or tasks, was held out of the support; `graphrouter` and
`graphrouter_retrained` predict from start values and closed forms (`training.max_epochs=0`), so a
learned share of 1 is the same router with all outcomes. Made by

    graphrouter benchmark-newcomers DATA/NAME --hold-out models --seeds 3 --shots 0,20,100,all \\
        --jobs 1 --set training.max_epochs=0 --out RUN    # for each set; tasks: --max-tasks 3
    python experiments/newcomers/instant.py RUN > experiments/newcomers/INSTANT.md

Behind a number of outcomes stands how many of the baselines are surely worse (+), level (=) and
surely better (-) in log loss on the newcomers; `suggested` is against random outcomes."""


def page(folder: Path) -> Iterator[str]:
    """The lines of the page."""
    yield INTRODUCTION
    for kind in ("models", "tasks"):
        files = sorted(folder.glob(f"*-{kind}.json"))
        found = [
            NewcomerEvaluation.from_json(json.loads(file.read_text(encoding="utf-8")))
            for file in files
        ]
        if found:
            yield f"\n## {kind.title()} that nobody learned from\n"
            yield from _table(found)


def _table(evaluations: Sequence[NewcomerEvaluation]) -> Iterator[str]:
    labels = evaluations[0].labels
    yield "| set | router | " + " | ".join(f"k = {label}" for label in labels) + " |"
    yield "|---" * (len(labels) + 2) + "|"
    shares: dict[str, list[list[float]]] = {}
    for found in evaluations:
        for name in (MAIN, SUGGESTED):
            if name not in found.routers:
                continue
            cells, values = [], []
            for label in labels:
                loss = found.figure(name, label, LOG_LOSS.name).value
                share = found.figure(name, label, LEARNED.name).value
                values.append(share)
                mark = (
                    _count_marks(found, label)
                    if name == MAIN
                    else _turn(find_mark(found, name, label, LOG_LOSS))
                )
                cells.append(f"{loss:.4f} ({share:.2f}) {mark}")
            shares.setdefault(name, []).append(values)
            yield f"| {found.dataset} | {name} | " + " | ".join(cells) + " |"
    for name, rows in shares.items():
        means = np.nanmean(rows, axis=0)
        yield f"| mean share | {name} | " + " | ".join(f"{mean:.2f}" for mean in means) + " |"


def _count_marks(found: NewcomerEvaluation, label: str) -> str:
    """How many baselines are surely worse, level and surely better."""
    others = [name for name in found.paired if name not in (SUGGESTED, RETRAINED)]
    marks = [find_mark(found, name, label, LOG_LOSS) for name in others]
    counts = (marks.count("better"), marks.count(""), marks.count("worse"))
    return "".join(f"{count}{sign}" for count, sign in zip(counts, "+=-", strict=True) if count)


def _turn(mark: str) -> str:
    """Of suggested probes: the marks say how random ones compare with them."""
    return {"better": "-", "worse": "+", "": "="}[mark]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Expected the folder of the runs: python experiments/newcomers/instant.py RUN")
    print("\n".join(page(Path(sys.argv[1]))))
