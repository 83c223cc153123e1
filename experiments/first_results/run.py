"""Trains with the default settings and compares with the references, on folders of real outcomes.

Usage:
    python experiments/first_results/run.py DATA [DATA ...] [--seeds 0 1 2] [--out experiments/first_results]

Writes `results/<name>.seed<N>.json` (the form of `graphrouter evaluate --json`, plus seconds, peak memory and the split's sizes).
The seed draws the weights and, where the data brings no split of its own, the split. Run `table.py` afterwards.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import graphrouter as gr
from graphrouter.evaluation import evaluate, fit_references


def main() -> None:
    """Runs one process for all: peak memory is that of the largest so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    (arguments.out / "results").mkdir(parents=True, exist_ok=True)
    for folder in arguments.data:
        for seed in arguments.seeds:
            result = run(folder, seed)
            path = arguments.out / "results" / f"{folder.resolve().name}.seed{seed}.json"
            path.write_text(json.dumps(rounded(result)) + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """Plain values with six decimals: what a reader and a diff can use."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return round(value, 6) if isinstance(value, float) else value


def run(folder: Path, seed: int) -> dict[str, object]:
    """The evaluation of one training."""
    data = gr.load_dataset(folder)
    config = gr.load_config(overrides=[f"seed={seed}", f"split.seed={seed}"])
    start = time.perf_counter()
    router = gr.GraphRouter.fit(data, config)
    fit_s = time.perf_counter() - start
    split = router.provenance.split
    references = fit_references(data, split, router.encoder)
    evaluation = evaluate(router, data, split.test, references=references, cost_scale=router.cost_scale)
    return {
        **evaluation.to_json(),
        "fit_s": round(fit_s, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "num_train": len(split.train),
        "num_validation": len(split.validation),
        "seed": seed,
    }


if __name__ == "__main__":
    main()
