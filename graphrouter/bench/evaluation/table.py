"""An evaluation as rows of text for a table, and what they say in one sentence.

Rendering is the caller's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.conclusion import Mark, conclude, find_mark, join_names
from graphrouter.bench.evaluation.metric_catalogue import METRICS, Metric
from graphrouter.bench.evaluation.results import Evaluation, SettingName, SettingResult
from graphrouter.wording import count_of


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one router."""

    value: str
    """"-" when undefined."""
    interval: str = ""
    """In brackets; empty when undefined."""
    difference: str = ""
    """Evaluated router minus this one, with its interval; empty when there is nothing to
    compare."""
    mark: Mark = ""
    """How the evaluated router does against this one, when the interval of the difference excludes
    zero."""
    number: float = float("nan")
    """The bare value, to sort by; NaN when undefined."""

    @property
    def text(self) -> str:
        """Value and difference in two lines.

        A star marks a difference whose interval excludes zero.
        """
        star = " *" if self.mark else ""
        value = f"{self.value} {self.interval}".rstrip()
        return f"{value}\n({self.difference}{star})" if self.difference else value


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one router, in column order."""

    router: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What to show of one setting."""

    title: str
    metrics: tuple[Metric, ...]
    """What stands in the columns; the router's name stands before them."""
    rows: tuple[Row, ...]
    """The evaluated router first."""
    notes: tuple[str, ...]
    """What the figures rest on, and why some are missing."""
    verdict: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Titles of the metrics."""
        return tuple(metric.title for metric in self.metrics)


def build_table(
    evaluation: Evaluation,
    *,
    setting: SettingName = "task_known",
    metrics: Sequence[str] | None = None,
) -> Table:
    """The figures of one setting; columns that nobody has a figure for are left out.

    Args:
        evaluation: What was found.
        setting: Which of its settings to show.
        metrics: Names of the metrics to show, in this order; all by default.
    """
    result = evaluation.settings[setting]
    wanted = [METRICS[name] for name in (METRICS if metrics is None else metrics)]
    shown = [
        metric
        for metric in wanted
        if any(np.isfinite(by[metric.name].value) for by in result.routers.values())
    ]
    rows = [
        Row(name, tuple(_cell(result, name, metric) for metric in shown)) for name in result.routers
    ]
    state = "task known" if setting == "task_known" else "task hidden"
    return Table(
        title=f"{evaluation.dataset}: {count_of(evaluation.num_queries, 'query')}, "
        f"{evaluation.num_models} "
        f"models, {state}",
        metrics=tuple(shown),
        rows=tuple(rows),
        notes=_notes(evaluation, result, [metric for metric in wanted if metric not in shown]),
        verdict=give_verdict(evaluation, setting=setting),
    )


def give_verdict(
    evaluation: Evaluation,
    *,
    setting: SettingName = "task_known",
    sees_outcomes: Collection[str] | None = None,
) -> str:
    """In plain words, whether the evaluated router is worth its place: the text of `conclude`."""
    return conclude(evaluation, setting=setting, sees_outcomes=sees_outcomes).text


def explain_gaps(result: SettingResult, metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Why single routers lack a figure that others have.

    Those that lack the same for the same reason share a sentence.
    """
    shown = [
        metric
        for metric in metrics
        if any(np.isfinite(by[metric.name].value) for by in result.routers.values())
    ]
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, figures in result.routers.items():
        missing = [metric for metric in shown if not np.isfinite(figures[metric.name].value)]
        reasons = {
            metric.title: result.unmeasured[name].get(metric.name, "undefined")
            for metric in missing
        }
        for reason in sorted(set(reasons.values())):
            titles = tuple(title for title, its_reason in reasons.items() if its_reason == reason)
            alike.setdefault((reason, titles), []).append(name)
    return tuple(
        f"No {join_names(titles, at_most=None)} for {join_names(names, at_most=None)}: {reason}."
        for (reason, titles), names in alike.items()
    )


def _cell(result: SettingResult, name: str, metric: Metric) -> Cell:
    found = result.routers[name][metric.name]
    value, interval = _figure(found, metric)
    difference = result.paired.get(name, {}).get(metric.name)
    if difference is None or not np.isfinite(difference.value):
        return Cell(value, interval, number=found.value)
    text = " ".join(_figure(difference, metric, sign="+")).rstrip()
    return Cell(value, interval, text, find_mark(difference, metric), found.value)


def _figure(interval: Interval, metric: Metric, *, sign: str = "") -> tuple[str, str]:
    """Value and interval as text; the latter is empty when undefined."""
    if not np.isfinite(interval.value):
        return "-", ""
    form = ".1%" if metric.is_share else ".4f"
    ends = f"[{interval.low:{form}}, {interval.high:{form}}]" if np.isfinite(interval.low) else ""
    return format(interval.value, f"{sign}{form}"), ends


def _notes(evaluation: Evaluation, result: SettingResult, hidden: list[Metric]) -> tuple[str, ...]:
    coverage = evaluation.coverage
    notes = [
        f"{coverage.num_pairs} observed pairs. In brackets the 95 % bootstrap interval. "
        "In parentheses the first row minus this one; * means that the interval excludes zero."
    ]
    if 0 < coverage.num_costed_pairs < coverage.num_pairs:
        notes.append(
            f"What weighs cost rests on {coverage.num_costed_queries} of {evaluation.num_queries} "
            "queries "
            f"and {count_of(coverage.num_costed_pairs, 'pair')} whose cost was observed."
        )
    reasons = {
        metric.title: result.unmeasured[evaluation.router].get(metric.name, "undefined")
        for metric in hidden
    }
    for reason in sorted(set(reasons.values())):
        titles = [title for title, its_reason in reasons.items() if its_reason == reason]
        notes.append(f"Not shown: {join_names(titles, at_most=None)} ({reason}).")
    return tuple(notes)
