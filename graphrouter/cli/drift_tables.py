"""What new outcomes say about the models of a router, as people read it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.cli.console import console
from graphrouter.cli.render import format_number, make_table, say, shorten, show_table
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.monitoring.drift_report import Comparison, DriftReport, ModelCheck

_TASKS_SHOWN = 3
_COLUMNS = ("outcomes", "expected", "observed", "difference", "p")
_INTERVAL = "interval"
_WIDE = 110
"""Characters of a terminal from which there is room for the interval of a difference too."""
_SHORT = {"changed": "CHANGED", "as expected": "as expected", "too few to tell": "too few"}


def show_drift(report: DriftReport) -> None:
    """Write which models were checked, which tasks were off for all of them, and what to do."""
    columns = (*_COLUMNS, *([_INTERVAL] if console.width >= _WIDE else []))
    # Verdicts are short words before the figures, so that they are read whole at any width; what
    # changed, and on which tasks, follows in sentences.
    table = make_table("Observed and expected effect", "model", "verdict", *columns, text_columns=2)
    table.columns[1].no_wrap = True
    for check in report.models:
        table.add_row(
            shorten(check.model, 60),
            _SHORT[check.verdict],
            *_format_cells(check.overall),
            style="bold" if check.model in report.changed else None,
        )
    show_table(table)
    for check in report.models:
        if check.verdict == "changed":
            say(f"{shorten(check.model, 60)} {_put_in_words(check)}.", style="bold")
    off = [task for task in report.tasks if task.verdict == "changed"]
    if off:
        tasks = make_table(
            "Tasks that were off for the models together: look at the prompts and the grades",
            "task",
            *columns,
        )
        for task in off:
            tasks.add_row(shorten(task.name or "no task", 60), *_format_cells(task))
        show_table(tasks)
    for line in _list_notes(report):
        say(line)
    say(_advise(report))


def _format_cells(found: Comparison) -> list[str]:
    interval = "-" if found.low != found.low else f"{found.low:+.3f} to {found.high:+.3f}"
    figures = (
        format_number(found.expected, ".3f"),
        format_number(found.observed, ".3f"),
        format_number(found.difference, "+.3f"),
    )
    cells = [f"{found.num_outcomes:,}", *figures, format_number(found.p_value, ".3f")]
    return [*cells, interval] if console.width >= _WIDE else cells


def _put_in_words(check: ModelCheck) -> str:
    """In what a model has changed: the direction, and on which tasks."""
    named = sorted(check.changed_tasks, key=lambda task: task.p_value)
    parts = [_name_direction(check.overall)] if check.overall.verdict == "changed" else []
    parts += [
        f"{_name_direction(task)} on {shorten(task.name or 'no task', 30)}"
        for task in named[:_TASKS_SHOWN]
    ]
    more = f" and {len(named) - _TASKS_SHOWN} more tasks" if len(named) > _TASKS_SHOWN else ""
    return f"is {', '.join(parts)}{more}"


def _name_direction(found: Comparison) -> str:
    return "better" if found.difference > 0 else "worse"


def _list_notes(report: DriftReport) -> list[str]:
    """What to know of the comparison, a line each."""
    notes = []
    tested = sum(check.overall.verdict != "too few to tell" for check in report.models)
    if tested == 1:
        notes.append(
            "One model alone was tested: a change of it cannot be told from harder prompts. Run "
            "other models on them too."
        )
    elif tested and abs(report.common_shift) >= 0.005:
        notes.append(
            f"All models together are {report.common_shift:+.3f} off what was expected; this "
            "counts for none of them."
        )
    if report.num_repeated:
        notes.append(
            f"{count_of(report.num_repeated, 'outcome', 'was', 'were')} compared with an older "
            f"outcome of the same "
            "model on the same prompt."
        )
    if report.num_left_out:
        notes.append(
            f"{count_of(report.num_left_out, 'outcome', 'was', 'were')} left out: the router knows "
            f"their prompts from "
            "other models."
        )
    return notes


def _advise(report: DriftReport) -> str:
    if report.changed:
        return (
            f"Changed: {', '.join(report.changed)}. What the router knows of a changed model is "
            "out of date: "
            "put the new outcomes in their place (graphrouter pool add ARTIFACT CARD --outcomes "
            "FILE --replace)."
        )
    few = sum(check.verdict == "too few to tell" for check in report.models)
    if few == len(report.models):
        return "Too few outcomes to tell: no model has 20."
    return f"No model has changed, as far as these outcomes tell (level {report.level:g})."
