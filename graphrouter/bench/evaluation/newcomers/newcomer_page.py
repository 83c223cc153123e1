"""The comparison on newcomers as one HTML file that needs nothing else, and in Markdown."""

from __future__ import annotations

from graphrouter import __version__
from graphrouter.bench.evaluation.newcomers.newcomer_figures import draw_curves
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation, give_verdict
from graphrouter.bench.evaluation.newcomers.newcomer_tables import (
    MEASURES,
    NOTE,
    build_newcomer_grids,
    choose_title,
)
from graphrouter.bench.evaluation.report.html_page import embed, render_page
from graphrouter.bench.evaluation.report.markdown import escape_text, list_table_lines

_TEMPLATE = "newcomers.html.jinja"


def render_newcomers_html(found: NewcomerEvaluation, *, command: str) -> str:
    """The page: verdict, curves and tables; see `render_page` for what it lets nobody do.

    Args:
        found: What the comparison found.
        command: What was run to get it.
    """
    titles = {measure.name: choose_title(measure, found) for measure in MEASURES}
    values = {
        "title": _title(found),
        "verdict": give_verdict(found),
        "facts": _facts(found, command),
        "plots": [
            (name, titles[name], embed(figure)) for name, figure in draw_curves(found).items()
        ],
        "note": NOTE,
        "grids": build_newcomer_grids(found),
        "failed": found.failed,
    }
    return render_page(_TEMPLATE, values, package="graphrouter.bench.evaluation.newcomers")


def render_newcomers_markdown(found: NewcomerEvaluation, *, command: str) -> str:
    """The same content as GitHub-flavoured Markdown, tables in place of curves."""
    facts = (
        f"{escape_text(label)}: {escape_text(value)}"
        for label, value in _facts(found, command).items()
    )
    lines = [
        f"# {escape_text(_title(found))}",
        "",
        f"**{escape_text(give_verdict(found))}**",
        "",
        "; ".join(facts) + ".",
        "",
    ]
    for grid in build_newcomer_grids(found):
        lines += [f"## {escape_text(grid.caption)}", "", *list_table_lines(grid)]
    lines += [escape_text(NOTE), ""]
    lines += [
        f"Not among them: {escape_text(f'{name} ({reason})')}"
        for name, reason in found.failed.items()
    ]
    return "\n".join(lines).rstrip() + "\n"


def _title(found: NewcomerEvaluation) -> str:
    return (
        f"{found.dataset}: {'models' if found.hold_out == 'models' else 'a task'} that nobody "
        "was trained on"
    )


def _facts(found: NewcomerEvaluation, command: str) -> dict[str, str]:
    """What everything rests on: the label and the value of each fact."""
    held_out = [f"{seed}: {', '.join(names)}" for seed, names in found.held_out.items()]
    return {
        "seeds": ", ".join(map(str, found.seeds)),
        "test queries a run": f"{found.num_queries:,}",
        "models": f"{found.num_models:,}",
        "held out, by seed": "; ".join(held_out),
        "graphrouter": __version__,
        "command": command,
    }
