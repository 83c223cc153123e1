"""Reports as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphrouter.evaluation.report.content import Report, Section
from graphrouter.evaluation.report.figures import Figure, frontier_figure, reliability_figure
from graphrouter.evaluation.report.layout import Block, lay_out, section_title

_TEMPLATE = "report.html.jinja"
_SCRIPT, _STYLE = "report.js", "report.css"


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

    Everything that comes from data is escaped, and the page forbids itself every script that it did not bring along, and every
    connection: a prompt cannot run code even where escaping should fail.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    loader = PackageLoader("graphrouter.evaluation.report")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["sort_key"] = _sort_key
    style, script = (loader.get_source(environment, name)[0] for name in (_STYLE, _SCRIPT))
    chapters = [(report, _parts(report, number)) for number, report in enumerate(reports)]
    has_plots = any(part.plots for _, parts in chapters for part in parts)
    scripts = [script, *([get_plotlyjs()] if has_plots else [])]
    return environment.get_template(_TEMPLATE).render(
        chapters=chapters,
        style=style,
        scripts=scripts,
        script_hashes=[_content_hash(text) for text in scripts],
    )


def _parts(report: Report, number: int) -> list[_Part]:
    return [
        _Part(
            anchor=f"d{number}-{section.setting}",
            title=section_title(report, section),
            section=section,
            blocks=lay_out(report, section),
            plots=_plots(section),
        )
        for section in report.sections
    ]


def _plots(section: Section) -> dict[str, str]:
    plots = {}
    if section.frontiers is not None:
        plots["frontier"] = _embed(frontier_figure(section, section.frontiers))
    if section.reliability:
        plots["reliability"] = _embed(reliability_figure(section))
    return plots


def _embed(figure: Figure) -> str:
    """JSON that may stand inside a script element: no `<`, so that nothing in it ends the element."""
    text = json.dumps(figure, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _content_hash(script: str) -> str:
    """Source of a script in a content security policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _sort_key(number: Any) -> str:
    """A number as an attribute; empty when undefined."""
    return repr(float(number)) if math.isfinite(number) else ""
