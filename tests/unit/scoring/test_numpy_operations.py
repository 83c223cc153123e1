"""The operations on arrays do what those on tensors do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphrouter.scoring import numpy_operations, torch_operations

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(4, 7)) * 3


def both(name: str, *arguments: object) -> tuple[np.ndarray, np.ndarray]:
    """What an operation gives on arrays, and on the same tensors."""
    tensors = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]
    found = getattr(numpy_operations, name)(*arguments)
    return found, getattr(torch_operations, name)(*tensors).numpy()


def test_both_libraries_have_the_same_operations() -> None:
    assert numpy_operations.__all__ == torch_operations.__all__
    for module in (numpy_operations, torch_operations):
        assert all(callable(getattr(module, name)) for name in module.__all__)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("softmax", (VALUES,)),
        ("log_softmax", (VALUES,)),
        ("sigmoid", (VALUES * 400,)),
        ("gelu", (np.linspace(-50, 50, 20_001),)),
        ("normalise", (np.vstack([VALUES, np.zeros(7)]),)),
        ("permute", (VALUES[None], 2, 0, 1)),
        ("round_to", (VALUES, 3)),
        ("clip", (VALUES, -1, 2)),
        ("clip", (VALUES, None, 0)),
        ("clip", (np.array([np.nan, -1.0]), 0)),
        ("average", (VALUES, 1)),
        ("gather", (VALUES, RNG.integers(0, 7, size=(2, 3)))),
        ("take_columns", (VALUES, RNG.integers(0, 7, size=(4, 3)))),
        ("take_columns", (VALUES[:1], RNG.integers(0, 7, size=(1, 3)))),
        ("share_out", (VALUES[:1], RNG.integers(0, 3, size=(1, 7)), 5)),
        ("share_out", (VALUES, RNG.integers(0, 3, size=(4, 7)), 5)),
        ("spread", (VALUES, np.array([5, 0, 3, 1]), 6)),
        ("multiply_rows", (VALUES, RNG.normal(size=(3, 7, 2)))),
        ("multiply_rows", (VALUES, RNG.normal(size=(7, 2)))),
        ("take_models", (RNG.normal(size=(2, 1, 7)), RNG.integers(0, 7, size=(4, 3)))),
        ("take_models", (VALUES, None)),
    ],
)
def test_an_operation_agrees(name: str, arguments: tuple[object, ...]) -> None:
    np.testing.assert_allclose(*both(name, *arguments), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_the_largest_come_first_and_equals_by_position(count: int) -> None:
    positions, found = numpy_operations.take_largest(VALUES, count)
    np.testing.assert_array_equal(
        found, torch_operations.take_largest(torch.tensor(VALUES), count)[1]
    )
    np.testing.assert_array_equal(np.take_along_axis(VALUES, positions, axis=1), found)
    among = np.sort(numpy_operations.largest_of(VALUES, count), axis=1)[:, ::-1]
    np.testing.assert_array_equal(among, found)
    assert numpy_operations.take_largest(np.ones((1, 4)), 4)[0].tolist() == [[0, 1, 2, 3]]


def test_what_is_masked_is_left_out_where_nothing_learns() -> None:
    mask = np.zeros((2, 1), dtype=bool)
    assert numpy_operations.is_nowhere(mask)
    assert not numpy_operations.is_nowhere(~mask)
    assert not torch_operations.is_nowhere(torch.from_numpy(mask))  # every weight has a gradient


@pytest.mark.parametrize("shape", [(128, 57), (4, 128, 57)])
def test_a_row_is_multiplied_alone_as_in_a_batch(shape: tuple[int, ...]) -> None:
    rows, matrix = RNG.normal(size=(33, 128)), RNG.normal(size=shape)
    together = numpy_operations.multiply_rows(rows, matrix)
    for i in (0, 7, 32):
        alone = numpy_operations.multiply_rows(rows[i : i + 1], matrix)
        np.testing.assert_array_equal(alone[..., 0, :], together[..., i, :])
