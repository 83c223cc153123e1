"""What routers are fitted on: made once, shared by many fits."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES, LearningData
from graphrouter.config import EncoderConfig, SplitConfig, TrainingConfig
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import ConfigError, DataError, EncoderError, NotApplicableError
from graphrouter.router import fitting
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView

HASHING = gr.TrainConfig(encoder=EncoderConfig(name="hashing", dimension=64))


class CountingEncoder(HashingEncoder):
    """Counts the texts that it turns into vectors."""

    num_texts = 0

    def encode(self, texts: object, *, progress: bool = False) -> np.ndarray:
        self.num_texts += len(texts)  # type: ignore[arg-type]
        return super().encode(texts, progress=progress)  # type: ignore[arg-type]


def test_what_is_left_out_comes_from_the_settings(data: gr.RoutingDataset) -> None:
    view = TrainingView.of(data)
    assert view.config == gr.TrainConfig()
    assert view.split == gr.split_dataset(data, SplitConfig())
    assert view.encoder.config == EncoderConfig()
    assert not view.progress
    own = HashingEncoder(32)
    split = gr.split_dataset(data, SplitConfig(seed=3))
    given = TrainingView.of(data, HASHING, split=split, encoder=own, progress=True)
    assert (given.config, given.split, given.encoder, given.progress) == (HASHING, split, own, True)


def test_something_else_than_a_dataset_is_refused() -> None:
    with pytest.raises(DataError, match="fit received a list; expected a dataset, or a"):
        TrainingView.of([])  # type: ignore[arg-type]


def test_a_thing_is_made_once_a_view(data: gr.RoutingDataset) -> None:
    made = []

    def make(view: TrainingView) -> int:
        made.append(view)
        return len(made)

    view = TrainingView.of(data, HASHING)
    assert (view.derive(make), view.derive(make)) == (1, 1)
    assert TrainingView.of(data, HASHING).derive(make) == 2


def test_views_share_what_they_have_made_while_their_rows_are_the_same(
    data: gr.RoutingDataset,
) -> None:
    view = TrainingView.of(data, HASHING)
    rows = view.derive(LearningData.of_view)
    longer = HASHING.model_copy(update={"training": TrainingConfig(max_epochs=7)})
    other = TrainingView.of(view, longer)
    assert other.config.training.max_epochs == 7
    assert other.derive(LearningData.of_view) is rows
    for changed in (
        TrainingView.of(view, HASHING.model_copy(update={"seed": 1})),
        TrainingView.of(view, HASHING.model_copy(update={"split": SplitConfig(seed=1)})),
        TrainingView.of(view, gr.TrainConfig(encoder=EncoderConfig(name="hashing", dimension=32))),
        TrainingView.of(view, split=gr.split_dataset(data, SplitConfig(seed=2))),
        TrainingView.of(view, encoder=HashingEncoder(16)),
    ):
        assert changed.derive(LearningData.of_view) is not rows
    assert TrainingView.of(view, HASHING.model_copy(update={"seed": 1})).split is view.split


def test_many_fits_read_the_texts_once(
    data: gr.RoutingDataset, quick_config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CountingEncoder(64)
    view = TrainingView.of(data, quick_config, encoder=encoder)
    first = BASELINES["knn"].fit(view)
    read = encoder.num_texts
    assert BASELINES["linear"].fit(view).encoder is first.encoder is encoder  # type: ignore[attr-defined]
    assert encoder.num_texts == read
    prepared = []
    prepare = fitting.prepare
    monkeypatch.setattr(
        fitting, "prepare", lambda *args, **kwargs: prepared.append(1) or prepare(*args, **kwargs)
    )
    routers = [gr.GraphRouter.fit(view) for _ in range(2)]
    assert len(prepared) == 1
    assert all(router.encoder is encoder for router in routers)
    one, other = (router.predict(["Add 3 and 4."]).effect for router in routers)
    np.testing.assert_array_equal(one, other)


def test_a_class_that_cannot_be_fitted_says_so(data: gr.RoutingDataset) -> None:
    with pytest.raises(NotApplicableError, match="A Router cannot be fitted"):
        Router.fit(data)


def test_what_was_given_stays_and_what_was_drawn_follows_the_settings(
    data: gr.RoutingDataset,
) -> None:
    given, drawn = gr.split_dataset(data, SplitConfig(seed=7)), HASHING.split
    other = HASHING.model_copy(update={"split": SplitConfig(seed=3), "encoder": EncoderConfig()})
    mine = HashingEncoder(32)
    kept = TrainingView.of(TrainingView.of(data, HASHING, split=given, encoder=mine), other)
    assert (kept.split, kept.encoder) == (given, mine)
    followed = TrainingView.of(TrainingView.of(data, HASHING), other)
    assert followed.split == gr.split_dataset(data, other.split) != gr.split_dataset(data, drawn)
    assert followed.encoder.id == "wordllama/l2_supercat"


def test_a_text_encoder_that_is_none_is_refused_by_a_view_too(data: gr.RoutingDataset) -> None:
    with pytest.raises(EncoderError, match="object"):
        TrainingView.of(TrainingView.of(data, HASHING), encoder=object())  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"seed": 1}, "configs/fast.yaml"])
def test_settings_of_another_type_are_refused(data: gr.RoutingDataset, given: object) -> None:
    with pytest.raises(ConfigError, match="expected a TrainConfig. Make one with"):
        TrainingView.of(data, given)  # type: ignore[arg-type]
