"""The verdict in words, on made-up differences."""

from __future__ import annotations

import pytest

from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.conclusion import conclude, find_cascades
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.results import Coverage, Evaluation, SettingResult

SURE_LESS, SURE_MORE, UNSURE = (
    Interval(-0.02, -0.03, -0.01),
    Interval(0.02, 0.01, 0.03),
    Interval(0.001, -0.01, 0.01),
)
Differences = dict[str, tuple[Interval, Interval, Interval]]
"""Log loss, area and balanced reward: graphrouter minus each baseline."""
BEATEN, EQUAL = (SURE_LESS, SURE_MORE, SURE_MORE), (UNSURE, UNSURE, UNSURE)


def evaluation(differences: Differences, *, has_costs: bool = True) -> Evaluation:
    """An evaluation in which graphrouter has a log loss of 0.5, an area of 0.7 and a reward of
    0.4."""
    names = (
        ("log_loss", "area_log", "reward_balanced")
        if has_costs
        else ("log_loss", "reward_performance_first")
    )
    mine = dict(zip(names, (0.5, 0.7, 0.4), strict=False))

    def complete(known: dict[str, Interval]) -> dict[str, Interval]:
        return {metric: known.get(metric, UNDEFINED) for metric in METRICS}

    paired = {
        name: complete(dict(zip(names, each, strict=False))) for name, each in differences.items()
    }
    routers = {
        "graphrouter": complete(
            {metric: Interval(value, value, value) for metric, value in mine.items()}
        )
    }
    for name, by_metric in paired.items():
        routers[name] = complete({m: Interval(mine[m] - by_metric[m].value, 0, 1) for m in mine})
    result = SettingResult(routers, paired, {name: {} for name in routers})
    return Evaluation(
        "graphrouter", "tiny", 10, 3, (0,), Coverage(30, 5, 12), {"task_known": result}
    )


def test_better_than_everybody_in_both_respects() -> None:
    found = conclude(evaluation({"best_single": BEATEN, "knn": (SURE_LESS, UNSURE, SURE_MORE)}))
    assert (found.kind, found.recommended) == ("use_router", None)
    assert found.text == (
        "Use graphrouter here: it predicts and routes better than every baseline "
        "(log loss 0.5000 against 0.5200 of the next, best_single; area 0.7000 against 0.6990 of "
        "the next, knn)."
    )


def test_the_simplest_baseline_that_is_not_beaten_is_recommended() -> None:
    differences: Differences = {
        "best_single": BEATEN,
        "knn": EQUAL,
        "svm": EQUAL,
        "mlp": (SURE_LESS, UNSURE, UNSURE),
    }
    found = conclude(evaluation(differences))
    assert (found.kind, found.recommended) == ("use_baseline", "knn")
    assert found.sentence == (
        "Use knn here: graphrouter is not surely better on this data "
        "(log loss 0.5000 against 0.4990, area 0.7000 against 0.6990, balanced reward 0.4000 "
        "against 0.3990)."
    )
    assert found.details == ("Not beaten either: svm.",)


def test_a_baseline_that_is_surely_better_comes_before_a_simpler_one_that_is_equal() -> None:
    found = conclude(
        evaluation({"best_single": EQUAL, "knn": (SURE_MORE, UNSURE, UNSURE), "svm": EQUAL})
    )
    assert found.recommended == "knn"
    assert found.sentence.startswith(
        "Use knn here: it predicts better than graphrouter (log loss 0.5000 against 0.4800"
    )
    assert found.details == (
        "best_single is simpler still and not beaten either.",
        "Not beaten either: svm.",
    )


def test_better_predictions_may_route_no_better() -> None:
    found = conclude(
        evaluation(
            {
                "best_single": BEATEN,
                "knn": (SURE_LESS, UNSURE, UNSURE),
                "svm": (SURE_LESS, UNSURE, UNSURE),
            }
        )
    )
    assert (found.kind, found.recommended) == ("mixed", None)
    assert found.sentence == (
        "graphrouter predicts better than every baseline (log loss 0.5000 against 0.5200 of the "
        "next, best_single), "
        "but routes no better than knn and 1 more (area 0.7000 against 0.6990, balanced reward "
        "0.4000 against 0.3990)."
    )


def test_who_routes_surely_better_is_named_before_who_is_equal() -> None:
    found = conclude(
        evaluation({"knn": (SURE_LESS, UNSURE, UNSURE), "svm": (SURE_LESS, SURE_LESS, UNSURE)})
    )
    assert "but routes worse than svm (area 0.7000 against 0.7200" in found.sentence


def test_better_in_one_respect_each() -> None:
    found = conclude(
        evaluation({"knn": (SURE_LESS, UNSURE, UNSURE), "svm": (UNSURE, SURE_MORE, SURE_MORE)})
    )
    assert found.kind == "mixed"
    assert found.sentence.startswith(
        "No baseline is a match for graphrouter in both respects, but it predicts no better than "
        "svm"
    )
    assert "routes no better than knn" in found.sentence


def test_better_routing_may_come_with_no_better_predictions() -> None:
    found = conclude(evaluation({"knn": (UNSURE, SURE_MORE, UNSURE)}))
    assert found.sentence == (
        "graphrouter routes better than every baseline (area 0.7000 against 0.6800 of the next, "
        "knn), "
        "but predicts no better than knn (log loss 0.5000 against 0.4990)."
    )


def test_without_costs_the_reward_of_performance_first_counts() -> None:
    found = conclude(evaluation({"knn": (SURE_LESS, UNSURE, UNSURE)}, has_costs=False))
    assert "routes no better than knn (performance reward 0.7000 against 0.6990)" in found.sentence


def test_routers_that_see_outcomes_are_never_recommended() -> None:
    cascade = (UNDEFINED, SURE_LESS, SURE_LESS)
    found = conclude(
        evaluation({"knn": BEATEN, "automix": cascade, "oracle": cascade}),
        sees_outcomes=["automix"],
    )
    assert found.kind == "use_router"
    assert found.details == ("Not counted, since it looks at answers: automix.",)
    assert (
        conclude(evaluation({"knn": BEATEN, "automix": cascade}), sees_outcomes=[]).recommended
        == "automix"
    )


def test_a_router_that_only_ranks_can_be_recommended() -> None:
    assert (
        conclude(evaluation({"knn": BEATEN, "ranker": (UNDEFINED, UNSURE, UNSURE)})).recommended
        == "ranker"
    )


def test_of_many_baselines_only_a_few_are_named() -> None:
    found = conclude(evaluation({"best_single": BEATEN} | {f"b{i}": EQUAL for i in range(34)}))
    assert found.recommended == "b0"
    assert found.details == (
        "Not beaten either: b1, b2, b3, b4 and 29 more.",
        "Of 35 baselines, graphrouter predicts surely better than 1 and routes surely better than "
        "1.",
    )


@pytest.mark.parametrize("differences", [{}, {"oracle": EQUAL}])
def test_without_a_baseline_there_is_nothing_to_say(differences: Differences) -> None:
    found = conclude(evaluation(differences))
    assert (found.kind, found.text) == ("open", "graphrouter was compared with no baseline.")


def test_without_shared_figures_there_is_nothing_to_say() -> None:
    assert conclude(evaluation({"knn": (UNDEFINED, UNDEFINED, UNDEFINED)})).kind == "open"


def test_the_catalogue_knows_its_cascades() -> None:
    assert find_cascades(["knn", "best_single", "no_such_router"]) == frozenset()
