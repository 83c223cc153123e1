"""Node features by hand, and transforms that know the training rows alone and treat every row by
itself."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from graphrouter.bench.simulate import simulate
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split, split_dataset
from graphrouter.encoders import HashingEncoder
from graphrouter.features.cards import CARD_NAMES
from graphrouter.features.prompts import (
    NUM_PRINCIPAL,
)
from graphrouter.features.surface import SURFACE_NAMES, read_surface
from graphrouter.features.tables import FeatureTransform, FittedTransforms, encode_raw
from graphrouter.training.prepare import prepare

NAN = float("nan")


def surface_of(prompt: str) -> dict[str, float]:
    return dict(zip(SURFACE_NAMES, read_surface([prompt])[0].tolist(), strict=True))


def test_surface_features_by_hand() -> None:
    received = surface_of("Is 2+2=4?\nré: {x}")  # 17 characters, 4 words, 1 line break
    expected = {
        "log_chars": math.log(18),
        "log_words": math.log(5),
        "log_lines": math.log(2),
        "digit_share": 3 / 17,
        "upper_share": 1 / 17,
        "punctuation_share": 6 / 17,  # + = ? : { }
        "non_ascii_share": 1 / 17,
        "code_marks": math.log(3),  # { }
        "math_marks": math.log(3),  # + =
        "question_marks": math.log(2),
        "mean_word_length": math.log(1 + (2 + 6 + 3 + 3) / 4),
    }
    assert received == pytest.approx(expected, rel=1e-6)


def test_an_empty_prompt_has_no_features() -> None:
    assert read_surface([""]).tolist() == [[0.0] * len(SURFACE_NAMES)]
    assert read_surface([]).shape == (0, len(SURFACE_NAMES))


def test_lengths_are_of_the_whole_text() -> None:
    received = surface_of("ab \n" * 250_000 + "?" * 9)
    assert math.expm1(received["log_chars"]) == pytest.approx(1_000_009, rel=1e-5)
    assert math.expm1(received["log_words"]) == pytest.approx(250_000, rel=1e-3)
    assert math.expm1(received["log_lines"]) == pytest.approx(250_000, rel=1e-3)
    assert received["question_marks"] == 0.0  # beyond what is scanned


def test_half_a_surrogate_pair_is_a_character_like_others() -> None:
    assert surface_of("a\ud800")["non_ascii_share"] == 0.5


def random_rows(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    rows = rng.normal(size=(count, dimension)) + 1.0
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def rows(rng: np.random.Generator) -> dict[str, np.ndarray]:
    cards = rng.normal(size=(6, len(CARD_NAMES)))
    cards[rng.random(cards.shape) < 0.3] = NAN
    return {
        "prompts": random_rows(rng, 400, 32),
        "surface": rng.gamma(2.0, size=(400, len(SURFACE_NAMES))).astype(np.float32),
        "descriptions": np.vstack([random_rows(rng, 5, 32), np.zeros((1, 32), dtype=np.float32)]),
        "cards": cards,
        "tasks": np.vstack([random_rows(rng, 3, 32), np.zeros((1, 32), dtype=np.float32)]),
    }


@pytest.fixture
def transform(rows: dict[str, np.ndarray]) -> FeatureTransform:
    return FeatureTransform.fit(**rows)


@pytest.mark.parametrize("name", ["prompts", "descriptions", "tasks", "surface", "cards"])
def test_a_row_does_not_depend_on_the_rows_beside_it(
    transform: FeatureTransform, rows: dict[str, np.ndarray], name: str
) -> None:
    apply = {
        "prompts": transform.prompts.text,
        "surface": transform.prompts.surface,
        "descriptions": transform.descriptions,
        "tasks": transform.tasks,
        "cards": transform.cards,
    }[name]
    raw = rows[name]
    together = apply(raw)
    assert together.dtype == np.float32
    assert np.array_equal(np.vstack([apply(raw[i : i + 1]) for i in range(len(raw))]), together)
    assert np.array_equal(apply(raw[::-1]), together[::-1])


def test_principal_coordinates_of_a_row_do_not_depend_on_the_rows_beside_it(
    transform: FeatureTransform, rows: dict[str, np.ndarray]
) -> None:
    prompts, surface = rows["prompts"], rows["surface"]
    together = transform.prompts.principal(prompts, surface)
    alone = [
        transform.prompts.principal(prompts[i : i + 1], surface[i : i + 1])
        for i in range(len(prompts))
    ]
    assert np.array_equal(np.vstack(alone), together)
    assert np.array_equal(transform.prompts.principal(prompts[::-1], surface[::-1]), together[::-1])
    assert transform.prompts.principal(prompts[:0], surface[:0]).shape == (0, NUM_PRINCIPAL)


def test_principal_coordinates_are_decorrelated_by_falling_variance_and_zero_beyond_the_rank(
    transform: FeatureTransform, rows: dict[str, np.ndarray]
) -> None:
    received = transform.prompts.principal(rows["prompts"], rows["surface"]).astype(np.float64)
    moments = received.T @ received / len(received)
    variance = np.diag(moments)
    rank = min(len(received) - 1, NUM_PRINCIPAL)  # the mean is taken off
    assert (variance[rank:] == 0).all()
    assert (variance[:rank] > 0).all()
    assert (np.diff(variance[:rank]) <= 1e-6).all()
    assert np.abs(moments - np.diag(variance)).max() < 1e-4 * variance.max()


def test_embeddings_are_centred_on_the_training_mean_and_of_unit_length(
    transform: FeatureTransform, rows: dict[str, np.ndarray]
) -> None:
    mean = rows["prompts"].astype(np.float64).mean(axis=0)
    expected = rows["prompts"] - mean
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert transform.prompts.text(rows["prompts"]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["descriptions", "tasks"])
def test_a_missing_text_stays_a_zero_row_and_does_not_count_in_the_mean(
    transform: FeatureTransform, rows: dict[str, np.ndarray], name: str
) -> None:
    received = getattr(transform, name)(rows[name])
    assert (received[-1] == 0).all()
    assert np.linalg.norm(received[:-1], axis=1) == pytest.approx(1.0, abs=1e-5)
    mean = transform.description_mean if name == "descriptions" else transform.task_mean
    assert mean == pytest.approx(rows[name][:-1].astype(np.float64).mean(axis=0), abs=1e-7)


def test_without_any_text_everything_is_zero(rows: dict[str, np.ndarray]) -> None:
    nothing = np.zeros((2, 32), dtype=np.float32)
    transform = FeatureTransform.fit(**{**rows, "descriptions": nothing, "tasks": nothing[:1]})
    assert (transform.descriptions(nothing) == 0).all()
    assert (transform.tasks(nothing[:1]) == 0).all()


def test_a_single_task_has_nothing_to_be_told_apart_from(rows: dict[str, np.ndarray]) -> None:
    transform = FeatureTransform.fit(**{**rows, "tasks": rows["tasks"][:1]})
    assert (transform.tasks(rows["tasks"][:1]) == 0).all()


def test_card_numbers_by_hand(rows: dict[str, np.ndarray]) -> None:
    cards = np.full((4, len(CARD_NAMES)), NAN)
    cards[:, 0] = [1.0, 3.0, NAN, NAN]  # mean 2, standard deviation 1
    cards[:, 2] = [5.0, 5.0, 5.0, NAN]  # no spread: the scale is 1
    transform = FeatureTransform.fit(**{**rows, "cards": cards})
    received = transform.cards(cards)
    num_card = len(CARD_NAMES)
    assert received[:, 0].tolist() == [-1, 1, 0, 0]
    assert (received[:, 1:num_card] == 0).all()
    assert received[:, num_card:].tolist() == np.isnan(cards).astype(float).tolist()
    newcomer = np.full((1, num_card), NAN)
    newcomer[0, :3] = [1000.0, 4.0, 6.5]
    assert transform.cards(newcomer)[0, :3].tolist() == [
        5.0,
        4.0,
        1.5,
    ]  # clipped; never seen: mean 0 and scale 1; as it is


def test_surface_features_are_clipped(transform: FeatureTransform) -> None:
    assert (
        transform.prompts.surface(np.full((1, len(SURFACE_NAMES)), 1e6, dtype=np.float32)) == 5
    ).all()


def test_queries_are_taken_and_added_with_all_their_features() -> None:
    data = simulate(num_queries=20, num_models=3).data
    is_even = np.arange(20) % 2 == 0
    # Documents go with the even queries alone: the others lack a view, and not a row of it.
    contexts = pd.Series([["A text."] if even else None for even in is_even], dtype=object)
    queries = data.queries.assign(context=contexts)
    raw = encode_raw(HashingEncoder(8), queries, data.pool, data.tasks)
    assert set(raw.views) == {"context", "context_fit"}
    again = raw.take_queries(is_even).add_queries(raw.take_queries(~is_even))
    order = np.concatenate([np.flatnonzero(is_even), np.flatnonzero(~is_even)])
    for field in dataclasses.fields(raw):
        whole = getattr(raw, field.name)
        if field.name == "views":
            for name, view in whole.items():
                for part, found in zip(view, again.views[name], strict=True):
                    assert np.array_equal(found, part[order], equal_nan=True)
            continue
        per_query = len(whole) == 20
        expected = whole[order] if per_query else whole
        assert np.array_equal(getattr(again, field.name), expected, equal_nan=True)
    assert len(raw.take_queries(slice(3)).query_task) == 3


def fitted(data: RoutingDataset, split: Split) -> FittedTransforms:
    return prepare(data, split, HashingEncoder(16)).transforms


def arrays_of(transforms: FittedTransforms) -> list[np.ndarray]:
    features = list(transforms.features.to_arrays().values())
    return [
        *features,
        transforms.channels.mean,
        transforms.channels.scale,
        np.array(transforms.cost),
    ]


@pytest.mark.parametrize(
    ("side", "changes"), [("test", False), ("validation", False), ("train", True)]
)
def test_transforms_are_fitted_on_training_rows_alone(side: str, changes: bool) -> None:
    data = simulate(80, 4, seed=1).data
    split = split_dataset(data, TrainConfig().split)
    ids = getattr(split, side)
    queries, outcomes = data.queries.copy(), data.outcomes.copy()
    prompts = queries["query_id"].isin(ids)
    queries.loc[prompts, "prompt"] = (
        "Entirely different: " + queries.loc[prompts, "prompt"] + " {} 12345 ???"
    )
    rows = outcomes["query_id"].isin(ids)
    outcomes.loc[rows, ["cost_usd", "input_tokens", "output_tokens", "latency_s"]] *= 1000
    other = dataclasses.replace(data, queries=queries, outcomes=outcomes)
    same = [
        np.array_equal(a, b)
        for a, b in zip(
            arrays_of(fitted(data, split)), arrays_of(fitted(other, split)), strict=True
        )
    ]
    assert rows.any()
    assert all(same) != changes
