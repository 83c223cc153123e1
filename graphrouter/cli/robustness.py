"""A robustness report as tables in a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from graphrouter.cli.console import console
from graphrouter.cli.render import new_table, number, say, show_table

if TYPE_CHECKING:
    from graphrouter.bench.evaluation.bootstrap import Interval
    from graphrouter.bench.evaluation.robustness import ChoiceShift, RobustnessReport

_COLUMNS = ("changed", "flip %", "dearer %", "effect", "cost x")
_WIDE = 100
"""Characters of a terminal from which the second share has room for its interval."""


def show_robustness(report: RobustnessReport) -> None:
    """Writes what noise and additions do to the choices, on all prompts and on the easy ones, and the score in words.

    Args:
        report: What `measure_robustness` found.
    """
    noise = {
        result.title: result.all for result in report.results.values() if result.kind == "neutral"
    }
    additions = {
        result.title: result.all
        for result in report.results.values()
        if result.kind == "adversarial"
    }
    easy = {
        result.title: result.easy for result in report.results.values() if result.easy is not None
    }
    _show("Noise that changes nothing that is asked", noise)
    _show("Additions that try to raise the price", additions)
    if report.num_easy:
        _show(f"The same on the {report.num_easy:,} prompts that the cheapest model solved", easy)
    for note in _notes(report):
        say(note, style="dim")
    for sentence in _verdict(report, noise, easy if report.num_easy else additions):
        say(sentence, style="bold")
    say()


def _show(title: str, shifts: Mapping[str, ChoiceShift]) -> None:
    """One row a perturbation."""
    if not shifts:
        return
    table = new_table(title, "", *_COLUMNS)
    for name, shift in shifts.items():
        table.add_row(
            name,
            f"{shift.num_changed:,}",
            _percent(shift.flip_share),
            _percent(shift.dearer_share)
            if console.width >= _WIDE
            else number(100 * shift.dearer_share.value, ".1f"),
            number(shift.effect_change.value, ".3f"),
            number(shift.cost_ratio.value, ".2f"),
        )
    show_table(table)


def _percent(share: Interval) -> str:
    """A share in percent with its interval, without the sign; "-" when unknown."""
    value, low, high = (number(100 * figure, ".1f") for figure in share)
    return value if low == "-" else f"{value} [{low}, {high}]"


def _notes(report: RobustnessReport) -> list[str]:
    notes = [
        f"{report.num_queries:,} prompts; all figures are over those that a perturbation changed. "
        "flip %: sent to another model. dearer %: to one of higher expected cost on the original "
        "prompt. "
        "effect: mean change, either way, of the expected effect of the model chosen first. "
        "cost x: expected cost after / before, longer prompts included. Brackets: 95 % bootstrap "
        "intervals over the prompts."
    ]
    if report.num_easy == 0:
        notes.append("No prompt is known to be solved by the cheapest model.")
    if all(math.isnan(result.all.cost_ratio.value) for result in report.results.values()):
        notes.append("The columns on cost are empty: the router predicts none for its choices.")
    return notes


def _verdict(
    report: RobustnessReport, noise: Mapping[str, ChoiceShift], additions: Mapping[str, ChoiceShift]
) -> list[str]:
    """The score, the worst noise and the worst addition in words.

    A share of too few prompts for an interval is no worst.
    """
    said = []
    if math.isfinite(report.score.value):
        said.append(
            f"Robustness: noise leaves {_percent(report.score)} % of the choices as they are."
        )
    flips = {
        name: shift.flip_share.value for name, shift in noise.items() if shift.flip_share.high > 0
    }
    if flips:
        worst = max(flips, key=lambda name: flips[name])
        said.append(f"The worst noise is {worst}: {flips[worst]:.1%} of the choices flip.")
    rises = {
        name: shift.dearer_share.value
        for name, shift in additions.items()
        if math.isfinite(shift.dearer_share.high)
    }
    if rises:
        worst = max(rises, key=lambda name: rises[name])
        which = "easy prompts" if report.num_easy else "prompts"
        said.append(
            f"The worst addition is {worst}: it sends {rises[worst]:.1%} of the {which} to a "
            "dearer model."
            if rises[worst] > 0
            else f"No addition sends any of the {which} to a dearer model."
        )
    return said
