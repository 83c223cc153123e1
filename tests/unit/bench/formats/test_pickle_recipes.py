"""The one-off conversions that docs/formats.md shows give what the readers take. They run in a
process of their own."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.bench.formats import read_routerbench, read_routereval

PAGE = Path(__file__).resolve().parents[4] / "docs" / "formats.md"


def run_recipe(beginning: str, folder: Path) -> None:
    [recipe] = [
        text
        for text in re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
        if beginning in text
    ]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", recipe], cwd=folder, check=True, timeout=60
    )


def test_routerbench(tmp_path: Path, outcomes_of: Any) -> None:
    table = pd.DataFrame(
        {
            "sample_id": ["a.1", "b.2"],
            "prompt": ["['One,\\n\"two\"?\\r']", ["First.", "Second."]],
            "eval_name": ["a", "b"],
            "org/nano-3.5": np.array([1.0, "0.5"], dtype=object),
            "grand": [0.0, np.nan],
            "org/nano-3.5|model_response": ["x", "y"],
            "grand|model_response": ["x", "y"],
            "org/nano-3.5|total_cost": [0.001, 0.002],
            "grand|total_cost": [0.01, 0.02],
            "oracle_model_to_route_to": ["org/nano-3.5", "grand"],
        }
    )
    for name in ("routerbench_0shot", "routerbench_5shot"):
        table.to_pickle(tmp_path / f"{name}.pkl")
    run_recipe("read_pickle", tmp_path)
    data = read_routerbench(tmp_path / "routerbench_5shot.csv")
    assert data.queries["prompt"].tolist() == ['One,\n"two"?\r', "First.\n\nSecond."]
    assert outcomes_of(data, "effect", "cost_usd") == {
        ("a.1", "org/nano-3.5"): (1.0, 0.001),
        ("b.2", "org/nano-3.5"): (0.5, 0.002),
        ("a.1", "grand"): (0.0, 0.01),
    }


def test_routereval(tmp_path: Path, outcomes_of: Any) -> None:
    names = ("train", "val", "test")
    data = {f"{name}_score": np.array([[1, 0]]) for name in names} | {
        "train_label": np.array([[1, 0]])
    }
    everything = {
        "hard": {10: {"strong_to_weak": {"model": ["a/nano", "b/grand"], "data": data}}},
        "prompt": {f"{name}_prompt": np.array([f"Prompt {name}?"]) for name in names},
        "embedding": {"train_embed": np.zeros((1, 3))},
    }
    (tmp_path / "router_dataset").mkdir()
    (tmp_path / "router_dataset" / "gsm8k_router_dataset.pkl").write_bytes(pickle.dumps(everything))
    run_recipe("pickle.loads", tmp_path)
    found = read_routereval(tmp_path / "gsm8k_router_dataset.json")
    assert found.queries["prompt"].tolist() == ["Prompt train?", "Prompt val?", "Prompt test?"]
    assert outcomes_of(found) == {
        (f"gsm8k/{split}/0", model): (effect,)
        for split in ("train", "validation", "test")
        for model, effect in (("a/nano", 1.0), ("b/grand", 0.0))
    }
