"""How soon `DriftDetector` finds a drop, where the change seems to begin, and how often it errs.

Usage:
    python -m experiments.gateway.drift_delays [DATA ...]

Simulated: 300 answers as expected, then the drop; 60 runs each. With DATA, real outcomes of all
models without any change: 1,000 queries are known, 3,000 are watched.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np

import graphrouter as gr
from graphrouter.monitoring import DriftDetector

NUM_BEFORE, NUM_AFTER, NUM_RUNS, NUM_KNOWN, NUM_WATCHED = 300, 3_000, 60, 1_000, 3_000


def simulate(expected: float, drop: float) -> None:
    rng, found = np.random.default_rng(0), []
    for _ in range(NUM_RUNS):
        chances = np.repeat([expected, expected - drop], [NUM_BEFORE, NUM_AFTER])
        detector = DriftDetector()
        for number, right in enumerate(rng.random(len(chances)) < chances):
            drift = detector.observe(number, expected=expected, effect=float(right))
            if drift is not None:
                bias = drift.observed - (expected - drop)
                found.append((number - NUM_BEFORE, drift.since - NUM_BEFORE, bias))
                break
    delay, since, bias = np.array(found).T
    print(
        f"{expected} to {expected - drop:.1f}: found {len(found)} of {NUM_RUNS}, after "
        f"{np.median(delay):.0f} (95 %: {np.quantile(delay, 0.95):.0f}); begins at "
        f"{np.quantile(since, [0.1, 0.5, 0.9]).round()}; mean off by {bias.mean():.3f}"
    )


def watch(folder: str) -> None:
    data = gr.load_dataset(folder)
    ids = data.queries["query_id"].sample(frac=1, random_state=0).tolist()
    known, watched = ids[:NUM_KNOWN], ids[NUM_KNOWN : NUM_KNOWN + NUM_WATCHED]
    router = gr.GraphRouter.fit(data.select_queries(known), instant=True)
    asked = data.queries.set_index("query_id").loc[watched]
    expected = router.predict(asked["prompt"].tolist(), tasks=asked["task"].tolist()).effect
    effect = data.outcome_matrix("effect", watched)
    num_alarms = num_seen = 0
    for column in range(len(router.models)):
        detector = DriftDetector()
        for row in np.flatnonzero(~np.isnan(effect[:, column])).tolist():
            num_seen += 1
            chance, got = float(expected[row, column]), float(effect[row, column])
            if detector.observe(row, expected=chance, effect=got) is not None:
                num_alarms, detector = num_alarms + 1, DriftDetector()
    print(f"{Path(folder).name}: {num_alarms} alarms in {num_seen:,} outcomes")


def main() -> None:
    """Run from the command line."""
    logging.disable(logging.WARNING)
    for expected, drop in ((0.9, 0.2), (0.7, 0.2), (0.5, 0.2), (0.7, 0.4)):
        simulate(expected, drop)
    for folder in sys.argv[1:]:
        watch(folder)


if __name__ == "__main__":
    main()
