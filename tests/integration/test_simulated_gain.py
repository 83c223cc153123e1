"""On simulated data the truth is known, so a test can ask which share of the possible gain the
router finds."""

from __future__ import annotations

import pytest

import graphrouter as gr
from graphrouter.bench.baselines.methods.means import BestSingle
from graphrouter.bench.evaluation.possible_gain import measure_gain


def _share(seed: int, config: gr.TrainConfig, *, task_known: bool) -> float:
    simulation = gr.simulate(seed=seed)
    router = gr.GraphRouter.fit(simulation.data, config)
    split = router.provenance.split
    gain = measure_gain(
        simulation,
        split.test,
        router=router,
        best_single=BestSingle.fit(simulation.data, split=split, encoder=router.encoder),
        policy=gr.Policy.preset("balanced"),
        cost_scale=router.cost_scale,
        task_known=task_known,
    )
    assert gain.best_single < gain.router < gain.best_possible
    return gain.share


@pytest.mark.slow
def test_a_short_training_finds_most_of_the_gain() -> None:
    assert _share(7, gr.load_config(overrides=["training.max_epochs=2"]), task_known=True) >= 0.6


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_default_training_finds_most_of_the_gain(seed: int) -> None:
    assert _share(seed, gr.TrainConfig(), task_known=False) >= 0.6
