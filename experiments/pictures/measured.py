"""Pictures of committed results: predictions, newcomers, promises and plans."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from experiments.pictures.svg import ACCENT, FAINT, INK, PALE, WIDTH, Drawing
from graphrouter.bench.evaluation.conclusion import find_cascades

EXPERIMENTS = Path(__file__).parents[1]
LEFT, RIGHT = 215, 575
_LOWEST = 0.34
JUDGES = ("auc:0.5", "auc:0.7", "auc:0.8", "auc:0.9", "exact")


def draw_log_loss() -> str:
    """Log loss of the effect on seven datasets, tasks named: graphrouter, the best other, the best
    single model and the network of the paper."""
    found = read_results("main_comparison")
    drawing = Drawing(
        height=118 + 48 * len(found),
        title="Log loss on seven datasets: graphrouter is the lowest on each.",
    )
    drawing.text(20, 34, "Log loss of predictions (less is better)", size=21, bold=True)
    _draw_axis(
        drawing, (0.40, 0.50, 0.60, 0.70), "{:.2f}", _LOWEST, 0.70, bottom=78 + 48 * len(found)
    )
    for row, (dataset, plain) in enumerate(found.items()):
        y = 84 + 48 * row
        figures = plain["settings"]["task_known"]["routers"]
        losses = {name: by["log_loss"]["value"] for name, by in figures.items()}
        excluded = {"graphrouter", "oracle", *find_cascades(losses)}
        rivals = {name for name, loss in losses.items() if loss is not None} - excluded
        best = min(losses[name] for name in rivals)
        at = [_to_x(x, _LOWEST, 0.70) for x in (losses["graphrouter"], best, losses["best_single"])]
        drawing.text(LEFT - 14, y + 6, dataset, anchor="end", size=19)
        drawing.line([(LEFT, y), (RIGHT, y)], colour=FAINT, width=12)
        drawing.cross(_to_x(losses["graphrouter_paper_ties"], _LOWEST, 0.70), y)
        drawing.square(at[2], y)
        drawing.dot(at[1], y, filled=False)
        drawing.dot(at[0], y)
    y = 112 + 48 * len(found) - 8
    return _with_legend(
        drawing,
        y,
        (
            ("dot", "graphrouter"),
            ("ring", f"best of {len(rivals)} others"),
            ("square", "best single model"),
            ("cross", "network of the paper"),
        ),
    )


def draw_newcomers() -> str:
    """Share of what a new training would teach of newcomers, after more and more graded answers;
    the mean of three datasets."""
    found = read_results("newcomers", "*-models.json")
    shots = next(iter(found.values()))["shots"]
    drawing = Drawing(
        height=440,
        title="What is known of new models without any training, from none to all graded answers.",
    )
    drawing.text(20, 34, "How well new models are known", size=21, bold=True)
    top, bottom, left = 66, 336, 80
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = bottom - share * (bottom - top)
        drawing.line([(left, y), (RIGHT, y)], colour=FAINT if share < 1 else INK, width=2)
        drawing.text(left - 10, y + 6, f"{share:.0%}", anchor="end", size=18)
    drawing.text(left + 8, top + 24, "trained again with everything", size=18)
    columns = _spread(left, shots, drawing, bottom)
    for name, dashes in (("graphrouter", ""), ("graphrouter_suggested", "9 6")):
        points = []
        for x, shot in zip(columns, shots, strict=True):
            share = learned_share(found, name, shot)
            points.append((x, bottom - share * (bottom - top)))
        drawing.line(points, colour=ACCENT, width=3, dashes=dashes)
        for x, y in points:
            drawing.dot(x, y, radius=6, filled=name == "graphrouter")
    drawing.text(
        (left + RIGHT) / 2, bottom + 52, "graded answers of the new model", anchor="middle", size=18
    )
    return _with_legend(
        drawing, 420, (("dot", "drawn at random"), ("ring", "those that it asks for"))
    )


def draw_promises() -> str:
    """What a kept share of the best model's effect saves, by dataset."""
    saved = read_savings()
    sets = [name for name in saved if "95%" in saved[name] and name != "simulated"]
    drawing = Drawing(
        height=120 + 46 * len(sets),
        title="Share of the best model's cost that a promised quality saves, on six datasets.",
    )
    drawing.text(20, 34, "Cost saved while the promise holds", size=21, bold=True)
    _draw_axis(drawing, (0, 0.25, 0.5, 0.75, 1), "{:.0%}", 0, 1, bottom=62 + 46 * len(sets))
    for row, name in enumerate(sets):
        y = 74 + 46 * row
        drawing.text(LEFT - 14, y + 6, name, anchor="end", size=19)
        for share, height, fill in (("95%", 14, PALE), ("99%", 14, ACCENT)):
            value = saved[name].get(share, 0.0)
            shift = -15 if share == "95%" else 1
            length = max(0.0, _to_x(value, 0, 1) - LEFT)
            drawing.box(LEFT, y + shift, length, height, fill=fill)
            if value <= 0:
                words = (
                    "99 %: refused"
                    if share not in saved[name]
                    else "99 %: dearer than asking it always"
                )
                drawing.text(LEFT + 6, y + shift + 14, words, size=18)
    y = 106 + 46 * len(sets)
    return _with_legend(
        drawing, y, (("pale", "95 % of its effect kept"), ("accent", "99 % of its effect kept"))
    )


def draw_plans() -> str:
    """Area under the frontier of effect over cost, by how good the judge is; the mean of the sets
    with costs."""
    found = read_results("sequential")
    drawing = Drawing(
        height=420,
        title="What looking at answers brings, by the quality of who judges them.",
    )
    drawing.text(20, 34, "Effect for the money, by the judge", size=21, bold=True)
    top, bottom, left, low, high = 66, 318, 80, 0.7, 0.9
    for area in (0.70, 0.75, 0.80, 0.85, 0.90):
        y = bottom - (area - low) / (high - low) * (bottom - top)
        drawing.line([(left, y), (RIGHT, y)], colour=FAINT)
        drawing.text(left - 10, y + 6, f"{area:.2f}", anchor="end", size=18)
    columns = _spread(left, ("coin", "0.7", "0.8", "0.9", "exact"), drawing, bottom)
    for name in ("graphrouter_sequential", "graphrouter", "frugal_gpt"):
        points = []
        for x, judge in zip(columns, JUDGES, strict=True):
            area = mean_area(found, judge, name)
            points.append((x, bottom - (area - low) / (high - low) * (bottom - top)))
        drawing.line(points, colour=ACCENT if "router" in name else INK, width=3)
        for x, y in points:
            if name == "frugal_gpt":
                drawing.cross(x, y)
            else:
                drawing.dot(x, y, radius=6, filled=name == "graphrouter_sequential")
    drawing.text(
        (left + RIGHT) / 2,
        bottom + 52,
        "area under the ROC curve of the judge",
        anchor="middle",
        size=18,
    )
    return _with_legend(
        drawing,
        400,
        (("dot", "plan of several calls"), ("ring", "one call"), ("cross", "FrugalGPT")),
    )


def read_results(experiment: str, pattern: str = "*.json") -> dict[str, Any]:
    """The committed JSON of an experiment, by dataset."""
    files = sorted((EXPERIMENTS / experiment / "results").glob(pattern))
    return {
        file.stem.removesuffix("-models"): json.loads(file.read_text(encoding="utf-8"))
        for file in files
    }


def learned_share(found: Mapping[str, Any], router: str, shot: str) -> float:
    """The learned share after so many outcomes, the mean over the datasets."""
    shares = [
        plain["routers"][router if shot in plain["routers"][router] else "graphrouter"][shot][
            "learned_share"
        ]["value"]
        for plain in found.values()
    ]
    return mean(shares)


def mean_area(found: Mapping[str, Any], judge: str, router: str) -> float:
    """The area under the frontier, tasks named, the mean over the sets that have costs."""
    return mean(
        plain["choices"][judge]["task_known"][router]["area_log"]
        for plain in found.values()
        if judge in plain["choices"]
    )


def read_savings() -> dict[str, dict[str, float]]:
    """Saved share of the cost, by dataset and kept share, from the page of promises; promises that
    were refused are absent."""
    text = (EXPERIMENTS / "promises" / "README.md").read_text(encoding="utf-8")
    section = text.split("## Savings")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (\d+%) \|.*\| (-?[\d.]+)% \|$", section, flags=re.MULTILINE)
    saved: dict[str, dict[str, float]] = {}
    for name, share, value in rows:
        saved.setdefault(name, {})[share] = float(value) / 100
    return saved


def _spread(left: float, labels: Sequence[str], drawing: Drawing, bottom: float) -> list[float]:
    """Where each of the labelled columns lies; writes the labels below them."""
    step = (RIGHT - left - 60) / (len(labels) - 1)
    columns = [left + 30 + step * place for place in range(len(labels))]
    for x, label in zip(columns, labels, strict=True):
        drawing.text(x, bottom + 26, label, anchor="middle", size=18)
    return columns


def _draw_axis(
    drawing: Drawing, ticks: Sequence[float], form: str, low: float, high: float, *, bottom: float
) -> None:
    for tick in ticks:
        x = _to_x(tick, low, high)
        drawing.line([(x, 52), (x, bottom - 14)], colour=FAINT)
        drawing.text(x, bottom + 6, form.format(tick), anchor="middle", size=18)


def _to_x(value: float, low: float, high: float) -> float:
    """Where a value lies; beyond the axis it lies at its end."""
    return LEFT + (RIGHT - LEFT) * min(max((value - low) / (high - low), 0), 1)


def _with_legend(drawing: Drawing, y: float, entries: Sequence[tuple[str, str]]) -> str:
    """The picture with what its marks mean below it, two in a row."""
    for number, (mark, words) in enumerate(entries):
        x = 40 + (number % 2) * WIDTH / 2
        row = y + 32 * (number // 2)
        if mark == "square":
            drawing.square(x, row)
        elif mark == "cross":
            drawing.cross(x, row)
        elif mark in ("pale", "accent"):
            drawing.box(x - 9, row - 9, 18, 18, fill=PALE if mark == "pale" else ACCENT)
        else:
            drawing.dot(x, row, filled=mark == "dot")
        drawing.text(x + 18, row + 6, words, size=19)
    drawing.height = int(max(drawing.height, y + 32 * ((len(entries) - 1) // 2) + 24))
    return drawing.svg()
