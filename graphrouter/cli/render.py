"""Numbers, texts and decisions as people read them in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from graphrouter.cli.console import console
from graphrouter.decision import SOLVED, Candidate, Decision, Evidence
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from rich.table import Table

    from graphrouter.data import RoutingDataset

UNFAMILIAR = 0.05
"""Familiarity below which a person is told that a prompt is unlike the solved ones: of more prompts
of the kinds solved about one in twenty is."""
NO_COST = (
    "cost unknown: this router was trained on outcomes without cost_usd, and without tokens of "
    "models with a price"
)
_NAMES_SHOWN = 3


def say(text: str = "", *, style: str | None = None) -> None:
    """Write a line to standard output, without reading markup or numbers into it."""
    console.print(text, style=style, markup=False, highlight=False)


def say_line(text: str) -> None:
    """Write a line that the terminal must not break, such as a command to copy."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def make_table(title: str, *columns: str, text_columns: int = 1) -> Table:
    """An empty table: the first columns hold text that may be folded, the others numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title),
        title_justify="left",
        title_style="bold not italic",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for number, column in enumerate(columns):
        is_text = number < text_columns
        table.add_column(
            Text(column),
            justify="left" if is_text else "right",
            overflow="fold",
            no_wrap=not is_text,
        )
    return table


def show_table(table: Table) -> None:
    """Write a table and an empty line to standard output."""
    console.print(table, markup=False, highlight=False)
    say()


def shorten(text: str, width: int) -> str:
    """The text on one line of at most `width` characters, without control characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * width]).split())
    return (
        flat
        if len(flat) <= width and len(text) <= 4 * width
        else f"{flat[: width - 3].rstrip()}..."
    )


def format_number(value: float | None, form: str) -> str:
    """The value in the given format, "-" when it is unknown."""
    return "-" if value is None or math.isnan(value) else format(value, form)


def choose_usd_form(values: Iterable[float | None]) -> str:
    """A format that lets dollar amounts be compared: two significant digits for the smallest."""
    known = [value for value in values if value is not None and math.isfinite(value) and value > 0]
    digits = 1 - math.floor(math.log10(min(known))) if known else 2
    return f",.{min(max(digits, 2), 8)}f"


def show_decision(decision: Decision, policy: str, *, top: int) -> None:
    """Write where to send a query and why: the choice, the best candidates, and the evidence.

    Args:
        decision: What a router decided.
        policy: The policy in words.
        top: Most candidates to show.
    """
    chosen = next(c for c in decision.candidates if c.model == decision.model)
    say(shorten(decision.model, 100), style="bold")
    say(f"  {_describe_expectation(chosen, decision.candidates)}")
    say(f"  policy: {policy}")
    if decision.parts is not None and (decision.parts.seconds or decision.parts.penalties):
        say(f"  utility {decision.parts.total:.4f}: {decision.parts}")
    if decision.route_confidence is not None:
        say(f"  route: {describe_route(decision.route, decision.route_confidence)}")
    if decision.familiarity is not None:
        warning = ": unlike the solved prompts" if decision.familiarity < UNFAMILIAR else ""
        say(f"  familiarity {decision.familiarity:.2f}{warning}")
    if decision.deviation_share < 1:
        say(f"  {describe_share(decision.deviation_share)}")
    if decision.used_fallback:
        say(
            f"  This is the fallback: no model satisfies the policy ({chosen.model}: "
            f"{chosen.rejected})."
        )
    if decision.used_safe_model:
        say(f"  This is the safe model: {_say_why_safe(decision)}.")
    say()
    _show_candidates(decision, top)
    if decision.evidence:
        _show_evidence(decision)


def describe_route(route: str | None, confidence: float) -> str:
    """The named route of a prompt, and how sure that is.

    Example:
        >>> describe_route("law", 0.9), describe_route(None, 0.75)
        ('law (90% sure)', 'none of them (75% sure)')
    """
    return f"{'none of them' if route is None else shorten(route, 60)} ({confidence:.0%} sure)"


def describe_share(share: float) -> str:
    """What it means that not all is believed of what texts say of models.

    Example:
        >>> describe_share(0.0)
        "by the models' levels in the task alone: held queries showed that texts mislead here"
    """
    if share == 0:
        return (
            "by the models' levels in the task alone: held queries showed that texts mislead here"
        )
    return (
        "half by the models' levels in the task: held queries showed that texts say less here "
        "than they seem to"
    )


def describe_missing(missing: Mapping[str, int], num_models: int) -> str:
    """How many graded answers are missing, and of whom.

    Args:
        missing: From `data.learnable.count_missing_outcomes`, not empty.
        num_models: Of the dataset.

    Example:
        >>> describe_missing({"nano": 7, "grand": 3}, 5)
        '10 graded answers are missing until each model has 8: nano 7, grand 3 (2 of 5 models)'
    """
    from graphrouter.data.learnable import ENOUGH_OUTCOMES

    first = sorted(missing.items(), key=lambda item: -item[1])[:3]
    named = ", ".join(f"{shorten(model, 40)} {count}" for model, count in first)
    more = f" and {len(missing) - len(first)} more" if len(missing) > len(first) else ""
    return (
        f"{count_of(sum(missing.values()), 'graded answer', 'is', 'are')} missing until each "
        "model has "
        f"{ENOUGH_OUTCOMES}: {named}{more} ({len(missing)} of {count_of(num_models, 'model')})"
    )


def describe_ungraded(data: RoutingDataset) -> str:
    """How many outcomes of a dataset nobody graded, to stand behind their number; often empty."""
    ungraded = int(data.outcomes["effect"].isna().sum())
    return f" ({ungraded:,} ungraded: they teach costs and times alone)" if ungraded else ""


def format_effect(candidate: Candidate) -> str:
    """The expected effect, and in brackets its 80 % interval where it is known.

    Example:
        >>> ends = {"effect_low": 0.42, "effect_high": 0.779}
        >>> format_effect(Candidate("new", 0.612, None, None, None, 0.6, **ends))
        '0.612 (0.42-0.78)'
    """
    ends = (
        ""
        if candidate.effect_low is None
        else f" ({candidate.effect_low:.2f}-{candidate.effect_high:.2f})"
    )
    return f"{candidate.effect:.3f}{ends}"


def _say_why_safe(decision: Decision) -> str:
    """Why the first candidate was not taken."""
    least, first = decision.policy.get("min_familiarity", 0.0), decision.candidates[0]
    if decision.familiarity is not None and decision.familiarity < least:
        return f"the prompt is less familiar than {least:g}"
    return f"too little is known of {shorten(first.model, 60)}, {format_effect(first)}"


def _describe_expectation(chosen: Candidate, everyone: Sequence[Candidate]) -> str:
    parts = [f"expected effect {format_effect(chosen)}"]
    if chosen.cost_usd is None:
        is_known = any(each.cost_usd is not None for each in everyone)
        parts.append("cost unknown" if is_known else NO_COST)
    else:
        parts.append(f"{format(chosen.cost_usd, choose_usd_form([chosen.cost_usd]))} USD")
    if chosen.output_tokens is not None:
        parts.append(f"{chosen.output_tokens:,.0f} tokens of answer")
    if chosen.latency_s is not None:
        first = "" if chosen.ttft_s is None else f" (first token after {chosen.ttft_s:.2f} s)"
        guess = "" if chosen.has_logged_latency in (None, True) else " (a guess: none was logged)"
        parts.append(f"{chosen.latency_s:.1f} s{guess}{first}")
    elif chosen.ttft_s is not None:
        parts.append(f"first token after {chosen.ttft_s:.2f} s")
    if chosen.output_tokens_per_s is not None:
        parts.append(f"{chosen.output_tokens_per_s:.0f} tokens a second")
    return ", ".join(parts)


def _show_candidates(decision: Decision, top: int) -> None:
    candidates = decision.candidates
    shown = [c for i, c in enumerate(candidates) if i < top or c.model == decision.model]
    quantities = {
        "USD/call": [
            format_number(c.cost_usd, choose_usd_form(x.cost_usd for x in shown)) for c in shown
        ],
        "tokens": [format_number(c.output_tokens, ",.0f") for c in shown],
        "s": [format_number(c.latency_s, ".1f") for c in shown],
    }
    known = {name: cells for name, cells in quantities.items() if set(cells) != {"-"}}
    effect = "effect" if all(c.effect_low is None for c in shown) else "effect (80 %)"
    table = make_table(f"Candidates ({len(shown)} of {len(candidates)})", "model", effect, *known)
    table.add_column("utility, or why not", overflow="fold")
    for row, candidate in enumerate(shown):
        cells = [format_effect(candidate), *(cells[row] for cells in known.values())]
        verdict = candidate.rejected or format_number(candidate.utility, ".4f")
        style = (
            "bold" if candidate.model == decision.model else ("dim" if candidate.rejected else None)
        )
        table.add_row(shorten(candidate.model, 60), *cells, verdict, style=style)
    show_table(table)


def _show_evidence(decision: Decision) -> None:
    table = make_table(
        "Evidence: the most similar solved queries",
        "cosine",
        "task",
        "query and who solved it",
        text_columns=3,
    )
    order = [c.model for c in decision.candidates]
    tasks = [shorten(item.task or "-", 24) for item in decision.evidence]
    width = max(
        40, console.width - max(map(len, tasks)) - len("cosine") - 6
    )  # what the other columns leave
    for task, item in zip(tasks, decision.evidence, strict=True):
        story = f"{shorten(item.prompt, width)}\n{_say_who_solved(item, decision.model, order)}"
        table.add_row(f"{item.similarity:.2f}", task, story)
    show_table(table)


def _say_who_solved(item: Evidence, chosen: str, order: Sequence[str]) -> str:
    """Who solved a query, the chosen model first and then by rank."""
    solved = [model for model in order if item.effects.get(model, 0.0) >= SOLVED]
    solved.sort(key=lambda model: model != chosen)
    names = f": {', '.join(solved[:_NAMES_SHOWN])}" if solved else ""
    more = ", ..." if len(solved) > _NAMES_SHOWN else ""
    fate = (
        ""
        if chosen in solved
        else f"; {chosen} {'did not' if chosen in item.effects else 'was not run'}"
    )
    return f"-> {len(solved)} of {len(item.effects)} solved it{names}{more}{fate}"
