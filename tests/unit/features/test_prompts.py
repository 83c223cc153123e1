"""Kernel principal coordinates are the components of their kernel; the nearest come first."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphrouter.features import prompts
from graphrouter.features import surface as marks
from graphrouter.features.prompts import (
    NUM_PRINCIPAL,
    KernelCoordinates,
    PromptTransform,
    compute_kernel,
)
from graphrouter.scoring.nearest import find_nearest

RNG = np.random.default_rng(5)
SURFACE = RNG.normal(size=(60, 11)).astype(np.float32)
TEXT = RNG.normal(size=(60, 32)).astype(np.float32)
TEXT /= np.linalg.norm(TEXT, axis=1, keepdims=True)


def test_alike_are_prompts_whose_text_and_whose_surface_are_alike() -> None:
    one = np.ones((1, 11), dtype=np.float32)
    text = np.array([[1.0, 0.0]], dtype=np.float32)
    assert compute_kernel(text, one, text, one).item() == pytest.approx(1.0)
    assert compute_kernel(text, one, text[:, ::-1], one).item() == pytest.approx(np.exp(-2.0))
    assert compute_kernel(text, one, text, -one).item() == pytest.approx(
        np.exp(-2.0)
    )  # squared distance 44, twice 11
    assert compute_kernel(text, one, text[:, ::-1], -one).item() == pytest.approx(np.exp(-4.0))


def test_products_of_coordinates_are_the_centred_kernel() -> None:
    found = KernelCoordinates.fit(TEXT, SURFACE).of(TEXT, SURFACE).astype(np.float64)
    alike = compute_kernel(TEXT, SURFACE, TEXT, SURFACE)
    centre = np.eye(60) - 1 / 60
    assert found @ found.T == pytest.approx(32 * centre @ alike @ centre, abs=2e-4)


def test_few_landmarks_stand_for_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = np.repeat(TEXT[:5], 12, axis=0)
    surface = np.repeat(SURFACE[:5], 12, axis=0)
    exact = KernelCoordinates.fit(text, surface).of(text, surface)
    monkeypatch.setattr(prompts, "NUM_LANDMARKS", 30)
    sparse = KernelCoordinates.fit(text, surface)
    assert sparse.landmark_text.shape == (30, 32)
    assert np.abs(sparse.of(text, surface)) == pytest.approx(np.abs(exact), abs=1e-3)


def test_one_row_or_equal_rows_have_nothing_to_be_told_apart_by() -> None:
    for count in (1, 7):
        text, surface = np.repeat(TEXT[:1], count, axis=0), np.repeat(SURFACE[:1], count, axis=0)
        received = KernelCoordinates.fit(text, surface).of(text, surface)
        assert received.shape == (count, NUM_PRINCIPAL)
        assert received == pytest.approx(0.0, abs=1e-3)


def unit(rows: list[list[float]]) -> Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float64), dim=1)


def test_nearest_comes_most_similar_first() -> None:
    positions, cosine = find_nearest(unit([[1, 0]]), unit([[0, 1], [1, 0], [1, 1], [-1, 0]]), 3)
    assert positions.tolist() == [[1, 2, 0]]
    assert cosine.flatten().tolist() == pytest.approx([1, 0.5**0.5, 0], abs=1e-9)


@pytest.mark.parametrize("num_support", [0, 1, 3])
def test_nearest_takes_what_there_is(num_support: int) -> None:
    positions, cosine = find_nearest(unit([[1, 0], [0, 1]]), unit([[1, 1]] * 3)[:num_support], 8)
    assert positions.shape == cosine.shape == (2, num_support)
    assert positions[0].sort().values.tolist() == list(range(num_support))


def test_equal_prompts_have_equal_cosines_and_keep_their_places_in_any_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    support = torch.nn.functional.normalize(
        torch.randn(40, 32, generator=generator, dtype=torch.float64), dim=1
    ).repeat(5, 1)
    targets = torch.nn.functional.normalize(
        torch.randn(9, 32, generator=generator, dtype=torch.float64), dim=1
    )
    positions, cosine = find_nearest(targets, support, 12)
    assert (cosine[:, :5] == cosine[:, :1]).all()  # the five copies of the best one
    assert (positions[:, :5] % 40 == positions[:, :1] % 40).all()
    for i in range(len(targets)):
        alone = find_nearest(targets[i : i + 1], support, 12)
        assert torch.equal(alone[0][0], positions[i])
        assert torch.equal(alone[1][0], cosine[i])


@pytest.mark.parametrize("num_rows", [1, 31, 32, 33, 107])
def test_coordinates_are_the_same_bits_alone_and_in_blocks_of_any_size(num_rows: int) -> None:
    coordinates = KernelCoordinates.fit(TEXT[:57], SURFACE[:57])
    text, surface = np.tile(TEXT, (2, 1)), np.tile(SURFACE, (2, 1))
    alone = [coordinates.of(text[i : i + 1], surface[i : i + 1]) for i in range(num_rows)]
    together = coordinates.of(text[:num_rows], surface[:num_rows])
    np.testing.assert_array_equal(together, np.concatenate(alone))
    assert coordinates.of(text[:0], surface[:0]).shape == (0, together.shape[1])


@given(st.text(st.characters(max_codepoint=127)))
def test_marks_of_ascii_are_counted_by_table_as_one_by_one(text: str) -> None:
    assert marks._count_marks(text) == [marks._count(text, among) for among in marks._MARKS]


def test_many_rows_are_fitted_on_some_and_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PromptTransform.fit(TEXT, SURFACE)
    text, found = whole.text(TEXT), whole.principal(TEXT, SURFACE)
    monkeypatch.setattr(prompts, "_ROWS_CENTRED_AT_ONCE", 7)
    np.testing.assert_array_equal(whole.text(TEXT), text)
    np.testing.assert_array_equal(whole.principal(TEXT, SURFACE), found)
    assert prompts.MOST_FITTED > 16_000  # ordinary logs are fitted on all of their rows
    monkeypatch.setattr(prompts, "MOST_FITTED", len(TEXT) - 20)
    some, again = (PromptTransform.fit(TEXT, SURFACE) for _ in range(2))
    np.testing.assert_array_equal(some.mean, again.mean)
    assert not np.array_equal(some.mean, whole.mean)
    rows = (TEXT[:, None] == some.coordinates.landmark_text).all(axis=2).any(axis=1)
    assert rows.sum() <= len(TEXT) - 20
