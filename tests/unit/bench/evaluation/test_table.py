"""Rows of text and the sentence above them."""

from __future__ import annotations

import math

import pytest

from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.conclusion import conclude, find_mark
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.results import Coverage, Evaluation, SettingResult
from graphrouter.bench.evaluation.table import build_table, explain_gaps, give_verdict

SURE_LESS, SURE_MORE, UNSURE = (
    Interval(-0.02, -0.03, -0.01),
    Interval(0.02, 0.01, 0.03),
    Interval(0.001, -0.01, 0.01),
)


def evaluation(
    loss: dict[str, float],
    difference: dict[str, Interval],
    reward: dict[str, Interval] | None = None,
) -> Evaluation:
    """An evaluation with a log loss, and with a balanced reward where differences of it are
    given."""

    def figures(name: str) -> dict[str, Interval]:
        known = {"log_loss": Interval(loss[name], loss[name] - 0.01, loss[name] + 0.01)}
        if reward is not None:
            known["reward_balanced"] = Interval(0.4, 0.39, 0.41)
        return {metric: known.get(metric, UNDEFINED) for metric in METRICS}

    paired = {
        name: {
            m: {"log_loss": each, "reward_balanced": (reward or {}).get(name, UNDEFINED)}.get(
                m, UNDEFINED
            )
            for m in METRICS
        }
        for name, each in difference.items()
    }
    routers = {name: figures(name) for name in loss}
    why = {
        name: {
            metric: "no cost_usd was observed"
            for metric in METRICS
            if math.isnan(routers[name][metric].value)
        }
        for name in loss
    }
    result = SettingResult(routers, paired, why)
    return Evaluation(
        "graphrouter",
        "tiny",
        10,
        3,
        (0,),
        Coverage(30, 5, 12, 10),
        {"task_known": result, "task_hidden": result},
    )


def test_rows_hold_values_differences_and_marks() -> None:
    found = evaluation(
        {"graphrouter": 0.45, "knn": 0.47, "rasch": 0.449}, {"knn": SURE_LESS, "rasch": UNSURE}
    )
    table = build_table(found)
    assert table.columns == ("log loss",)
    assert [row.router for row in table.rows] == ["graphrouter", "knn", "rasch"]
    assert table.rows[0].cells[0].text == "0.4500 [0.4400, 0.4600]"
    assert table.rows[1].cells[0].text == "0.4700 [0.4600, 0.4800]\n(-0.0200 [-0.0300, -0.0100] *)"
    assert [row.cells[0].mark for row in table.rows] == ["", "better", ""]
    assert table.title == "tiny: 10 queries, 3 models, task known"
    assert any("5 of 10 queries" in note for note in table.notes)
    assert any("Brier" in note and "no cost_usd was observed" in note for note in table.notes)


def test_columns_can_be_chosen() -> None:
    found = evaluation({"graphrouter": 0.45, "knn": 0.47}, {"knn": SURE_LESS}, {"knn": SURE_MORE})
    assert build_table(found, metrics=["reward_balanced", "log_loss"]).columns == (
        "balanced reward",
        "log loss",
    )
    assert build_table(found, setting="task_hidden", metrics=["brier"]).columns == ()


@pytest.mark.parametrize(
    ("difference", "metric", "expected"),
    [
        (SURE_LESS, "log_loss", "better"),
        (SURE_MORE, "log_loss", "worse"),
        (SURE_LESS, "area_log", "worse"),
        (SURE_MORE, "area_log", "better"),
        (UNSURE, "area_log", ""),
        (UNDEFINED, "area_log", ""),
        (Interval(4e-5, 3e-5, 5e-5), "area_log", ""),  # certain, but shown as 0.0000
        (Interval(4e-4, 3e-4, 5e-4), "perf_gain", ""),  # shown as 0.0 %
        (Interval(4e-4, 3e-4, 5e-4), "area_log", "better"),
    ],
)
def test_marks_know_which_way_is_better(difference: Interval, metric: str, expected: str) -> None:
    assert find_mark(difference, METRICS[metric]) == expected


def test_gaps_are_explained_once_for_all_that_share_them() -> None:
    nan = float("nan")
    found = evaluation(
        {"graphrouter": 0.45, "svm": nan, "automix": nan}, {"svm": UNDEFINED, "automix": UNDEFINED}
    )
    result = found.settings["task_known"]
    assert explain_gaps(result, [METRICS["log_loss"]]) == (
        "No log loss for svm and automix: no cost_usd was observed.",
    )
    assert explain_gaps(result, [METRICS["brier"]]) == ()  # nobody has it: `build_table` says so


def test_the_verdict_is_the_conclusion_in_one_line() -> None:
    found = evaluation({"graphrouter": 0.45, "knn": 0.47}, {"knn": SURE_LESS})
    assert give_verdict(found) == conclude(found).text
