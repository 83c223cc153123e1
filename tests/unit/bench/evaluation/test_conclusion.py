"""The verdict in words, on made-up differences."""

from __future__ import annotations

from dataclasses import replace

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


def evaluation(
    differences: Differences,
    *,
    has_costs: bool = True,
    num_comparable: int = 10,
    same_as: dict[str, str] | None = None,
) -> Evaluation:
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
    result = SettingResult(routers, paired, {name: {} for name in routers}, same_as or {})
    return Evaluation(
        "graphrouter",
        "tiny",
        10,
        3,
        (0,),
        Coverage(30, 5, 12, num_comparable),
        {"task_known": result},
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
        "but does not surely route better than knn and 1 more (area 0.7000 against 0.6990, "
        "balanced reward 0.4000 against 0.3990)."
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
    assert "does not surely route better than knn" in found.sentence


def test_better_routing_may_come_with_no_better_predictions() -> None:
    found = conclude(evaluation({"knn": (UNSURE, SURE_MORE, UNSURE)}))
    assert found.sentence == (
        "graphrouter routes better than every baseline (area 0.7000 against 0.6800 of the next, "
        "knn), "
        "but predicts no better than knn (log loss 0.5000 against 0.4990)."
    )


def test_without_costs_the_reward_of_performance_first_counts() -> None:
    found = conclude(evaluation({"knn": (SURE_LESS, UNSURE, UNSURE)}, has_costs=False))
    assert (
        "does not surely route better than knn (performance reward 0.7000 against 0.6990)"
        in found.sentence
    )


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


def test_no_better_is_said_of_those_that_are_ahead_alone() -> None:
    behind = (SURE_LESS, UNSURE, UNSURE)
    ahead = (SURE_LESS, Interval(-0.001, -0.01, 0.01), UNSURE)
    found = conclude(evaluation({"knn": behind, "svm": ahead}))
    assert "but routes no better than svm and 1 more (area 0.7000 against 0.7010" in found.sentence
    found = conclude(evaluation({"knn": behind}))
    assert "but does not surely route better than knn (area 0.7000 against 0.69" in found.sentence


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ({"knn": BEATEN}, "graphrouter predicts better than every baseline (log loss 0.5000"),
        ({"knn": (SURE_MORE, UNSURE, UNSURE)}, "graphrouter predicts worse than knn (log loss"),
        ({"knn": EQUAL}, "graphrouter predicts no better than knn (log loss 0.5000 against 0.49"),
    ],
)
def test_where_choices_cannot_be_compared_nobody_is_recommended_for_them(
    differences: Differences, said: str
) -> None:
    found = conclude(evaluation(differences, num_comparable=9))
    assert (found.kind, found.recommended) == ("open", None)
    assert found.sentence == (
        "Choices cannot be compared: 9 of 10 queries have outcomes of two models or more (at least "
        "10 are needed), and on the others every choice earns the same."
    )
    assert found.details[0].startswith(said)
    assert "rout" not in found.details[0].replace("graphrouter", "")


def test_a_verdict_on_few_queries_with_a_choice_says_on_how_many() -> None:
    sparse = replace(evaluation({"knn": BEATEN}), num_queries=100)
    assert conclude(sparse).details == (
        "Choices differ on 10 of 100 queries only: the others have the outcome of one model.",
    )


def test_baselines_that_are_one_method_are_counted_once() -> None:
    names = ["best_single", "task_mean", "modem", "composition_of_experts", "knn", "svm", "mlp"]
    differences: Differences = dict.fromkeys(names, (SURE_LESS, UNSURE, UNSURE))
    same_as = {"modem": "task_mean", "composition_of_experts": "task_mean"}
    found = conclude(evaluation(differences, same_as=same_as))
    assert "better than best_single and 4 more" in found.sentence
    assert "Of 5 baselines, graphrouter predicts surely better than 5" in found.text
    assert found.details[-1] == (
        "One method here, counted once: task_mean, modem and composition_of_experts."
    )


def test_each_of_two_verdicts_says_when_it_applies() -> None:
    one = evaluation({"knn": BEATEN})
    [result] = one.settings.values()
    both = replace(one, settings={"task_known": result, "task_hidden": result})
    assert conclude(one).applies == ""
    assert conclude(both).text.startswith("Where you name the task of each prompt: Use graphrouter")
    assert conclude(both, setting="task_hidden").text.startswith("Where you do not name tasks: Use")
