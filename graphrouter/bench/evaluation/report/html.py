"""Reports as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphrouter.bench.evaluation.budget_curves import BudgetCurve
from graphrouter.bench.evaluation.report.content import Report, Section
from graphrouter.bench.evaluation.report.html_page import embed, render_page
from graphrouter.bench.evaluation.report.layout import Block, lay_out, name_section
from graphrouter.bench.evaluation.report.report_figures import (
    draw_budgets,
    draw_calls,
    draw_frontier,
    draw_reliability,
)

_TEMPLATE = "report.html.jinja"


@dataclass(frozen=True, slots=True)
class _Part:
    """One section as the template wants it."""

    anchor: str
    title: str
    section: Section
    blocks: tuple[Block, ...]
    plots: dict[str, str]
    """Figure as JSON, by its name in the blocks."""


def render_html(reports: Sequence[Report]) -> str:
    """The page of the reports, one chapter a dataset.

    See `render_page` for what it lets nobody do.
    """
    chapters = [(report, _parts(report, number)) for number, report in enumerate(reports)]
    has_plots = any(part.plots for _, parts in chapters for part in parts)
    return render_page(_TEMPLATE, {"chapters": chapters}, has_plots=has_plots)


def _parts(report: Report, number: int) -> list[_Part]:
    return [
        _Part(
            anchor=f"d{number}-{section.setting}",
            title=name_section(report, section),
            section=section,
            blocks=lay_out(report, section),
            plots=_plots(report, section),
        )
        for section in report.sections
    ]


def _plots(report: Report, section: Section) -> dict[str, str]:
    plots = {}
    if section.frontiers is not None:
        plots["frontier"] = embed(draw_frontier(section, section.frontiers))
    if section.calls:
        plots["calls"] = embed(draw_calls(section))
    if isinstance(section.budgets, BudgetCurve):
        plots["budgets"] = embed(draw_budgets(section.budgets, router=report.router))
    if section.reliability:
        plots["reliability"] = embed(draw_reliability(section))
    return plots
