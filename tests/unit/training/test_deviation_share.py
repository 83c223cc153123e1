"""How much of what texts say of models is believed, and how it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

import graphrouter as gr
from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.router import fitting
from graphrouter.router.graph_router import GraphRouter
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.training.calibration import FittedCalibration, fit_calibration
from graphrouter.training.deviation_share import choose_share
from graphrouter.training.start import HeldScores

QUICK = ["encoder.name=hashing"]


def hold(true_share: float, *, num_queries: int = 800, seed: int = 0) -> HeldScores:
    """What is said of five models by their levels and deviations, of which a share is true."""
    rng = np.random.default_rng(seed)
    level, deviation = rng.normal(0, 1, (num_queries, 1)), rng.normal(0, 0.6, (num_queries, 5))
    observed = rng.random(deviation.shape) < expit(level + true_share * deviation)
    location = torch.zeros(NUM_CHANNELS, *deviation.shape, dtype=torch.float64)
    location[EFFECT] = torch.from_numpy(level + deviation)
    nothing = torch.zeros(num_queries, 1)
    scored = PairPredictions(location, location, nothing, nothing, torch.from_numpy(deviation))
    labels = np.full((NUM_CHANNELS, *deviation.shape), np.nan)
    labels[EFFECT] = observed
    no_chars = np.zeros((num_queries, 0))
    return HeldScores(scored, scored, labels, np.zeros(num_queries, dtype=np.int64), no_chars)


@pytest.mark.parametrize(
    ("true_share", "chosen"), [(1.0, 1.0), (1.5, 1.0), (0.9, 1.0), (0.45, 0.5), (-0.1, 0.0)]
)
def test_the_share_that_comes_true_where_less_is_surely_better(
    true_share: float, chosen: float
) -> None:
    assert choose_share([hold(true_share)]) == chosen
    assert choose_share([hold(true_share, num_queries=400, seed=s) for s in (1, 2)]) == chosen


def test_of_few_queries_all_is_believed() -> None:
    assert choose_share([hold(-1.0, num_queries=30)]) == 1.0
    shares = [choose_share([hold(0.7, num_queries=60, seed=seed)]) for seed in range(20)]
    assert shares.count(1.0) >= 15  # it is hardly ever sure


def test_a_router_chooses_by_it_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = gr.simulate(num_queries=120, num_models=3, seed=0).data
    config = gr.load_config(overrides=QUICK)
    whole = GraphRouter.fit(data, config, instant=True)
    assert whole.route("What is 2 + 2?").deviation_share == 1.0

    def halve(*arguments: object) -> tuple[FittedCalibration, object]:
        found, amounts = fit_calibration(*arguments)  # type: ignore[arg-type]
        return found._replace(deviation_share=0.5), amounts

    monkeypatch.setattr(fitting, "fit_calibration", halve)
    half = GraphRouter.fit(data, config, instant=True)
    assert half.provenance.metrics["deviation_share"] == 0.5
    scale = whole.learned.net.readout.profile_scale
    torch.testing.assert_close(half.learned.net.readout.profile_scale[EFFECT], scale[EFFECT] / 2)
    half.save(tmp_path / "artifact")
    loaded = gr.load_router(tmp_path / "artifact")
    decision = loaded.route("What is 2 + 2?")
    assert decision.deviation_share == 0.5
    assert decision.to_dict()["deviation_share"] == 0.5
    card = gr.ModelCard(model="newcomer", input_usd_per_mtok=1.0, output_usd_per_mtok=1.0)
    assert loaded.add_model(card).route("What is 2 + 2?").deviation_share == 0.5
