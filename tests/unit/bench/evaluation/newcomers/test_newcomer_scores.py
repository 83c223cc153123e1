"""From answers to figures: averages over runs, paired differences, and what stands at which
shot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.newcomers.newcomer_cells import RETRAINED, SUGGESTED, OutputKey
from graphrouter.bench.evaluation.newcomers.newcomer_scores import (
    TWICE,
    NewcomerRun,
    score_newcomers,
)
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.policy import CostScale
from graphrouter.types import Predictions, Queries

MODELS = ("old", "other", "new")
SHOTS = (0, 5, 10, None)
NUM = 24


def run_of(losses: Mapping[OutputKey, float], *, seed: int = 0, num: int = NUM) -> NewcomerRun:
    """A run in which the newcomer solves everything, and each entry expects it to with the chance
    that has the given loss."""
    ids = tuple(f"q{seed}-{i}" for i in range(num))
    observed = ObservedOutcomes.from_arrays(
        MODELS, np.ones((num, 3)), cost_usd=np.tile([0.1, 0.2, 0.3], (num, 1))
    )
    outputs = {}
    for key, loss in losses.items():
        effect = np.tile([0.5, 0.4, np.exp(-loss)], (num, 1))
        outputs[key] = RouterOutput(
            Predictions.from_arrays(MODELS, effect, cost_usd=observed.cost_usd)
        )
    evaluation_set = EvaluationSet(
        MODELS,
        ids,
        Queries.of(ids),
        observed,
        CostScale.fit(observed.cost_usd),
        observed.to_predictions(),
    )
    return NewcomerRun(seed, evaluation_set, np.array([False, False, True]), True, outputs)


FIRST: dict[OutputKey, float] = {
    ("graphrouter", "0"): 0.5,
    ("graphrouter", "5"): 0.4,
    ("graphrouter", "10"): 0.35,
    ("graphrouter", "all"): 0.3,
    (SUGGESTED, "5"): 0.3,
    (SUGGESTED, "10"): 0.3,
    (RETRAINED, "all"): 0.2,
    **{("rasch", shot): 0.6 for shot in ("0", "5", "10", "all")},
}


def test_figures_and_differences() -> None:
    found = run_of(FIRST)
    figures, paired = score_newcomers(
        [found], [found.evaluation_set.query_ids], shots=SHOTS, num_draws=50
    )
    assert list(dict.fromkeys(name for name, _ in figures)) == [
        "graphrouter",
        SUGGESTED,
        RETRAINED,
        "rasch",
    ]
    assert figures["graphrouter", "5"]["log_loss"].value == pytest.approx(0.4)
    assert figures["graphrouter", "5"]["learned_share"].value == pytest.approx(
        (0.6 - 0.4) / (0.6 - 0.2)
    )
    assert figures["rasch", "10"]["learned_share"].value == 0
    assert paired["rasch", "5"]["log_loss"] == pytest.approx((-0.2, -0.2, -0.2))
    assert ("graphrouter", "5") not in paired
    assert figures["graphrouter", "5"]["area_log_vs_retrained"].value == pytest.approx(0)


def test_retrained_stands_everywhere_and_suggestions_only_matter_in_between() -> None:
    found = run_of(FIRST)
    figures, _ = score_newcomers(
        [found], [found.evaluation_set.query_ids], shots=SHOTS, num_draws=50
    )
    assert [
        figures[RETRAINED, shot]["log_loss"].value for shot in ("0", "5", "10", "all")
    ] == pytest.approx([0.2] * 4)
    assert figures[RETRAINED, "5"]["learned_share"].value == 1
    for shot in ("0", "all"):
        assert figures[SUGGESTED, shot]["log_loss"] == figures["graphrouter", shot]["log_loss"]
    assert figures[SUGGESTED, "5"][TWICE].value == pytest.approx(0.3 - 0.35)
    assert TWICE not in figures[SUGGESTED, "10"]  # nobody was shown 20


def test_runs_are_averaged_and_the_share_is_a_ratio_of_averages() -> None:
    second = {**FIRST, ("graphrouter", "5"): 0.2, (RETRAINED, "all"): 0.6, ("rasch", "0"): 0.8}
    runs = [run_of(FIRST), run_of(second, seed=1)]
    figures, _ = score_newcomers(
        runs, [each.evaluation_set.query_ids for each in runs], shots=SHOTS, num_draws=50
    )
    assert figures["graphrouter", "5"]["log_loss"].value == pytest.approx(0.3)
    assert figures["graphrouter", "5"]["learned_share"].value == pytest.approx(
        (0.7 - 0.3) / (0.7 - 0.4)
    )


def test_without_reference_or_suggestions_the_rest_stands() -> None:
    found = run_of(
        {key: loss for key, loss in FIRST.items() if key[0] in ("graphrouter", RETRAINED)}
    )
    figures, _ = score_newcomers(
        [found], [found.evaluation_set.query_ids], shots=SHOTS, num_draws=50
    )
    assert {name for name, _ in figures} == {"graphrouter", RETRAINED}
    assert "learned_share" not in figures["graphrouter", "5"]


def test_a_handful_of_queries_has_no_interval() -> None:
    found = run_of(FIRST, num=9)
    figures, _ = score_newcomers(
        [found], [found.evaluation_set.query_ids], shots=SHOTS, num_draws=50
    )
    assert figures["graphrouter", "5"]["log_loss"].value == pytest.approx(0.4)
    assert np.isnan(figures["graphrouter", "5"]["log_loss"].low)
