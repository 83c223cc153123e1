"""What a report says, on simulated data."""

from __future__ import annotations

import dataclasses

import pytest

from graphrouter import __version__
from graphrouter.bench.evaluation.evaluate import score_runs
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.report import build_report, render_markdown
from graphrouter.bench.evaluation.report.content import HEADLINE
from graphrouter.exceptions import DataError
from tests.unit.bench.evaluation.report.conftest import Scored


def test_every_setting_has_its_section(scored: Scored) -> None:
    report = build_report(scored.runs, scored.evaluation)
    assert [section.setting for section in report.sections] == ["task_known", "task_hidden"]
    assert (report.router, report.num_splits) == ("graphrouter", 2)
    for section in report.sections:
        routers = [row.router for row in section.headline.rows]
        assert routers == ["graphrouter", "best_single", "task_mean", "frugal_gpt", "oracle"]
        assert section.sees_outcomes == ("frugal_gpt", "oracle")
        assert section.conclusion.sentence
        assert section.conclusion.recommended not in section.sees_outcomes
        assert section.frontiers is not None
        assert [curve.router for curve in section.frontiers.curves] == routers
        assert [curve.router for curve in section.reliability] == [
            "graphrouter",
            "best_single",
            "task_mean",
        ]
        assert [each.preset for each in section.breakdowns] == ["performance_first", "balanced"]
        assert section.loss_preset == "balanced"
        assert "frugal_gpt" not in section.rivals


def test_both_tables_together_show_every_known_metric_once(scored: Scored) -> None:
    section = build_report(scored.runs, scored.evaluation).sections[0]
    first, second = (
        [metric.name for metric in table.metrics] for table in (section.headline, section.others)
    )
    assert set(first) <= set(HEADLINE)
    assert not set(first) & set(second)
    figures = scored.evaluation.settings["task_known"].routers.values()
    known = {name for name in METRICS if any(by[name].value == by[name].value for by in figures)}
    assert set(first) | set(second) == known


def test_missing_figures_are_explained(scored: Scored) -> None:
    section = build_report(scored.runs, scored.evaluation).sections[0]
    assert any("log loss" in note and "frugal_gpt" in note for note in section.gaps)


def test_the_basis_names_what_the_caller_gives_and_nothing_from_the_clock(scored: Scored) -> None:
    plain = build_report(scored.runs, scored.evaluation)
    assert "date" not in plain.basis
    assert "command" not in plain.basis
    dated = build_report(
        scored.runs, scored.evaluation, date="2026-01-31", command="graphrouter benchmark world"
    )
    assert dated.basis["date"] == "2026-01-31"
    assert dated.basis["command"] == "graphrouter benchmark world"
    assert dated.basis["graphrouter"] == __version__
    assert dated.basis["seeds of the splits"] == "0, 1"
    assert dated.basis["queries"].endswith("a split")


def test_the_same_runs_give_the_same_report(scored: Scored) -> None:
    first, second = (repr(build_report(scored.runs, scored.evaluation)) for _ in range(2))
    assert first == second


def test_without_costs_effect_alone_is_reported(without_costs: Scored) -> None:
    section = build_report(without_costs.runs, without_costs.evaluation).sections[0]
    assert section.frontiers is None
    assert section.why_no_frontier == "no training outcome has a cost"
    assert [each.preset for each in section.breakdowns] == ["performance_first"]
    assert section.loss_preset == "performance_first"
    assert [metric.name for metric in section.headline.metrics] == [
        "log_loss",
        "reward_performance_first",
    ]


def test_failed_routers_are_kept(scored: Scored) -> None:
    evaluation = dataclasses.replace(scored.evaluation, failed={"svm": "out of memory"})
    assert build_report(scored.runs, evaluation).failed == {"svm": "out of memory"}


def test_an_evaluation_of_other_runs_is_refused(scored: Scored) -> None:
    with pytest.raises(
        DataError, match="expected the evaluation that `score_runs` makes of these runs"
    ):
        build_report(scored.runs[:1], scored.evaluation)
    with pytest.raises(DataError, match="the runs have"):
        build_report([], scored.evaluation)


def test_what_each_baseline_would_add_is_told_once_for_each_method(scored: Scored) -> None:
    for section in build_report(scored.runs, scored.evaluation).sections:
        result = scored.evaluation.settings[section.setting]
        names = [each.router for each in section.additions]
        assert names == [
            name for name in result.paired if name not in {"oracle", "frugal_gpt", *result.same_as}
        ]
        assert section.what_is_left.startswith(("Something is left: ", "No baseline surely adds"))
        is_left = any(each.is_left for each in section.additions)
        assert is_left == (section.what_is_left in section.conclusion.details)


def test_where_nothing_says_what_is_left_the_reason_stands_there(scored: Scored) -> None:
    runs = [
        dataclasses.replace(
            each, evaluation_set=dataclasses.replace(each.evaluation_set, level=None)
        )
        for each in scored.runs
    ]
    evaluation = score_runs(runs, dataset="simulated", num_draws=20)
    section = build_report(runs, evaluation).sections[0]
    assert section.additions == ()
    assert section.what_is_left == (
        "Not measured: no query but the evaluated ones has an outcome to fit the levels of models "
        "on."
    )
    text = render_markdown([build_report(runs, evaluation)])
    assert "#### What is left\n\nNot measured" in text
