"""Small worlds that several test modules build."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.encoders.hashing import HashingEncoder


def learning(prompts: Sequence[str], effect: np.ndarray, *, num_held: int = 0) -> LearningData:
    """Rows of `effect` belong to the prompts, NaN = no outcome; the last `num_held` are for
    validation."""
    ids = [f"q{i}" for i in range(len(prompts))]
    rows, columns = np.nonzero(np.isfinite(effect))
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ids, "task": None, "prompt": prompts}),
        models=pd.DataFrame({"model": [f"m{i}" for i in range(effect.shape[1])]}),
        outcomes=pd.DataFrame(
            {
                "query_id": [ids[i] for i in rows],
                "model": [f"m{i}" for i in columns],
                "effect": effect[rows, columns],
            }
        ),
    )
    cut = len(ids) - num_held
    return LearningData.of(data, ids[:cut], encoder=HashingEncoder(64), validation_ids=ids[cut:])


def two_kinds(num_queries: int) -> list[str]:
    return [f"integral derivative {i}" if i % 2 else f"poem sonnet {i}" for i in range(num_queries)]
