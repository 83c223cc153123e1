"""The verdict in words, on made-up differences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphrouter.bench.evaluation.additions import (
    find_additions,
    say_nothing_is_left,
    say_what_is_left,
)
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


# --- what is left


def with_additions(
    found: Evaluation, explained: float, additions: dict[str, tuple[float, float]]
) -> Evaluation:
    """The evaluation with a deviation R2 of graphrouter, and what baselines add (value, low)."""
    result = found.settings["task_known"]
    routers = {
        name: {**by, "deviation_r2": Interval(explained, explained, explained)}
        for name, by in result.routers.items()
    }
    for name, (value, low) in additions.items():
        routers[name]["added_deviation_r2"] = Interval(value, low, 2 * value - low)
    return replace(found, settings={"task_known": replace(result, routers=routers)})


LEFT = (
    "Something is left: averaged with knn, graphrouter would explain 12 % more of what tells "
    "models apart on a prompt (deviation R2 0.0102 against 0.0091)."
)


def test_what_a_baseline_surely_adds_is_said_and_the_one_that_adds_most_named() -> None:
    found = evaluation({"best_single": BEATEN, "knn": BEATEN, "svm": BEATEN, "mlp": BEATEN})
    one = conclude(with_additions(found, 0.0091, {"knn": (0.0011, 0.0005), "svm": (0.002, -0.1)}))
    assert (one.kind, one.details) == ("use_router", (LEFT,))
    additions = {"knn": (0.0011, 0.0005), "svm": (0.001, 0.0001), "mlp": (0.00095, 0.0001)}
    three = conclude(with_additions(found, 0.0091, additions))
    assert three.details == (f"{LEFT} 2 other baselines would add too.",)


@pytest.mark.parametrize(
    ("explained", "added", "low"),
    [
        (0.0091, 0.0011, -0.0001),  # not sure
        (0.0091, 0.0008, 0.0005),  # less than a tenth
        (0.001, 0.0004, 0.0003),  # shows as next to nothing
        (-0.001, 0.0004, 0.0003),
        (0.0091, -0.002, -0.003),
    ],
)
def test_what_is_little_or_unsure_is_not_said(explained: float, added: float, low: float) -> None:
    found = evaluation({"best_single": BEATEN, "knn": BEATEN})
    assert conclude(with_additions(found, explained, {"knn": (added, low)})).details == ()


@pytest.mark.parametrize(
    ("explained", "gain", "figures"),
    [
        (-0.01, "be less wrong about", "-0.0070 against -0.0100"),
        (-0.001, "explain some of", "0.0020 against -0.0010"),
        (0.002, "explain 2.5 times as much of", "0.0050 against 0.0020"),
    ],
)
def test_a_router_that_explains_nothing_or_little_has_no_percentage(
    explained: float, gain: str, figures: str
) -> None:
    found = evaluation({"best_single": BEATEN, "knn": BEATEN})
    (detail,) = conclude(with_additions(found, explained, {"knn": (0.003, 0.002)})).details
    assert detail == (
        f"Something is left: averaged with knn, graphrouter would {gain} what tells models apart "
        f"on a prompt (deviation R2 {figures})."
    )


def test_what_makes_the_log_loss_surely_worse_is_nothing_that_was_left() -> None:
    found = evaluation({"best_single": BEATEN, "knn": BEATEN})
    found = with_additions(found, 0.0091, {"knn": (0.003, 0.002)})
    of_knn = found.settings["task_known"].routers["knn"]
    of_knn["added_log_loss"] = Interval(-0.01, -0.02, -0.001)  # type: ignore[index]
    assert conclude(found).details == ()
    of_knn["added_log_loss"] = Interval(-0.01, -0.02, 0.001)  # type: ignore[index]
    assert "Something is left" in conclude(found).text


def test_twins_cascades_and_those_without_a_figure_of_their_own_are_not_named() -> None:
    differences = dict.fromkeys(("best_single", "twin", "frugal_gpt", "narrow"), BEATEN)
    found = evaluation(differences, same_as={"twin": "best_single"})
    adds = dict.fromkeys(("twin", "frugal_gpt", "narrow"), (0.01, 0.005))
    found = with_additions(found, 0.0091, adds)
    found.settings["task_known"].routers["narrow"]["deviation_r2"] = UNDEFINED  # type: ignore[index]
    assert not any("Something is left" in detail for detail in conclude(found).details)


def test_nothing_is_said_to_a_router_without_a_figure_of_its_own() -> None:
    found = evaluation({"best_single": BEATEN, "knn": BEATEN})
    partial = with_additions(found, float("nan"), {"knn": (0.01, 0.005)})
    assert conclude(partial).details == ()


def test_nothing_is_said_of_what_is_left_where_choices_cannot_be_compared() -> None:
    found = evaluation({"best_single": BEATEN, "knn": BEATEN}, num_comparable=3)
    found = with_additions(found, 0.0091, {"knn": (0.01, 0.005)})
    assert "Something is left" not in conclude(found).text


def test_the_report_says_that_nothing_is_left() -> None:
    found = with_additions(evaluation({"knn": BEATEN}), 0.02, {"knn": (0.001, -0.001)})
    result = found.settings["task_known"]
    additions = find_additions(result, "graphrouter", ["knn"])
    assert say_what_is_left("graphrouter", additions) is None
    assert say_nothing_is_left("graphrouter", additions) == (
        "No baseline surely adds to what graphrouter knows."
    )
    little = with_additions(evaluation({"knn": BEATEN}), 0.02, {"knn": (0.001, 0.0005)})
    additions = find_additions(little.settings["task_known"], "graphrouter", ["knn"])
    assert say_nothing_is_left("graphrouter", additions) == (
        "No baseline surely adds much to what graphrouter knows."
    )
