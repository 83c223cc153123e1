"""An index finds most of what a comparison with all rows finds, and gives the same cosines."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from graphrouter.exceptions import ConfigError, MissingExtraError
from graphrouter.scoring import search_index
from graphrouter.scoring.nearest import find_nearest
from graphrouter.scoring.search_index import IndexedSearch, build_search

K = 16


def draw(num_rows: int, seed: int) -> NDArray[np.float64]:
    """Unit vectors about forty topics."""
    rng = np.random.default_rng(seed)
    topics = np.random.default_rng(99).normal(size=(40, 32))
    vectors = topics[rng.integers(0, 40, num_rows)] + rng.normal(0, 0.7, (num_rows, 32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float32]:
    return draw(3000, 0).astype(np.float32)


@pytest.fixture(scope="module")
def search(rows: NDArray[np.float32]) -> IndexedSearch:
    return IndexedSearch(rows, 0.95, K)


def test_it_finds_the_share_that_was_asked_for(
    rows: NDArray[np.float32], search: IndexedSearch
) -> None:
    targets = draw(300, 1)
    exact, _ = find_nearest(targets, rows, K)
    found, _ = search(targets, rows, K)
    shares = [len(set(a) & set(b)) / K for a, b in zip(exact, found, strict=True)]
    assert np.mean(shares) > 0.92
    assert search.num_looked_at < 55  # = centres of 3,000 rows: a part, not all


def test_a_larger_share_takes_more_centres(
    rows: NDArray[np.float32], search: IndexedSearch
) -> None:
    assert IndexedSearch(rows, 0.6, K).num_looked_at < search.num_looked_at


def test_cosines_are_those_of_the_comparison_with_all(
    rows: NDArray[np.float32], search: IndexedSearch
) -> None:
    targets = draw(20, 2)
    everything, all_cosines = find_nearest(targets, rows, len(rows))
    found, cosines = search(targets, rows, K)
    for row in range(len(targets)):
        right = dict(zip(everything[row].tolist(), all_cosines[row].tolist(), strict=True))
        assert [right[at] for at in found[row].tolist()] == cosines[row].tolist()
        assert (np.diff(cosines[row]) <= 0).all()


def test_a_target_is_answered_alike_alone_and_among_others(
    rows: NDArray[np.float32], search: IndexedSearch
) -> None:
    targets = draw(64, 3)
    together = search(targets, rows, K)
    for row in (0, 31, 63):
        alone = search(targets[row : row + 1], rows, K)
        assert all(np.array_equal(a[0], b[row]) for a, b in zip(alone, together, strict=True))


def test_where_few_lie_near_all_are_compared(
    rows: NDArray[np.float32], search: IndexedSearch
) -> None:
    targets = draw(2, 4)
    for found, right in zip(
        search(targets, rows, len(rows)), find_nearest(targets, rows, len(rows)), strict=True
    ):
        assert np.array_equal(found, right)


def test_it_can_be_sent_to_another_process(
    rows: NDArray[np.float32], search: IndexedSearch
) -> None:
    targets = draw(5, 5)
    again = pickle.loads(pickle.dumps(search))
    assert np.array_equal(again(targets, rows, K)[0], search(targets, rows, K)[0])


def test_small_supports_are_compared_whole(rows: NDArray[np.float32]) -> None:
    assert build_search(rows, 0.9, K) is find_nearest
    assert build_search(rows, None, K) is find_nearest


def test_a_large_support_is_indexed(
    rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "LEAST_ROWS", 1000)
    assert isinstance(build_search(rows, 0.9, K), IndexedSearch)


@pytest.mark.parametrize("recall", [0.2, 1.0, 97, float("nan"), -1, "0.97", [0.9], True])
def test_a_share_out_of_range_is_told(rows: NDArray[np.float32], recall: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected a share from 0\.5 to below 1"):
        build_search(rows, recall, K)


def test_without_the_library_it_says_what_to_install(
    rows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrouter.extras.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="index"):
        build_search(rows, 0.9, K)
