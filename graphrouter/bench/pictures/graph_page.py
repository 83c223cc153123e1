"""The graph as a page that can be asked: SVG and a little script, without a library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from graphrouter.bench.evaluation.report.html_page import embed, render_page
from graphrouter.bench.pictures.picture_style import show_dollars
from graphrouter.bench.pictures.routed_graph import RoutedGraph
from graphrouter.decision import SOLVED, Candidate, Decision
from graphrouter.notebook import cut_text
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.bench.pictures.picture import Picture

_PACKAGE = "graphrouter.bench.pictures"
_WIDTH, _ROW, _TOP = 500, 17, 26
"""Units of the drawing: narrow enough for a telephone."""
_COLUMNS = {"task": 138.0, "query": 240.0, "model": 335.0}
_LABEL_CHARS = 16
_MOST_CANDIDATES, _MOST_EVIDENCE, _MOST_SOLVERS = 8, 3, 5


def render_graph_page(picture: Picture, routed: RoutedGraph) -> str:
    """The page; see `render_page` for what it lets nobody do.

    Args:
        picture: Its title and what it says.
        routed: What is drawn.
    """
    height = _TOP + _ROW * routed.num_rows
    places = {
        node: (_COLUMNS[kind], _TOP + (height - _TOP) * (number + 0.5) / len(nodes))
        for kind, nodes in (
            ("task", (*routed.tasks, *routed.users)),
            ("query", routed.queries),
            ("model", routed.models),
        )
        for number, node in enumerate(nodes)
    }
    numbers = {node: number for number, node in enumerate(places)}
    script = files(_PACKAGE).joinpath("templates", "graph.js").read_text("utf-8")
    values = {
        "picture": picture,
        "width": _WIDTH,
        "height": height,
        "nodes": list(_list_nodes(routed, places, numbers)),
        "edges": list(_list_edges(routed, places, numbers)),
        "columns": _COLUMNS,
        "left": "tasks, users" if routed.users else "tasks",
        "stories": embed({"nodes": [_tell(routed, node, numbers) for node in places]}),
    }
    return render_page(
        "graph.html.jinja", values, package=_PACKAGE, has_plots=False, scripts=(script,)
    )


def cut_middle(text: str, width: int) -> str:
    """The text with its middle left out where it is longer: versions differ at their ends.

    Example:
        >>> cut_middle("gpt-4o-mini-2024-07-18", 16)
        'gpt-4o-m…4-07-18'
    """
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def _list_nodes(
    routed: RoutedGraph, places: dict[str, tuple[float, float]], numbers: dict[str, int]
) -> Iterator[dict[str, Any]]:
    for node, (x, y) in places.items():
        attributes = routed.graph.nodes[node]
        kind = attributes["kind"]
        sent = len(routed.sent_to(node)) if kind == "model" else 0
        label = cut_middle(" ".join(str(attributes["label"]).split()), _LABEL_CHARS)
        mark = "unknown"
        if kind == "query":
            mark = {True: "solved", False: "failed", None: "unknown"}[routed.solved(node)]
        yield {
            "number": numbers[node],
            "kind": kind,
            "x": x,
            "y": round(y, 1),
            "label": f"{label} ({sent})" if sent else label,
            "name": f"{kind} {attributes['label']}",
            "mark": mark,
            "is_chosen": bool(sent),
        }


def _list_edges(
    routed: RoutedGraph, places: dict[str, tuple[float, float]], numbers: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Memberships first, then outcomes, then choices, which lie on top."""
    drawn = []
    for start, end, attributes in routed.graph.edges(data=True):
        if start not in places or end not in places:
            continue
        ends = {
            "from": numbers[start],
            "to": numbers[end],
            "start": places[start],
            "end": places[end],
        }
        if attributes["kind"] in {"in", "asked_by"}:
            drawn.append((0, "member", ends))
        elif "effect" in attributes:
            kind = "solved" if attributes["effect"] >= SOLVED else "failed"
            drawn.append((1, f"outcome {kind}", ends))
        if attributes.get("is_choice"):
            drawn.append((2, "choice", ends))
    for _, kind, ends in sorted(drawn, key=lambda item: item[0]):
        yield {"kind": kind, **ends}


def _tell(routed: RoutedGraph, node: str, numbers: dict[str, int]) -> dict[str, Any]:
    """What the panel says of a node: a title, lines of text, tables."""
    attributes = routed.graph.nodes[node]
    kind, label = attributes["kind"], str(attributes["label"])
    if kind == "query":
        return _tell_query(routed, node, routed.decisions[node])
    lines = [cut_text(str(attributes["description"]), 300)] if "description" in attributes else []
    if kind == "model":
        sent = routed.sent_to(node)
        lines.append(f"{count_of(len(sent), 'query')} of {len(routed.queries)} would be sent here.")
        ran = [
            edge["effect"]
            for _, _, edge in routed.graph.in_edges(node, data=True)
            if "effect" in edge
        ]
        if ran:
            lines.append(
                f"It was run on {len(ran)} of all, with a mean effect of {np.mean(ran):.2f}."
            )
        prices = [
            f"{show_dollars(attributes[name])} {word}"
            for name, word in (("input_usd_per_mtok", "in"), ("output_usd_per_mtok", "out"))
            if name in attributes
        ]
        if prices:
            lines.append(f"A million tokens: {', '.join(prices)}.")
        return {"kind": "model", "title": label, "lines": lines, "tables": []}
    find = routed.user_node_of if kind == "user" else routed.task_node_of
    members = [query for query in routed.queries if find(query) == node]
    sent = [routed.model_of(query) for query in members]
    rows = [[model, str(number)] for model, number in Counter(sent).most_common()]
    lines += [f"Of the team {attributes['team']}."] if "team" in attributes else []
    whose = "this user" if kind == "user" else "it"
    lines.append(f"{count_of(len(members), 'query')} of {whose} are drawn here.")
    return {
        "kind": kind,
        "title": label,
        "lines": lines,
        "tables": [{"head": ["would be sent to", "queries"], "rows": rows}],
    }


def _tell_query(routed: RoutedGraph, node: str, decision: Decision) -> dict[str, Any]:
    outcomes = {
        str(routed.graph.nodes[model]["label"]): edge.get("effect")
        for _, model, edge in routed.graph.out_edges(node, data=True)
        if edge["kind"] != "asked_by"
    }
    shown = list(decision.candidates)[:_MOST_CANDIDATES]
    left = len(decision.candidates) - len(shown)
    candidates = {
        "head": ["candidate", "expected", "USD", "it was"],
        "rows": [_tell_candidate(each, decision, outcomes.get(each.model)) for each in shown],
    }
    evidence = {
        "head": ["similar solved query", "solved by"],
        "rows": [
            [cut_text(each.prompt, 110), _name_solvers(each.solved_by, len(each.effects))]
            for each in list(decision.evidence)[:_MOST_EVIDENCE]
        ],
    }
    familiarity = decision.familiarity
    lines = [cut_text(str(routed.graph.nodes[node]["prompt"]), 200)]
    lines.append(f"Goes to {decision.model}, by the policy {routed.policy}.")
    if (user := routed.user_node_of(node)) is not None:
        lines.append(f"Asked by {routed.graph.nodes[user]['label']}.")
    if familiarity is not None:
        lines.append(f"Familiarity {familiarity:.2f} (0 is like nothing seen).")
    if left > 0:
        lines.append(f"{count_of(left, 'candidate')} further down not shown.")
    return {
        "kind": "query",
        "title": str(routed.graph.nodes[node]["label"]),
        "lines": lines,
        "tables": [candidates, *([evidence] if evidence["rows"] else [])],
    }


def _tell_candidate(each: Candidate, decision: Decision, effect: float | None) -> list[str]:
    ends = "" if each.effect_low is None else f" ({each.effect_low:.2f}-{each.effect_high:.2f})"
    return [
        f"{each.model}{' ←' if each.model == decision.model else ''}",
        f"{each.effect:.2f}{ends}" if each.rejected is None else f"out: {each.rejected}",
        "?" if each.cost_usd is None else show_dollars(each.cost_usd),
        "-" if effect is None else f"{effect:.2f}",
    ]


def _name_solvers(solvers: Sequence[str], num_run: int) -> str:
    named = ", ".join(solvers[:_MOST_SOLVERS]) + (", ..." if len(solvers) > _MOST_SOLVERS else "")
    return f"{len(solvers)} of {num_run}: {named}" if solvers else f"none of {num_run}"
