"""What is read off a question and its documents, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphrouter.features.context_numbers import CONTEXT_NUMBERS, measure_context


def _measure(question: str, *documents: str, vectors: list[list[float]] | None = None):  # type: ignore[no-untyped-def]
    found = np.array(vectors or [[1.0, 0.0]] * len(documents), dtype=np.float32)
    read = measure_context(question, documents, np.array([1, 0], dtype=np.float32), found)
    assert len(read) == len(CONTEXT_NUMBERS)
    assert np.isfinite(read).all()
    return dict(zip(CONTEXT_NUMBERS, read, strict=True))


def test_numbers_of_two_documents() -> None:
    read = _measure(
        "Who painted Guernica in 1937?",
        "Guernica was painted in 1937.",
        "It was not painted in 1938, never.",
        vectors=[[1.0, 0.0], [0.0, 1.0]],
    )
    assert read["log_documents"] == pytest.approx(math.log(2))
    assert (read["max_cosine"], read["min_cosine"], read["mean_agreement"]) == (1, 0, 0)
    assert read["word_coverage"] == 1, "painted and guernica"
    assert read["best_word_coverage"] == 1
    assert read["number_coverage"] == 1
    assert read["lonely_number_share"] == 1, "each year stands in one document alone"
    assert read["negation_share"] == pytest.approx(math.log1p(100 * 2 / 12))


@pytest.mark.parametrize("text", ["", " ", "?!", "短い", "x" * 100_000, "1 2 3"])
def test_any_text_has_finite_numbers(text: str) -> None:
    _measure(text, "A document.")
    _measure("A question?", text or "-", "12 and 13")


def test_shares_of_nothing_are_one() -> None:
    read = _measure("Why?", "Because.")
    assert (read["word_coverage"], read["number_coverage"], read["mean_agreement"]) == (1, 1, 1)
