"""The idea in one picture: outcomes as a graph, a forecast of every model, a choice by a policy.

The forecast is that of the quickstart, rounded; on another processor it may differ a little.
"""

from __future__ import annotations

from experiments.pictures.svg import ACCENT, FAINT, PALE, WIDTH, Drawing

TASKS = ("code", "translation")
QUERIES = ((0, "Sort a list of dates"), (0, "Parse this log line"), (1, "Translate: Good night"))
MODELS = ("small", "medium", "large")
OUTCOMES = {(0, 0): 0, (0, 2): 1, (1, 1): 1, (1, 2): 1, (2, 0): 1, (2, 1): 1}
"""Query and model: whether it was solved. Pairs that were not run have no edge."""
FORECAST = (
    ("juniper-180b", 0.946, 0.91, 0.97, 0.00012, 2.1),
    ("tarn-grand", 0.966, 0.94, 0.98, 0.00085, 1.7),
    ("wayfare-atlas", 0.937, 0.90, 0.96, 0.00028, 1.5),
)
"""Model, expected effect, ends of its 80 % interval, US dollars and seconds."""
TASK_X, QUERY_X, MODEL_X = 20, 190, 545
BAR_X, BAR_WIDTH, LOWEST = 180, 190, 0.85


def draw() -> str:
    """The picture as SVG."""
    drawing = Drawing(
        height=572,
        title="Graded answers become a graph; for a new prompt it foretells the quality, cost and "
        "time of every model; a policy chooses.",
    )
    _draw_graph(drawing)
    _draw_forecast(drawing)
    drawing.box(20, 508, 560, 48, fill=ACCENT, corner=8)
    drawing.text(
        WIDTH / 2,
        539,
        "0.7 x effect - 0.3 x scaled cost → juniper-180b",
        anchor="middle",
        size=20,
        bold=True,
        colour="#ffffff",
    )
    return drawing.svg()


def _draw_graph(drawing: Drawing) -> None:
    drawing.text(20, 34, "1. Graded answers become a graph", size=22, bold=True)
    for x, title, anchor in (
        (20, "tasks", "start"),
        (190, "prompts", "start"),
        (580, "models", "end"),
    ):
        drawing.text(x, 64, title, anchor=anchor, size=18)
    heights = [96, 148, 200]
    task_heights = [122, 200]
    for (query, model), solved in OUTCOMES.items():
        points = [(QUERY_X + 215, heights[query]), (MODEL_X - 62, heights[model])]
        drawing.line(
            points, colour=ACCENT, width=4 if solved else 2, dashes="" if solved else "4 6"
        )
    for number, (task, words) in enumerate(QUERIES):
        drawing.line(
            [(TASK_X + 112, task_heights[task]), (QUERY_X - 6, heights[number])], colour=PALE
        )
        drawing.box(QUERY_X - 6, heights[number] - 20, 221, 40, fill="#ffffff", edge=PALE, corner=6)
        drawing.text(QUERY_X + 4, heights[number] + 6, words, size=19)
    for task, height in zip(TASKS, task_heights, strict=True):
        drawing.box(TASK_X, height - 20, 112, 40, fill=FAINT, corner=20)
        drawing.text(TASK_X + 56, height + 6, task, anchor="middle", size=19)
    for model, height in zip(MODELS, heights, strict=True):
        drawing.box(MODEL_X - 62, height - 20, 97, 40, fill=FAINT, edge=ACCENT)
        drawing.text(MODEL_X - 14, height + 6, model, anchor="middle", size=19)
    drawing.text(20, 256, "thick: solved, dotted: failed, no line: was not run", size=18)


def _draw_forecast(drawing: Drawing) -> None:
    drawing.text(20, 308, "2. A new prompt: what to expect of each", size=22, bold=True)
    drawing.text(BAR_X, 340, "effect, 80 % interval", size=18)
    drawing.text(495, 340, "USD", anchor="end", size=18)
    drawing.text(580, 340, "seconds", anchor="end", size=18)
    for row, (model, effect, low, high, cost_usd, latency_s) in enumerate(FORECAST):
        y = 372 + 36 * row
        chosen = row == 0
        drawing.text(20, y + 6, model, size=20, bold=chosen)
        drawing.box(BAR_X, y - 12, BAR_WIDTH, 24, fill=FAINT)
        drawing.line([(_to_x(low), y), (_to_x(high), y)], width=4)
        for end in (low, high):
            drawing.line([(_to_x(end), y - 7), (_to_x(end), y + 7)], width=3)
        drawing.dot(_to_x(effect), y, filled=chosen)
        drawing.text(495, y + 6, f"{cost_usd:.5f}", anchor="end", size=20, bold=chosen)
        drawing.text(580, y + 6, f"{latency_s:.1f}", anchor="end", size=20, bold=chosen)
    drawing.text(20, 492, "3. You say what counts", size=22, bold=True)


def _to_x(effect: float) -> float:
    return BAR_X + BAR_WIDTH * (effect - LOWEST) / (1 - LOWEST)
