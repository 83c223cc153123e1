"""Evaluations and robustness reports as tables in a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.bench.evaluation import METRICS, Evaluation, build_table
from graphrouter.bench.evaluation.conclusion import Mark, conclude, find_mark
from graphrouter.bench.evaluation.measures import Unmeasured
from graphrouter.bench.evaluation.metric_catalogue import Metric
from graphrouter.bench.evaluation.report.grids import format_usd
from graphrouter.bench.evaluation.report.on_request_grids import say_trial
from graphrouter.bench.evaluation.results import SettingName, SettingResult
from graphrouter.cli.console import console
from graphrouter.cli.render import format_number, make_table, say, show_table
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from graphrouter.bench.evaluation.bootstrap import Interval
    from graphrouter.bench.evaluation.budget_curves import BudgetCurve
    from graphrouter.bench.evaluation.call_curves import CallCurve
    from graphrouter.bench.evaluation.promise_trials import PromiseTrial
    from graphrouter.bench.evaluation.robustness import ChoiceShift, RobustnessReport

_STYLES: dict[Mark, str] = {"better": "green", "worse": "red", "": ""}
_CHARS_A_METRIC = 31
_CHARS_A_FIGURE = 7
_MAX_COLUMNS = 7
_SHIFT_COLUMNS = ("changed", "flip %", "dearer %", "effect", "cost x")
_WIDE = 100
"""Characters of a terminal from which the second share has room for its interval."""


def show_evaluation(
    evaluation: Evaluation,
    setting: SettingName,
    *,
    metrics: Sequence[str] | None = None,
    intervals: bool = False,
) -> None:
    """Write the figures of one setting, and what they rest on.

    Args:
        evaluation: What was found.
        setting: Which of its settings to show.
        metrics: Names of the metrics to show; all by default.
        intervals: Show every interval; otherwise a star says which differences are sure.
    """
    content = build_table(evaluation, setting=setting, metrics=metrics)
    first_note = f"{evaluation.coverage.num_pairs:,} observed pairs. "
    if intervals:
        _show_intervals(evaluation, setting, metrics)
        first_note = content.notes[0]
    else:
        _show_figures(evaluation, setting, metrics)
        first_note += (
            f"* the 95 % interval of its paired difference from {evaluation.router} excludes zero."
        )
    for note in (first_note, *content.notes[1:]):
        say(note, style="dim")
    say()


def show_calls(curves: Sequence[CallCurve], setting: SettingName) -> None:
    """Write how many calls a query plans and cascades make in each preset, and what these bring.

    Args:
        curves: The evaluated router, then everybody who may call several models.
        setting: Of what is shown.
    """
    where = setting.replace("_", " ")
    table = make_table(f"Calls of a query, {where}", "", "preset", "calls", "effect", "US dollars")
    for curve in curves:
        for number, point in enumerate(curve.presets):
            table.add_row(
                "" if number else curve.router,
                point.preset,
                f"{point.num_calls:.2f}",
                f"{point.effect:.3f}",
                format_usd(point.cost_usd),
            )
    show_table(table)
    say()


def show_budgets(curve: BudgetCurve | Unmeasured, setting: SettingName) -> None:
    """Write what a budget over the batch of all queries buys, means a query.

    Args:
        curve: Of the evaluated router.
        setting: Of what is shown.
    """
    title = f"A budget over the batch, {setting.replace('_', ' ')}"
    if isinstance(curve, Unmeasured):
        say(f"{title}: not measured ({curve.reason}).")
        say()
        return
    columns = ("spent", "effect", "single calls", "best single", "optimum")
    table = make_table(title, "budget", *columns, text_columns=0)
    for point in curve.points:
        table.add_row(
            format_usd(point.budget_usd),
            format_usd(point.spent_usd),
            format_number(point.effect, ".3f"),
            _mark_sure(point.single_call, point.over_single_call),
            _mark_sure(point.best_single, point.over_best_single),
            format_number(point.optimum, ".3f"),
        )
    show_table(table)
    say(
        f"{count_of(curve.num_queries, 'query')}, means a query, US dollars. Single calls, best "
        "single (else the cheapest model) and the optimum, which knows all outcomes, spend as "
        "much as the batch. * the 95 % interval of the difference excludes zero.",
        style="dim",
    )
    say()


def show_promises(trials: Sequence[PromiseTrial] | Unmeasured, setting: SettingName) -> None:
    """Write what could be promised, and what became of it on other queries.

    Args:
        trials: Of the evaluated router.
        setting: Of what is shown.
    """
    title = f"Promises, {setting.replace('_', ' ')}"
    if isinstance(trials, Unmeasured):
        say(f"{title}: not measured ({trials.reason}).")
        say()
        return
    columns = ("promise", "came of it", "kept %", "saved %", "broken")
    table = make_table(title, *columns, text_columns=2)
    for trial in trials:
        found = trial.coverage
        table.add_row(
            f"{trial.keep:.0%} of {trial.reference}",
            say_trial(trial),
            _format_percent(trial.share),
            _format_percent(trial.saving),
            f"{found.num_broken} of {found.num_made}",
        )
    show_table(table)
    first = trials[0]
    for trial in trials:
        if trial.refusal is not None:
            say(f"{trial.keep:.0%}: {trial.refusal}", style="dim")
    if first.excluded:
        say(f"Ruled out, with few outcomes: {', '.join(first.excluded)}.", style="dim")
    say(
        f"Promised by one half of the graded queries, kept and saved on the other, "
        f"{count_of(first.num_tested, 'query')}; brackets: 95 % intervals. Broken: of those made "
        f"by {first.coverage.num_samples} samples of the first half, how many are not true of it.",
        style="dim",
    )
    say()


def _mark_sure(value: float, difference: Interval) -> str:
    """A figure, with a star where its difference is sure."""
    is_sure = difference.excludes_zero and round(difference.value, 4) != 0
    return f"{format_number(value, '.3f')}{'*' if is_sure else ' '}"


def show_verdicts(evaluation: Evaluation, settings: Sequence[SettingName] | None = None) -> None:
    """Write what to use, a line for each setting; one line where they say the same.

    Args:
        evaluation: What was found.
        settings: Which of its settings to speak of; all by default.
    """
    found = [
        conclude(evaluation, setting=setting)
        for setting in (evaluation.settings if settings is None else settings)
    ]
    if len(found) > 1 and len({(each.sentence, each.details) for each in found}) == 1:
        found = [replace(found[0], applies="With and without the task of a prompt")]
    for conclusion in found:
        say(conclusion.text, style="bold")
    say()


def _show_figures(
    evaluation: Evaluation, setting: SettingName, metrics: Sequence[str] | None
) -> None:
    """One row a metric and one column a router.

    The other way round when there are more routers than fit, and then the main metrics alone
    unless others are asked for.
    """
    result = evaluation.settings[setting]
    wanted = [METRICS[name] for name in metrics or METRICS if _is_known(result, METRICS[name])]
    title = build_table(evaluation, setting=setting).title
    if len(result.routers) <= _MAX_COLUMNS:
        _show_by_metric(title, result, wanted)
    else:
        _show_by_router(title, result, [m for m in wanted if metrics or m.is_headline])


def _show_by_metric(title: str, result: SettingResult, metrics: Sequence[Metric]) -> None:
    from rich.text import Text

    table = make_table(title, "", *(name.replace("_", "\n") for name in result.routers))
    for heading, lower in (("higher is better", False), ("lower is better", True)):
        shown = [metric for metric in metrics if metric.lower_is_better == lower]
        if shown:
            table.add_row(Text(heading, style="italic"))
        for metric in shown:
            table.add_row(
                metric.title, *(_format_figure(result, name, metric) for name in result.routers)
            )
    show_table(table)


def _show_by_router(title: str, result: SettingResult, metrics: Sequence[Metric]) -> None:
    """One row a router, as many metrics side by side as the terminal has room for."""
    titles = {metric.name: metric.title.replace("-", " ").split() for metric in metrics}
    widths = [max(_CHARS_A_FIGURE, *map(len, titles[metric.name])) + 2 for metric in metrics]
    room = console.width - max(map(len, result.routers)) - 2
    while metrics:
        fitting = max(1, sum(np.cumsum(widths) <= room))
        shown, metrics, widths = metrics[:fitting], metrics[fitting:], widths[fitting:]
        table = _make_router_table(title, *("\n".join(titles[metric.name]) for metric in shown))
        for name in result.routers:
            table.add_row(name, *(_format_figure(result, name, metric) for metric in shown))
        show_table(table)
        title = ""


def _make_router_table(title: str, *columns: str) -> Table:
    """An empty table with a row a router; names are never broken."""
    table = make_table(title, "", *columns)
    table.columns[0].no_wrap = True
    return table


def _format_figure(result: SettingResult, name: str, metric: Metric) -> Text:
    from rich.text import Text

    value = result.routers[name][metric.name].value
    if not np.isfinite(value):
        return Text("- ")
    difference = result.paired.get(name, {}).get(metric.name)
    mark = "" if difference is None else find_mark(difference, metric)
    text = format(value, ".1%" if metric.is_share else ".4f")
    return Text(f"{text}{'*' if mark else ' '}", style=_STYLES[mark])


def _is_known(result: SettingResult, metric: Metric) -> bool:
    return any(np.isfinite(figures[metric.name].value) for figures in result.routers.values())


def _show_intervals(
    evaluation: Evaluation, setting: SettingName, metrics: Sequence[str] | None
) -> None:
    """One row a router, as many metrics side by side as the terminal has room for."""
    from rich.text import Text

    result = evaluation.settings[setting]
    known = [name for name in (metrics or METRICS) if _is_known(result, METRICS[name])]
    at_once = max(1, (console.width - max(map(len, result.routers)) - 2) // _CHARS_A_METRIC)
    for start in range(0, len(known), at_once):
        content = build_table(evaluation, setting=setting, metrics=known[start : start + at_once])
        table = _make_router_table(content.title if start == 0 else "", *content.columns)
        for row in content.rows:
            table.add_row(
                row.router, *(Text(cell.text, style=_STYLES[cell.mark]) for cell in row.cells)
            )
            table.add_section()
        show_table(table)


def show_robustness(report: RobustnessReport) -> None:
    """Write what noise and additions do to the choices, on all prompts and on the easy ones.

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
    _show_shifts("Noise that changes nothing that is asked", noise)
    _show_shifts("Additions that try to raise the price", additions)
    if report.num_easy:
        _show_shifts(
            f"The same on the {count_of(report.num_easy, 'prompt')} that the cheapest model solved",
            easy,
        )
    for note in _note_shifts(report):
        say(note, style="dim")
    for sentence in _sum_up_shifts(report, noise, easy if report.num_easy else additions):
        say(sentence, style="bold")
    say()


def _show_shifts(title: str, shifts: Mapping[str, ChoiceShift]) -> None:
    """One row a perturbation."""
    if not shifts:
        return
    table = make_table(title, "", *_SHIFT_COLUMNS)
    for name, shift in shifts.items():
        table.add_row(
            name,
            f"{shift.num_changed:,}",
            _format_percent(shift.flip_share),
            _format_percent(shift.dearer_share)
            if console.width >= _WIDE
            else format_number(100 * shift.dearer_share.value, ".1f"),
            format_number(shift.effect_change.value, ".3f"),
            format_number(shift.cost_ratio.value, ".2f"),
        )
    show_table(table)


def _format_percent(share: Interval) -> str:
    """A share in percent with its interval, without the sign; "-" when unknown."""
    value, low, high = (format_number(100 * figure, ".1f") for figure in share)
    return value if low == "-" else f"{value} [{low}, {high}]"


def _note_shifts(report: RobustnessReport) -> list[str]:
    notes = [
        f"{count_of(report.num_queries, 'prompt')}; all figures are over those that a "
        f"perturbation changed. "
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


def _sum_up_shifts(
    report: RobustnessReport, noise: Mapping[str, ChoiceShift], additions: Mapping[str, ChoiceShift]
) -> list[str]:
    """The score, the worst noise and the worst addition in words.

    A share of too few prompts for an interval is no worst.
    """
    said = []
    if math.isfinite(report.score.value):
        kept = _format_percent(report.score)
        said.append(f"Robustness: noise leaves {kept} % of the choices as they are.")
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
