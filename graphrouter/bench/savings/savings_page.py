"""Savings as one HTML page that needs nothing else: no jargon, for a screen, a telephone, paper."""

from __future__ import annotations

from graphrouter import __version__
from graphrouter.bench.evaluation.report.html_page import render_page
from graphrouter.bench.pictures.picture_style import NARROW, WIDE, show_dollars
from graphrouter.bench.savings.savings_pictures import draw_savings
from graphrouter.bench.savings.savings_result import PolicySavings, Savings
from graphrouter.bench.savings.savings_words import (
    describe_policy,
    give_headline,
    list_sure,
    list_unsure,
    show_points,
)


def name_period(savings: Savings) -> str:
    """What the page is about, as its title."""
    return f"What {savings.num_calls:,} calls of {savings.log} would have cost"


def render_savings_html(savings: Savings, *, period: str = "", command: str = "") -> str:
    """The page; see `render_page` for what it lets nobody do.

    Args:
        savings: From `find_savings`.
        period: When the calls were made, in any form; empty where that is not known.
        command: What was run to get it.
    """
    pictures = [
        (picture, *(picture.to_svg(size, has_title=False) for size in (WIDE, NARROW)))
        for picture in draw_savings(savings)
    ]
    values = {
        "title": name_period(savings),
        "headline": give_headline(savings),
        "period": period,
        "command": command,
        "version": __version__,
        "savings": savings,
        "pictures": pictures,
        "policies": [(each, describe_policy(each)) for each in savings.policies],
        "table": [tell_row(each) for each in (savings.baseline, *savings.policies)],
        "sure": list_sure(savings),
        "unsure": list_unsure(savings),
    }
    package = "graphrouter.bench.savings"
    return render_page("savings.html.jinja", values, package=package, has_plots=False)


def tell_row(policy: PolicySavings) -> tuple[str, str, str, str]:
    """Name, cost, what is saved and quality of a policy, each with its range, for a table.

    Args:
        policy: What is told of.
    """
    cost, (effect, low, high) = policy.cost_usd, policy.effect_ends
    share = policy.saved_share
    saved = "" if share is None else f"{abs(share):.0%} {'less' if share >= 0 else 'more'}"
    return (
        policy.name,
        f"{show_dollars(cost.value)} ({_range(cost.low, cost.high)})",
        saved,
        f"{show_points(effect)} ({show_points(low)} to {show_points(high)})",
    )


def _range(low: float, high: float) -> str:
    if low != low or high != high:
        return "range not known"
    return f"{show_dollars(max(low, 0.0))} to {show_dollars(high)}"
