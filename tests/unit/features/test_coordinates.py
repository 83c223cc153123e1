"""Kernel principal coordinates: what the kernel is, and that the coordinates are its principal
components."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.features import coordinates
from graphrouter.features.coordinates import NUM_PRINCIPAL, KernelCoordinates, kernel

RNG = np.random.default_rng(5)
SURFACE = RNG.normal(size=(60, 11)).astype(np.float32)
TEXT = RNG.normal(size=(60, 32)).astype(np.float32)
TEXT /= np.linalg.norm(TEXT, axis=1, keepdims=True)


def test_alike_are_prompts_whose_text_and_whose_surface_are_alike() -> None:
    one = np.ones((1, 11), dtype=np.float32)
    text = np.array([[1.0, 0.0]], dtype=np.float32)
    assert kernel(text, one, text, one).item() == pytest.approx(1.0)
    assert kernel(text, one, text[:, ::-1], one).item() == pytest.approx(np.exp(-2.0))
    assert kernel(text, one, text, -one).item() == pytest.approx(
        np.exp(-2.0)
    )  # squared distance 44, twice 11
    assert kernel(text, one, text[:, ::-1], -one).item() == pytest.approx(np.exp(-4.0))


def test_products_of_coordinates_are_the_centred_kernel() -> None:
    found = KernelCoordinates.fit(TEXT, SURFACE).of(TEXT, SURFACE).astype(np.float64)
    alike = kernel(TEXT, SURFACE, TEXT, SURFACE)
    centre = np.eye(60) - 1 / 60
    assert found @ found.T == pytest.approx(32 * centre @ alike @ centre, abs=2e-4)


def test_few_landmarks_stand_for_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = np.repeat(TEXT[:5], 12, axis=0)
    surface = np.repeat(SURFACE[:5], 12, axis=0)
    exact = KernelCoordinates.fit(text, surface).of(text, surface)
    monkeypatch.setattr(coordinates, "NUM_LANDMARKS", 30)
    sparse = KernelCoordinates.fit(text, surface)
    assert sparse.landmark_text.shape == (30, 32)
    assert np.abs(sparse.of(text, surface)) == pytest.approx(np.abs(exact), abs=1e-3)


def test_one_row_or_equal_rows_have_nothing_to_be_told_apart_by() -> None:
    for count in (1, 7):
        text, surface = np.repeat(TEXT[:1], count, axis=0), np.repeat(SURFACE[:1], count, axis=0)
        received = KernelCoordinates.fit(text, surface).of(text, surface)
        assert received.shape == (count, NUM_PRINCIPAL)
        assert received == pytest.approx(0.0, abs=1e-3)
