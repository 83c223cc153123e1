"""Off-policy estimates: by hand, on simulated logs whose truth is known, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.decision import Candidate, Decision
from graphrouter.exceptions import NotApplicableError
from graphrouter.gateway.exploring import Exploration
from graphrouter.router.off_policy import (
    LoggedRewards,
    check_overlap,
    estimate_doubly_robust,
    estimate_snips,
)

MODELS = ("nano", "mini", "large", "grand")
LOGS, DECISIONS = 300, 600


def make_log(**changed: object) -> LoggedRewards:
    values = {
        "reward": np.array([1.0, 0.0, 1.0, 0.0]),
        "agrees": np.array([True, True, False, True]),
        "propensity": np.array([0.5, 0.25, 0.5, 0.5]),
        "target_propensity": np.array([0.5, 0.25, 0.5, 0.5]),
        "expected": np.array([0.5, 0.5, 0.5, 0.5]),
        "target_expected": np.array([0.5, 0.5, 0.9, 0.5]),
    }
    return LoggedRewards(**{**values, **changed})  # type: ignore[arg-type]


def test_estimates_by_hand() -> None:
    log = make_log()
    assert log.weights.tolist() == [2.0, 4.0, 0.0, 2.0]
    assert log.effective_size == pytest.approx(64 / 24)
    assert estimate_snips(log).value == pytest.approx(2 / 8)
    # 0.5 + 2 * 0.5, 0.5 - 4 * 0.5, 0.9, 0.5 - 2 * 0.5
    assert estimate_doubly_robust(log).value == pytest.approx((1.5 - 1.5 + 0.9 - 0.5) / 4)


def test_the_same_policy_is_worth_what_came_of_it() -> None:
    rng = np.random.default_rng(0)
    reward = rng.random(200)
    everyone = np.ones(200)
    log = LoggedRewards(reward, everyone > 0, everyone, everyone, everyone / 3, everyone / 3)
    for found in (estimate_snips(log), estimate_doubly_robust(log)):
        assert found.value == pytest.approx(reward.mean())
        assert found.high - found.low == pytest.approx(
            2 * 1.972 * reward.std() / 200**0.5, rel=0.01
        )


def test_what_the_log_cannot_tell_is_refused() -> None:
    with pytest.raises(NotApplicableError, match="had no chance in 1 of 4 decisions"):
        check_overlap(make_log(target_propensity=np.array([0.5, 0.25, 0.0, 0.5])))
    with pytest.raises(NotApplicableError, match="3 of 4 decisions agree .* as much as 2.7 equal"):
        check_overlap(make_log())


def test_predictions_may_be_wrong_but_not_propensities() -> None:
    """Doubly robust estimates stay right on average with any predictions."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        agrees = rng.random(200) < 0.25
        chance, wrong = np.full(200, 0.25), np.full(200, 0.9)
        log = LoggedRewards(rng.random(200) * 0.2, agrees, chance, chance, wrong, wrong)
        found.append(estimate_doubly_robust(log).value)
    assert np.mean(found) == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "thompson"])
def test_intervals_cover_the_truth_of_simulated_logs(kind: str) -> None:
    """Predictions are off by model and by query; the other policy weighs cost by another price."""
    rng = np.random.default_rng(7)
    cost = np.array([0.0, 0.1, 0.3, 0.6])

    def draw(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """True effects, predicted ones, and what the other policy asks."""
        ability = np.array([-0.6, 0.0, 0.6, 1.0]) + 1.2 * rng.standard_normal((count, 1))
        truth = 1 / (1 + np.exp(-ability - 0.7 * rng.standard_normal((count, 4))))
        shift = np.array([0.1, -0.05, 0.0, -0.1])
        predicted = np.clip(0.7 * truth + 0.15 + shift, 0.01, 0.99)
        return truth, predicted, (predicted - 0.5 * cost).argmax(axis=1)

    everyone = np.arange(400_000)
    truth, _, asks = draw(len(everyone))
    expected = truth[everyone, asks].mean()
    exploration = Exploration(0.4, kind, seed=1)  # type: ignore[arg-type]
    hits = {"snips": 0, "doubly_robust": 0}
    for _ in range(LOGS):
        truth, predicted, asks = draw(DECISIONS)
        rows = [
            try_one(exploration, predicted[i], predicted[i] - 0.1 * cost) for i in range(DECISIONS)
        ]
        asked = np.array([row[0] for row in rows])
        chances = np.array([row[1] for row in rows])
        every = np.arange(DECISIONS)
        supported = chances[every, asks] > 0
        assert supported.mean() > (0.999 if kind == "uniform" else 0.9)
        log = LoggedRewards(
            (rng.random(DECISIONS) < truth[every, asked]).astype(float),
            asked == asks,
            chances[every, asked],
            chances[every, asks],
            predicted[every, asked],
            predicted[every, asks],
        )
        if kind == "thompson":  # what had no chance is refused; the truth of the rest is another
            log = LoggedRewards(*(values[supported] for values in log))
            target = truth[every, asks][supported].mean()
        else:
            target = expected
        check_overlap(log)
        for name, estimate in (
            ("snips", estimate_snips(log)),
            ("doubly_robust", estimate_doubly_robust(log)),
        ):
            hits[name] += estimate.low <= target <= estimate.high
    shares = {name: count / LOGS for name, count in hits.items()}
    assert all(0.90 <= share <= 0.98 for share in shares.values()), shares


def try_one(
    exploration: Exploration, effects: np.ndarray, utilities: np.ndarray
) -> tuple[int, np.ndarray]:
    """Who is asked, and the propensity of each."""
    candidates = tuple(
        Candidate(name, effect, None, None, None, utility, None, effect - 0.15, effect + 0.15)
        for name, effect, utility in zip(MODELS, effects.tolist(), utilities.tolist(), strict=True)
    )
    best = candidates[int(utilities.argmax())]
    tried = exploration.try_one(Decision(best.model, best.effect, None, candidates))
    chances = np.array([tried.propensities.get(name, 0.0) for name in MODELS])
    return MODELS.index(tried.model), chances
