"""Boosted trees: steps that no line follows, few outcomes, and trees as text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods import trees
from graphrouter.bench.baselines.methods.trees import BoostedTrees
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import NotApplicableError


def lengths(num_outcomes: int) -> LearningData:
    """`brief` solves prompts of 30 to 90 words alone; `rare` was run on a few queries, `new` on
    none."""
    ids = [f"q{i:03}" for i in range(240)]
    words = [1 + i * 7 % 120 for i in range(240)]
    rows = [(query, "brief", float(30 <= n < 90)) for query, n in zip(ids, words, strict=True)]
    rows += [(query, "rare", 1.0) for query in ids[:num_outcomes]]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": ids,
                "task": None,
                "prompt": [f"{'word ' * n}{i}" for i, n in enumerate(words)],
            }
        ),
        models=pd.DataFrame({"model": ["brief", "rare", "new"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect"]),
    )
    return LearningData.of(data, ids[:200], encoder=HashingEncoder(16), validation_ids=ids[200:])


def test_follows_a_window_of_lengths() -> None:
    router = BoostedTrees.learn(lengths(10))
    short, middle, long = router.predict(["word " * n for n in (5, 60, 110)]).effect[:, 0]
    assert middle > 0.9
    assert max(short, long) < 0.1


def test_a_model_with_few_outcomes_keeps_its_mean() -> None:
    learning = lengths(trees.MIN_OUTCOMES - 1)
    router = BoostedTrees.learn(learning)
    assert [bool(text) for text in router.trees] == [True, False, False]
    np.testing.assert_allclose(
        router.predict(["word", ""]).effect[:, 1:], np.tile(learning.means.effect[0, 1:], (2, 1))
    )


def test_enough_equal_outcomes_raise_the_mean() -> None:
    learning = lengths(trees.MIN_OUTCOMES)
    router = BoostedTrees.learn(learning)
    assert router.trees[1]
    assert (router.predict(["word"]).effect[:, 1] >= learning.means.effect[0, 1]).all()


def test_the_text_of_the_trees_is_all_there_is() -> None:
    router = BoostedTrees.learn(lengths(60))
    prompts = ["word " * n for n in range(1, 120, 10)]
    again = replace(router)
    assert "_boosters" not in vars(again)
    np.testing.assert_array_equal(again.predict(prompts).effect, router.predict(prompts).effect)


def test_noise_ends_the_boosting_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects that nothing predicts: validation stops long before the last round, and predictions
    stay near the mean."""
    data = gr.simulate(num_queries=300, num_models=2, missing=0).data
    coin = np.random.default_rng(0).integers(0, 2, len(data.outcomes)).astype(float)
    noisy = gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=data.outcomes.assign(effect=coin)
    )
    ids = noisy.queries["query_id"].tolist()
    learning = LearningData.of(
        noisy, ids[:200], encoder=HashingEncoder(16), validation_ids=ids[200:]
    )
    router = BoostedTrees.learn(learning)
    counts = [text.count("\nTree=") for text in router.trees]
    assert max(counts) < trees.MAX_ROUNDS / 3
    monkeypatch.setattr(trees, "DEFAULT_ROUNDS", 7)
    unchecked = BoostedTrees.learn(LearningData(learning.train, None, learning.encoder))
    assert [text.count("\nTree=") for text in unchecked.trees] == [7, 7]


def test_a_missing_system_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(trees, "import_module", broken)
    with pytest.raises(NotApplicableError, match=r"libgomp\.so\.1.*apt-get install libgomp1"):
        trees.load_lightgbm()
