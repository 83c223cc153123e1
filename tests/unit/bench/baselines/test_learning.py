"""What baselines are fitted on: training and validation rows, never a test row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.learning import (
    LearningData,
    Questions,
    find_positions,
    number_tasks,
)
from graphrouter.config import SplitConfig
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import DataError
from graphrouter.router.training_view import TrainingView
from graphrouter.training.effect_scores import log_loss
from graphrouter.types import FloatArray

ENCODER = HashingEncoder(64)


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=120, num_models=4, seed=2, missing=0.3).data


def test_a_split_gives_its_training_and_validation_rows(data: gr.RoutingDataset) -> None:
    split = gr.split_dataset(data, SplitConfig())
    view = TrainingView.of(data, gr.TrainConfig(seed=3), split=split, encoder=ENCODER)
    learning = LearningData.of_view(view)
    assert learning.train.query_ids == split.train
    assert learning.validation is not None
    assert learning.validation.query_ids == split.validation
    assert learning.seed == 3
    seen = {*learning.questions.prompts, *(learning.held_questions or learning.questions).prompts}
    test = set(data.queries.set_index("query_id").loc[list(split.test), "prompt"])
    assert not seen & test
    norms = np.linalg.norm(learning.questions.vectors, axis=1)
    np.testing.assert_allclose(norms, 1.0)


def test_held_out_models_have_no_outcomes(data: gr.RoutingDataset) -> None:
    hidden = data.pool.names[1]
    learning = LearningData.of(
        data, data.queries["query_id"].tolist(), encoder=ENCODER, held_out_models=[hidden]
    )
    assert np.isnan(learning.outcomes.effect[:, 1]).all()
    assert np.isfinite(learning.outcomes.effect[:, 0]).any()


def test_choose_takes_the_lowest_validation_loss_and_the_default_without_validation(
    data: gr.RoutingDataset,
) -> None:
    ids = data.queries["query_id"].tolist()
    learning = LearningData.of(data, ids[:90], encoder=ENCODER, validation_ids=ids[90:])
    assert learning.validation is not None
    mean = float(np.nanmean(learning.validation.outcomes.effect))

    def constant(value: float):  # type: ignore[no-untyped-def]
        return lambda questions: np.full((len(questions), 4), value)

    assert learning.choose([0.01, mean, 0.99], constant) == mean
    alone = LearningData.of(data, ids, encoder=ENCODER)
    assert alone.choose([0.01, mean, 0.99], constant) == 0.01


def test_calibration_rows_are_the_validation_rows(data: gr.RoutingDataset) -> None:
    ids = data.queries["query_id"].tolist()

    def score(questions: Questions) -> FloatArray:
        return np.zeros((len(questions), 4))

    learning = LearningData.of(data, ids[:90], encoder=ENCODER, validation_ids=ids[90:])
    assert learning.score_held_rows(score)[1].shape == (30, 4)
    assert LearningData.of(data, ids, encoder=ENCODER).score_held_rows(score)[1].shape == (120, 4)


def test_answers_are_embedded_where_they_were_recorded() -> None:
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ["q1", "q2"], "task": None, "prompt": ["one", "two"]}),
        models=pd.DataFrame({"model": ["a", "b"]}),
        outcomes=pd.DataFrame(
            {
                "query_id": ["q1", "q1", "q2"],
                "model": ["a", "b", "a"],
                "effect": [1, 0, 1],
                "answer": ["yes", None, "no"],
            }
        ),
    )
    answers = LearningData.of(data, ["q1", "q2"], encoder=ENCODER).answers
    assert answers is not None
    assert answers.shape == (2, 2, 64)
    np.testing.assert_allclose(answers[0, 0], ENCODER.encode(["yes"])[0])
    assert np.isnan(answers[:, 1]).all()
    hidden = LearningData.of(data, ["q1", "q2"], encoder=ENCODER, held_out_models=["a"]).answers
    assert hidden is not None
    assert np.isnan(hidden).all()


def test_data_without_answers_has_none(data: gr.RoutingDataset) -> None:
    assert LearningData.of(data, data.queries["query_id"].tolist(), encoder=ENCODER).answers is None


def test_clusters_are_found_once_and_by_the_seed(data: gr.RoutingDataset) -> None:
    ids = data.queries["query_id"].tolist()
    learning = LearningData.of(data, ids, encoder=ENCODER, seed=1)
    assert learning.find_centres(4) is learning.find_centres(4)
    np.testing.assert_array_equal(
        learning.find_centres(4),
        LearningData.of(data, ids, encoder=ENCODER, seed=1).find_centres(4),
    )
    assert LearningData.of(data, ids[:3], encoder=ENCODER).find_centres(50).shape == (3, 64)


def test_refuses_no_and_unknown_queries(data: gr.RoutingDataset) -> None:
    with pytest.raises(DataError, match="at least one"):
        LearningData.of(data, [], encoder=ENCODER)
    with pytest.raises(DataError, match="nope"):
        LearningData.of(data, ["nope"], encoder=ENCODER)


def test_number_tasks() -> None:
    names, index = number_tasks(["b", None, "a", "b"])
    assert names == ("a", "b")
    assert index.tolist() == [1, -1, 0, 1]
    assert find_positions(names, ["c", "a", None]).tolist() == [-1, 0, -1]


def test_log_loss_by_hand() -> None:
    assert log_loss(np.array([[0.5, 0.9]]), np.array([[1.0, np.nan]])) == pytest.approx(np.log(2))
    assert np.isnan(log_loss(np.array([[0.5]]), np.array([[np.nan]])))
