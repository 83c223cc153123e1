"""A study as one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter

from graphrouter import __version__
from graphrouter.bench.evaluation.report.grids import Grid, GridRow
from graphrouter.bench.evaluation.report.html_page import embed, render_page
from graphrouter.bench.evaluation.report.plots import Figure
from graphrouter.bench.evaluation.table import Cell
from graphrouter.bench.tuning.trial_records import TrialRecord
from graphrouter.bench.tuning.tuning_figures import (
    draw_front,
    draw_history,
    draw_importances,
    draw_parallel,
    format_value,
)
from graphrouter.bench.tuning.tuning_result import TuningResult

_TEMPLATE = "tuning.html.jinja"
NOTE = (
    "All figures are those of validation queries, on which the best trial was picked: expect a "
    "little less of it elsewhere. "
    "Train with its settings, and judge the router on test queries."
)


def render_tuning_html(result: TuningResult, *, command: str) -> str:
    """The page: verdict, plots and all trials; see `render_page` for what it lets nobody do.

    Args:
        result: What the study found.
        command: What was run to get it.
    """
    plots = [
        (name, title, embed(figure))
        for name, (title, figure) in draw_tuning_figures(result).items()
    ]
    values = {
        "title": f"{result.dataset}: settings tuned",
        "verdict": result.verdict,
        "improved": result.improved,
        "facts": _facts(result, command),
        "plots": plots,
        "notes": [
            NOTE,
            *([] if result.importances else ["Too few trials to say which settings matter."]),
        ],
        "grids": [
            build_trial_grid(result),
            *(
                [build_failure_grid(result)]
                if any(trial.message for trial in result.trials)
                else []
            ),
        ],
    }
    return render_page(_TEMPLATE, values, package="graphrouter.bench.tuning", has_plots=bool(plots))


def draw_tuning_figures(result: TuningResult) -> dict[str, tuple[str, Figure]]:
    """Title and figure of each plot, by name; none without trials that have values."""
    if not result.completed:
        return {}
    figures = {}
    if len(result.objectives) > 1:
        figures["front"] = ("Pareto front", draw_front(result))
    for each in result.objectives:
        figures[f"history-{each.name}"] = (f"Trials: {each.title}", draw_history(result, each))
    for each in result.objectives:
        if each.name in result.importances:
            title = f"Which settings matter: {each.title}"
            figures[f"importance-{each.name}"] = (
                title,
                draw_importances(result.importances[each.name]),
            )
    for each in result.objectives:
        figures[f"parallel-{each.name}"] = (
            f"Settings of all trials: {each.title}",
            draw_parallel(result, each),
        )
    return figures


def build_trial_grid(result: TuningResult) -> Grid:
    """All trials with what they set and reached; the chosen one is marked."""
    keys = list(result.space.ranges)
    names = tuple(key.rpartition(".")[2] for key in keys)
    rows = tuple(
        GridRow(
            (
                Cell(_label(result, trial)),
                Cell(trial.state),
                *(_number(trial.values.get(each.name), ".4f") for each in result.objectives),
                *(_setting(trial, key) for key in keys),
                _number(trial.seconds, ".1f"),
            ),
            is_evaluated=trial is result.chosen,
        )
        for trial in result.trials
    )
    columns = ("trial", "state", *(each.title for each in result.objectives), *names, "seconds")
    return Grid("All trials", columns, rows, num_text_columns=2)


def build_failure_grid(result: TuningResult) -> Grid:
    """Why trials failed."""
    rows = tuple(
        GridRow((Cell(str(trial.number)), Cell(trial.message)))
        for trial in result.trials
        if trial.message
    )
    return Grid("Failed", ("trial", "reason"), rows, num_text_columns=2)


def _label(result: TuningResult, trial: TrialRecord) -> str:
    return f"{trial.number} ({result.start_name})" if trial.is_start else str(trial.number)


def _setting(trial: TrialRecord, key: str) -> Cell:
    if key not in trial.params:
        return Cell("-")
    value = trial.params[key]
    return Cell(
        format_value(value), number=float(value) if isinstance(value, int | float) else float("nan")
    )


def _number(value: float | None, form: str) -> Cell:
    return Cell("-") if value is None else Cell(format(value, form), number=value)


def _facts(result: TuningResult, command: str) -> dict[str, str]:
    """What everything rests on: the label and the value of each fact."""
    states = Counter(trial.state for trial in result.trials)
    return {
        "trials": ", ".join(f"{count} {state}" for state, count in states.items()) or "none",
        "objectives": ", ".join(f"{each.title} ({each.direction})" for each in result.objectives),
        "chosen": "none" if result.chosen is None else _label(result, result.chosen),
        "study": result.study,
        **({"storage": result.storage} if result.storage else {}),
        "graphrouter": __version__,
        "command": command,
    }
