"""Hashed words: the same in every process, log-damped counts, order through pairs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from graphrouter.encoders.hashing import HashingEncoder


def test_case_and_punctuation_do_not_count() -> None:
    first, second = HashingEncoder(128).encode(["Sort THIS list!", "sort this list"])
    np.testing.assert_array_equal(first, second)


def test_word_order_counts_through_pairs() -> None:
    first, second = HashingEncoder(1024).encode(["dog bites man", "man bites dog"])
    # Three words in common out of three words and two pairs each; no collision at this size.
    np.testing.assert_allclose(first @ second, 3 / 5, atol=1e-6)


def test_counts_are_damped_by_their_logarithm() -> None:
    vector = HashingEncoder(1024).encode(["go stop go"])[0]
    weights = sorted(np.abs(vector[vector != 0]))
    # go: 1 + log 2; stop, (go stop), (stop go): 1 each
    expected = np.array([1, 1, 1, 1 + np.log(2)])
    np.testing.assert_allclose(weights, expected / np.linalg.norm(expected), atol=1e-6)


def test_another_process_gives_the_same_vector() -> None:
    code = (
        "from graphrouter.encoders.hashing import HashingEncoder as H; print(H(16).encode(['a "
        "stable hash'])[0].tolist())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, env={"PYTHONHASHSEED": "7"}
    )
    assert done.stdout.strip() == str(HashingEncoder(16).encode(["a stable hash"])[0].tolist())
