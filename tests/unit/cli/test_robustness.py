"""What a robustness report looks like in a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.perturbations import Kind
from graphrouter.bench.evaluation.robustness import (
    ChoiceShift,
    PerturbationResult,
    RobustnessReport,
)
from graphrouter.cli.console import console
from graphrouter.cli.evaluation_tables import show_robustness


def shift(flip: float, dearer: float | None) -> ChoiceShift:
    costed = UNDEFINED if dearer is None else Interval(1.25, 1.0, 1.5)
    return ChoiceShift(
        num_changed=1_900,
        flip_share=Interval(flip, flip / 2, 2 * flip),
        dearer_share=UNDEFINED if dearer is None else Interval(dearer, dearer / 2, 2 * dearer),
        effect_change=Interval(0.0312, 0.02, 0.04),
        cost_ratio=costed,
        mean_cost_usd_before=costed,
        mean_cost_usd_after=costed,
    )


def result(
    title: str, kind: Kind, flip: float, dearer: float | None, easy: float | None = None
) -> PerturbationResult:
    return PerturbationResult(
        title, kind, shift(flip, dearer), None if easy is None else shift(easy, easy)
    )


def report(*results: PerturbationResult, num_easy: int | None = None) -> RobustnessReport:
    score = Interval(0.9, 0.88, 0.92)
    return RobustnessReport(
        2_000,
        num_easy,
        0,
        1_000,
        {"effect_weight": 0.5},
        score,
        {item.title: item for item in results},
    )


def shown(
    found: RobustnessReport,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    width: int = 120,
) -> str:
    monkeypatch.setattr(console, "_width", width)
    show_robustness(found)
    return capsys.readouterr().out


def line_of(text: str, name: str) -> list[str]:
    return (
        next(line for line in text.splitlines() if line.startswith(name)).removeprefix(name).split()
    )


def test_tables_and_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report(
        result("typos", "neutral", 0.04, 0.01),
        result("tabs", "neutral", 0.08, 0.02),
        result("think", "adversarial", 0.1, 0.05, easy=0.03),
        result("hostile", "adversarial", 0.2, 0.02, easy=0.12),
        num_easy=600,
    )
    text = shown(found, capsys, monkeypatch)
    assert line_of(text, "typos") == [
        "1,900",
        "4.0",
        "[2.0,",
        "8.0]",
        "1.0",
        "[0.5,",
        "2.0]",
        "0.031",
        "1.25",
    ]
    assert text.count("hostile") == 3  # all prompts, easy prompts, verdict
    assert "600 prompts that the cheapest model solved" in text
    assert "noise leaves 90.0 [88.0, 92.0] % of the choices as they are" in text
    assert "The worst noise is tabs: 8.0% of the choices flip." in text
    assert (
        "The worst addition is hostile: it sends 12.0% of the easy prompts to a dearer model."
        in text
    )


def test_narrow_terminal_drops_one_interval_and_wraps_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(
        report(result("difficulty and gibberish", "adversarial", 0.125, 0.101)),
        capsys,
        monkeypatch,
        width=80,
    )
    assert line_of(text, "difficulty and gibberish") == [
        "1,900",
        "12.5",
        "[6.2,",
        "25.0]",
        "10.1",
        "0.031",
        "1.25",
    ]
    assert max(map(len, text.splitlines())) <= 80


def test_unknown_figures_are_dashes_and_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report(
        result("tabs", "neutral", 0.0, None), result("think", "adversarial", 0.1, None), num_easy=0
    )
    text = shown(found, capsys, monkeypatch)
    assert line_of(text, "tabs") == ["1,900", "0.0", "[0.0,", "0.0]", "-", "0.031", "-"]
    assert "The columns on cost are empty" in text
    assert "No prompt is known to be solved by the cheapest model." in text
    assert "worst" not in text
    assert "nan" not in text


def test_additions_that_raise_nothing_are_said_to_do_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(report(result("think", "adversarial", 0.1, 0.0)), capsys, monkeypatch)
    assert "No addition sends any of the prompts to a dearer model." in text


def test_share_of_two_prompts_is_no_worst(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = result("marks", "neutral", 0.5, 0.0)
    few = replace(
        few,
        all=replace(few.all, num_changed=2, flip_share=Interval(0.5, float("nan"), float("nan"))),
    )
    text = shown(report(few, result("tabs", "neutral", 0.1, 0.0)), capsys, monkeypatch)
    assert line_of(text, "marks")[:2] == ["2", "50.0"]
    assert "The worst noise is tabs" in text
