"""A model that changes is found soon, one that does not is left alone as long as is stated."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.exceptions import DataError
from graphrouter.monitoring import Drift, DriftDetector


def run(
    detector: DriftDetector, effects: np.ndarray, expected: float | np.ndarray
) -> tuple[int, Drift] | None:
    """The number of outcomes until the alarm, and what it says."""
    for number, (effect, chance) in enumerate(
        zip(effects.tolist(), np.broadcast_to(expected, effects.shape).tolist(), strict=True)
    ):
        found = detector.observe(number, expected=chance, effect=effect)
        if found is not None:
            return number + 1, found
    return None


def test_the_first_outcomes_by_hand() -> None:
    """Four bets each way: a bet of b has 1 + b (0.8 - 0.05 - 0) where the answer is wrong."""
    detector = DriftDetector(1e6)
    assert detector.observe(0, expected=0.8, effect=0.0) is None
    worse = 1 + 0.75 * np.array([0.25, 0.5, 1.0, 2.0])
    # What would be right takes at most 0.75: a bet that it is better is at most 0.75 / 0.85.
    better = 1 - 0.85 * np.array([0.25, 0.5, 0.75 / 0.85, 0.75 / 0.85])
    mean = float(np.concatenate([worse, better]).mean())
    assert detector.evidence == pytest.approx(np.log(mean) / np.log(1e6))


@pytest.mark.parametrize(("expected", "drop"), [(0.9, 0.2), (0.7, 0.2), (0.5, 0.2), (0.7, -0.2)])
def test_a_change_is_found(expected: float, drop: float) -> None:
    rng = np.random.default_rng(0)
    took, since, observed = [], [], []
    for _ in range(20):
        before = rng.random(300) < expected
        after = rng.random(2_000) < expected - drop
        found = run(DriftDetector(1_000), np.concatenate([before, after]).astype(float), expected)
        assert found is not None
        number, drift = found
        took.append(number - 300)
        assert drift.direction == ("worse" if drop > 0 else "better")
        assert drift.expected == pytest.approx(expected)
        since.append(drift.since)
        observed.append(drift.observed)
    assert np.median(took) < 250
    assert abs(np.median(since) - 300) < 30
    assert np.mean(observed) == pytest.approx(expected - drop, abs=0.1)


def test_false_alarms_are_as_rare_as_stated() -> None:
    """With a true mean at the very edge of what is no change; runs of up to 400 outcomes.

    The mean run is at least 100, so the share of runs that end early cannot be large.
    """
    rng = np.random.default_rng(1)
    lengths = []
    for _ in range(60):
        effects = (rng.random(400) < 0.65).astype(float)
        found = run(DriftDetector(100), effects, 0.7)
        lengths.append(400 if found is None else found[0])
    assert np.mean(lengths) >= 100


def test_what_is_as_expected_raises_nothing() -> None:
    rng = np.random.default_rng(2)
    expected = rng.random(4_000)
    effects = (rng.random(4_000) < expected).astype(float)
    assert run(DriftDetector(), effects, expected) is None
    graded = np.clip(expected + rng.uniform(-0.1, 0.1, 4_000), 0, 1)  # no effects of 0 and 1 alone
    assert run(DriftDetector(), graded, expected) is None


@pytest.mark.parametrize("expected", [0.0, 1.0])
def test_what_is_certain_is_no_error(expected: float) -> None:
    detector = DriftDetector(1_000)
    assert run(detector, np.full(50, expected), expected) is None
    found = run(detector, np.full(50, 1 - expected), expected)
    assert found is not None
    assert found[0] < 20


@pytest.mark.parametrize(
    ("settings", "told"),
    [((1.0,), "run_length is 1.0"), ((float("nan"),), "run_length"), ((100, 1.0), "tolerance is")],
)
def test_settings_out_of_range_are_refused(settings: tuple[float, ...], told: str) -> None:
    with pytest.raises(DataError, match=told):
        DriftDetector(*settings)
