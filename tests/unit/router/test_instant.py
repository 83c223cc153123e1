"""A router of start values: ready at once, and training must beat it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import graphrouter as gr
from graphrouter.data import Split
from graphrouter.exceptions import DataError
from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.router.fitting import training_tables
from graphrouter.router.training_view import TrainingView
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.training.start import HeldScores, beats_start, build_network
from graphrouter.training.trainer import fit_network

HASHING = ["encoder.name=hashing", "encoder.dimension=32"]


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=200, num_models=4, seed=0).data


def make_answers(num_prompts: int) -> dict[str, list[Any]]:
    """Every second prompt is a sum, at which `sums` is better; at the others `words` is."""
    rng = np.random.default_rng(0)
    answers: dict[str, list[Any]] = {"prompt": [], "model": [], "effect": []}
    for i in range(num_prompts):
        is_sum = i % 2 == 0
        prompt = f"What is {i} + {3 * i}?" if is_sum else f"Write line {i} of a poem about rain."
        for model, good in (("sums", is_sum), ("words", not is_sum)):
            answers["prompt"].append(prompt)
            answers["model"].append(model)
            answers["effect"].append(float(rng.random() < (0.9 if good else 0.2)))
    return answers


def test_a_flat_table_is_enough_and_every_row_of_it_counts() -> None:
    answers = make_answers(40)
    router = gr.GraphRouter.fit(answers, instant=True)
    assert len(router.support.outcomes) == 80
    assert router.route("What is 81 + 17?").model == "sums"
    assert router.route("Write line 5 of a poem about snow.").model == "words"
    again = gr.GraphRouter.fit(pd.DataFrame(answers), instant=True)
    prompts = ["What is 2 + 2?", "Sing."]
    assert (again.predict(prompts).effect == router.predict(prompts).effect).all()


def test_nothing_is_trained_and_test_queries_stay_test_queries(data: gr.RoutingDataset) -> None:
    config = gr.load_config(overrides=HASHING)
    router = gr.GraphRouter.fit(data, config, instant=True)
    untouched = build_network(training_tables(TrainingView.of(data, config)), config)
    for name, weight in untouched.state_dict().items():
        assert torch.equal(router.learned.net.state_dict()[name], weight)
    assert router.provenance.split == gr.split_dataset(data, config.split)
    assert router.provenance.metrics["best_epoch"] == 0
    found = router.evaluate(data, baselines=["knn"], num_draws=20)
    assert found.num_queries == len(router.provenance.split.test)


def test_it_is_saved_loaded_and_takes_newcomers_as_any_other(
    data: gr.RoutingDataset, tmp_path: Path
) -> None:
    router = gr.GraphRouter.fit(data, gr.load_config(overrides=HASHING), instant=True)
    router.save(tmp_path / "instant")
    loaded = gr.load_router(tmp_path / "instant")
    prompts = data.queries["prompt"].tolist()[:3]
    assert (loaded.predict(prompts).effect == router.predict(prompts).effect).all()
    assert loaded.learned.config.training.max_epochs == 0
    more = loaded.add_model(gr.ModelCard(model="newcomer", description="A strong new model."))
    assert "newcomer" in more.models


def test_training_needs_validation_queries_and_says_what_does_not(data: gr.RoutingDataset) -> None:
    everything = Split(tuple(sorted(data.queries["query_id"])), (), ())
    with pytest.raises(DataError, match="no validation queries.*instant=True"):
        gr.GraphRouter.fit(data, gr.load_config(overrides=HASHING), split=everything)
    instant = gr.GraphRouter.fit(
        data, gr.load_config(overrides=HASHING), split=everything, instant=True
    )
    assert "ece_before" not in instant.provenance.metrics  # nothing to measure it on


def test_training_that_does_not_surely_help_leaves_the_start(data: gr.RoutingDataset) -> None:
    idle = ["training.learning_rate=1e-12", "training.max_epochs=1", "training.steps_per_epoch=1"]
    config = gr.load_config(overrides=[*HASHING, *idle])
    tables = training_tables(TrainingView.of(data, config))
    fitted = fit_network(tables, config)
    assert fitted.metrics["best_epoch"] == 0
    start = build_network(tables, config).state_dict()
    assert all(torch.equal(weight, start[name]) for name, weight in fitted.net.state_dict().items())


def make_scores(logit: np.ndarray, observed: np.ndarray) -> HeldScores:
    location = torch.zeros(NUM_CHANNELS, *logit.shape)
    location[EFFECT] = torch.from_numpy(logit)
    scored = PairPredictions(*[location] * 2, *[location[0]] * 3)
    labels = np.full((NUM_CHANNELS, *observed.shape), np.nan)
    labels[EFFECT] = observed
    no_chars = np.zeros((len(observed), 0))
    return HeldScores(scored, scored, labels, np.zeros(len(observed), dtype=np.int64), no_chars)


def test_a_gain_counts_and_of_few_queries_one_beyond_its_standard_error() -> None:
    rng = np.random.default_rng(0)
    observed = (rng.random((400, 3)) < 0.8).astype(float)
    right, flat = (make_scores(np.full((400, 3), value), observed) for value in (1.386, 0.0))
    assert beats_start(right, flat)
    assert not beats_start(flat, right)
    assert not beats_start(right, right)
    # Better on 11 of 20 queries, as much worse on the others: surely so only on many.
    solved, is_better = np.ones((400, 3)), np.arange(400) % 20 < 11
    mixed = np.where(is_better, 1.2, 0.8)[:, None] * np.ones((400, 3))
    for num, beats in ((400, True), (40, False)):
        trained, start = (make_scores(x[:num], solved[:num]) for x in (mixed, solved))
        assert (start.measure_losses() - trained.measure_losses()).sum() > 0
        assert beats_start(trained, start) == beats
    # One query, however much better, says nothing; two that agree do.
    assert not beats_start(*(make_scores(x[:1], solved[:1]) for x in (mixed, solved)))
    few = make_scores(np.full((2, 3), 1.386), observed[:2])
    assert few.measure_losses().sum() == pytest.approx(
        -np.where(observed[:2] == 1, np.log(0.8), np.log(0.2)).sum(), abs=6e-3
    )


def test_a_router_keeps_as_many_solved_queries_as_are_asked_for(data: gr.RoutingDataset) -> None:
    few = gr.load_config(overrides=[*HASHING, "graph.max_support_queries=50"])
    router, again = (gr.GraphRouter.fit(data, few, instant=True) for _ in range(2))
    kept = router.support.query_ids
    assert len(kept) == len(router.support.raw.prompts) == 50
    assert kept == again.support.query_ids
    train = router.provenance.split.train
    assert set(kept) < set(train)
    assert kept == sorted(kept)
    theirs = data.outcomes[data.outcomes["query_id"].isin(kept)]
    assert len(router.support.outcomes) == len(theirs)
    enough = gr.load_config(overrides=[*HASHING, "graph.max_support_queries=5000"])
    every, whole = (
        gr.GraphRouter.fit(data, config, instant=True)
        for config in (enough, gr.load_config(overrides=HASHING))
    )
    assert router.provenance.seen_prompts == whole.provenance.seen_prompts
    prompts = ["What is 2 + 2?", "Sing."]
    assert (every.predict(prompts).effect == whole.predict(prompts).effect).all()
