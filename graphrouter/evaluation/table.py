"""An evaluation as rows of text for a table, and what they say in one sentence. Rendering is the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from graphrouter.evaluation.bootstrap import Interval
from graphrouter.evaluation.evaluate import ORACLE
from graphrouter.evaluation.families import METRICS, Metric
from graphrouter.evaluation.results import Evaluation, SettingName, SettingResult

Mark = Literal["better", "worse", ""]


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one router."""

    value: str
    """With its interval; "-" when undefined."""
    difference: str = ""
    """Evaluated router minus this one, with its interval; empty when there is nothing to compare."""
    mark: Mark = ""
    """How the evaluated router does against this one, when the interval of the difference excludes zero."""

    @property
    def text(self) -> str:
        """Both lines, with a star where the interval of the difference excludes zero."""
        star = " *" if self.mark else ""
        return f"{self.value}\n({self.difference}{star})" if self.difference else self.value


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one router, in column order."""

    router: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What to show of one setting."""

    title: str
    columns: tuple[str, ...]
    """Titles of the metrics; the router's name stands before them."""
    rows: tuple[Row, ...]
    """The evaluated router first."""
    notes: tuple[str, ...]
    """What the figures rest on, and why some are missing."""
    verdict: str


def build_table(evaluation: Evaluation, *, setting: SettingName = "task_known", metrics: Sequence[str] | None = None) -> Table:
    """The figures of one setting; columns that nobody has a figure for are left out.

    Args:
        evaluation: What was found.
        setting: Which of its settings to show.
        metrics: Names of the metrics to show, in this order; all by default.
    """
    result = evaluation.settings[setting]
    wanted = [METRICS[name] for name in (METRICS if metrics is None else metrics)]
    shown = [metric for metric in wanted if any(np.isfinite(by[metric.name].value) for by in result.routers.values())]
    rows = [Row(name, tuple(_cell(result, name, metric) for metric in shown)) for name in result.routers]
    state = "task known" if setting == "task_known" else "task hidden"
    return Table(
        title=f"{evaluation.dataset}: {evaluation.num_queries} queries, {evaluation.num_models} models, {state}",
        columns=tuple(metric.title for metric in shown),
        rows=tuple(rows),
        notes=_notes(evaluation, result, [metric for metric in wanted if metric not in shown]),
        verdict=verdict(evaluation, setting=setting),
    )


def verdict(evaluation: Evaluation, *, setting: SettingName = "task_known") -> str:
    """One sentence: whether the evaluated router is worth its place, by log loss and by the reward it routes for.

    The reward is the balanced preset's, or performance_first's where nothing has a cost.
    """
    result, router = evaluation.settings[setting], evaluation.router
    references = [name for name in result.paired if name != ORACLE]
    if not references:
        return f"{router} was compared with no reference."
    reward = next(
        (m for m in ("reward_balanced", "reward_performance_first") if np.isfinite(result.routers[router][m].value)), None
    )
    sentence = _predictor_verdict(result, router, references)
    return f"{sentence}{_reward_clause(result, router, references, METRICS[reward]) if reward else ''}."


def mark_of(difference: Interval, metric: Metric) -> Mark:
    """Whether a difference (evaluated router minus reference) is surely better, surely worse, or neither."""
    if not difference.excludes_zero:
        return ""
    return "better" if (difference.high < 0) == metric.lower_is_better else "worse"


def _predictor_verdict(result: SettingResult, router: str, references: list[str]) -> str:
    metric = METRICS["log_loss"]
    marks = {name: mark_of(result.paired[name][metric.name], metric) for name in references}
    best = min(references, key=lambda name: result.routers[name][metric.name].value)
    figures = f"log loss {result.routers[router][metric.name].value:.4f} against {result.routers[best][metric.name].value:.4f}"
    if all(mark == "better" for mark in marks.values()):
        return f"{router} predicts better than every reference ({figures} of the next, {best})"
    if marks[best] == "worse":
        return f"Use {best} here: it predicts better than {router} ({figures})"
    beaten = [name for name, mark in marks.items() if mark == "better"]
    than = f", though better than {_listed(beaten)}" if beaten else ""
    return f"{router} predicts no better than {best}, which is simpler ({figures}){than}"


def _reward_clause(result: SettingResult, router: str, references: list[str], metric: Metric) -> str:
    marks = {name: mark_of(result.paired[name][metric.name], metric) for name in references}
    better = [name for name, mark in marks.items() if mark == "better"]
    worse = [name for name, mark in marks.items() if mark == "worse"]
    if worse:
        return f"; {router} routes worse than {_listed(worse)} ({metric.title})"
    if len(better) == len(references):
        return f"; it routes better than all of them ({metric.title})"
    return f"; {router} routes {f'better than {_listed(better)}' if better else 'no better than the references'} ({metric.title})"


def _cell(result: SettingResult, name: str, metric: Metric) -> Cell:
    value = _figure(result.routers[name][metric.name], metric)
    difference = result.paired.get(name, {}).get(metric.name)
    if difference is None or not np.isfinite(difference.value):
        return Cell(value)
    return Cell(value, _figure(difference, metric, sign="+"), mark_of(difference, metric))


def _figure(interval: Interval, metric: Metric, *, sign: str = "") -> str:
    if not np.isfinite(interval.value):
        return "-"
    form = f"{sign}.1%" if metric.is_share else f"{sign}.4f"
    text = format(interval.value, form)
    return f"{text} [{interval.low:{form}}, {interval.high:{form}}]" if np.isfinite(interval.low) else text


def _notes(evaluation: Evaluation, result: SettingResult, hidden: list[Metric]) -> tuple[str, ...]:
    coverage = evaluation.coverage
    notes = [
        f"{coverage.num_pairs} observed pairs. In brackets the 95 % bootstrap interval. "
        "In parentheses the first row minus this one; * means that the interval excludes zero."
    ]
    if 0 < coverage.num_costed_pairs < coverage.num_pairs:
        notes.append(
            f"What weighs cost rests on {coverage.num_costed_queries} of {evaluation.num_queries} queries "
            f"and {coverage.num_costed_pairs} pairs whose cost was observed."
        )
    why = {result.unmeasured[evaluation.router].get(metric.name, "") for metric in hidden}
    titles = {
        reason: _listed([m.title for m in hidden if result.unmeasured[evaluation.router].get(m.name, "") == reason])
        for reason in why
    }
    notes += [f"Not shown: {titles[reason]} ({reason or 'undefined'})." for reason in sorted(why)]
    return tuple(notes)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
