"""The area of a network is that of the router which has it, and the tables in memory are few."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.methods.means import BestSingle
from graphrouter.bench.evaluation import evaluate
from graphrouter.bench.tuning.tuning_data import TuningData, predict_validation
from graphrouter.config import EncoderConfig
from graphrouter.exceptions import NotApplicableError
from graphrouter.scoring.decoding import AmountCalibration
from graphrouter.training.amount_calibration import EVEN_TRUST


@pytest.fixture(scope="module")
def split(data: gr.RoutingDataset, config: gr.TrainConfig) -> object:
    return gr.split_dataset(data, config.split)


@pytest.fixture(scope="module")
def router(data: gr.RoutingDataset, config: gr.TrainConfig) -> gr.GraphRouter:
    """As it is before validation queries say how far characters tell the tokens of a prompt."""
    fitted = gr.GraphRouter.fit(data, config)
    amounts = AmountCalibration(token_trust=EVEN_TRUST)
    learned = dataclasses.replace(fitted.learned, amounts=amounts)
    return gr.GraphRouter(learned, fitted.support, fitted.provenance, fitted.encoder)


@pytest.fixture(scope="module")
def tuning_data(data: gr.RoutingDataset, config: gr.TrainConfig) -> TuningData:
    return TuningData(data, gr.split_dataset(data, config.split), config)


@pytest.mark.parametrize("task_known", [True, False])
def test_predictions_are_those_of_the_router(
    tuning_data: TuningData, router: gr.GraphRouter, config: gr.TrainConfig, task_known: bool
) -> None:
    tables = tuning_data.prepare(config.encoder).tables
    found = predict_validation(
        router.learned.net,
        tables,
        config,
        tuning_data.split,
        tuning_data.evaluation_set,
        task_known=task_known,
    )
    queries = tuning_data.evaluation_set.queries
    expected = router.predict(queries if task_known else queries.without_tasks())
    assert found.models == expected.models
    for name in ("effect", "cost_usd"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4)


def test_area_is_that_of_the_evaluation(
    tuning_data: TuningData, router: gr.GraphRouter, config: gr.TrainConfig
) -> None:
    best_single = BestSingle.fit(tuning_data.dataset, config, split=tuning_data.split)
    evaluated = evaluate(
        router,
        tuning_data.dataset,
        tuning_data.split.validation,
        baselines={"best_single": best_single},
        cost_scale=router.cost_scale,
        num_draws=2,
    )
    areas = [
        evaluated.settings[name].routers["graphrouter"]["area_log"].value
        for name in ("task_known", "task_hidden")
    ]
    area = tuning_data.measure_area(
        router.learned.net, tuning_data.prepare(config.encoder).tables, config
    )
    assert area == pytest.approx(np.mean(areas), rel=1e-9)


def test_the_last_two_encoders_are_kept(tuning_data: TuningData) -> None:
    one, two, three = (EncoderConfig(name="hashing", dimension=size) for size in (16, 24, 40))
    kept = tuning_data.prepare(one)
    assert tuning_data.prepare(one.model_copy(update={"cache_dir": "elsewhere"})) is kept
    tuning_data.prepare(two)
    assert tuning_data.prepare(one) is kept
    tuning_data.prepare(three)
    assert tuning_data.prepare(one) is kept
    tuning_data.prepare(two)
    tuning_data.prepare(three)
    assert tuning_data.prepare(one) is not kept


def test_an_area_of_one_price_is_refused(data: gr.RoutingDataset, config: gr.TrainConfig) -> None:
    flat = gr.RoutingDataset.from_frames(
        queries=data.queries,
        models=data.models[["model"]],
        outcomes=data.outcomes.assign(cost_usd=0.0),
        name="flat",
    )
    with pytest.raises(
        NotApplicableError, match="area is not defined on the validation queries of 'flat'"
    ):
        TuningData(flat, gr.split_dataset(flat, config.split), config).check_area()
