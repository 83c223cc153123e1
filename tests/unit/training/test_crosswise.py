"""Training queries that are scored by the outcomes of others, and what that corrects."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import graphrouter as gr
from graphrouter.features.channels import EFFECT
from graphrouter.router.fitting import training_tables
from graphrouter.router.training_view import TrainingView
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.scoring.state import SupportState, Targets
from graphrouter.training import start
from graphrouter.training.amount_calibration import EVEN_TRUST, trust_counts
from graphrouter.training.calibration import fit_calibration
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.start import HeldEffects, Solved, build_network, score_crosswise

CONFIG = gr.load_config(overrides=["encoder.name=hashing"])


@pytest.fixture(scope="module")
def tables() -> TrainingTables:
    data = gr.simulate(num_queries=200, num_models=4, seed=3).data
    return training_tables(TrainingView.of(data, CONFIG))


def score(tables: TrainingTables) -> HeldEffects:
    halves = score_crosswise(build_network(tables, CONFIG).eval(), Solved.of(tables), CONFIG)
    return HeldEffects.join([half.effects[0] for half in halves])


def test_every_training_query_is_scored_with_its_outcomes(tables: TrainingTables) -> None:
    found = score(tables)
    assert found.logit.shape == (len(tables.train_queries), len(tables.pool))
    assert np.isfinite(found.logit).all()
    observed = tables.train.channels[EFFECT]
    assert np.isfinite(found.observed).sum() == torch.isfinite(observed).sum()
    assert np.nansum(found.observed) == pytest.approx(float(torch.nansum(observed)))


def test_the_outcomes_of_a_query_say_nothing_about_it(tables: TrainingTables) -> None:
    before = score(tables)
    halves = score_crosswise(build_network(tables, CONFIG).eval(), Solved.of(tables), CONFIG)
    first = len(halves[0].task)
    # Outcomes of the second half turned round: the first half, scored by them, is another one, and
    # the second is what it was.
    group = tables.prompt_group[tables.train_queries].numpy()
    rng = np.random.default_rng(CONFIG.seed)
    half = torch.from_numpy(rng.permutation(group.max() + 1)[group] % 2)
    channels = tables.train.channels.clone()
    turned = half[tables.train.query] == 1
    channels[EFFECT, turned] = 1 - channels[EFFECT, turned]
    after = score(
        dataclasses.replace(tables, train=dataclasses.replace(tables.train, channels=channels))
    )
    assert np.abs(after.logit[:first] - before.logit[:first]).max() > 0.1
    np.testing.assert_array_equal(after.logit[first:], before.logit[first:])


def test_copies_of_a_prompt_are_in_one_half(tables: TrainingTables) -> None:
    same = dataclasses.replace(tables, prompt_group=torch.zeros_like(tables.prompt_group))
    assert score_crosswise(build_network(same, CONFIG).eval(), Solved.of(same), CONFIG) == []


def test_of_many_queries_some_are_scored(
    tables: TrainingTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "MOST_CROSSED", 60)
    assert len(score(tables).task) == 60


def test_few_queries_are_not_divided(
    tables: TrainingTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "FEWEST_QUERIES", 1000)
    assert score_crosswise(build_network(tables, CONFIG).eval(), Solved.of(tables), CONFIG) == []


def test_a_network_that_is_too_sure_is_corrected_by_training_queries(
    tables: TrainingTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = dataclasses.replace(tables, validation_queries=tables.validation_queries[:0])
    net = build_network(tables, CONFIG).eval()
    calm = net.score

    def score_boldly(
        state: SupportState, targets: Targets, models: torch.Tensor | None = None
    ) -> PairPredictions:
        scored = calm(state, targets, models)
        return scored._replace(location=torch.cat([4 * scored.location[:1], scored.location[1:]]))

    monkeypatch.setattr(net, "score", score_boldly)
    found, amounts = fit_calibration(net, alone, CONFIG)
    assert 0.15 < found.calibration.task_known.slope < 0.5
    assert found.metrics == {}  # nothing was held back to measure it on
    # What a prompt's characters promise is weighed by the same halves, and by few rows as well.
    halves = score_crosswise(net, Solved.of(alone), CONFIG)
    assert amounts.token_trust == trust_counts(halves, alone) != EVEN_TRUST
    assert 0 < trust_counts([], alone) < 1
