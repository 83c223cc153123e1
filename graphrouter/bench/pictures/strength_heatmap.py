"""A picture of how good every model is at every task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.bench.pictures.picture import Heights, Picture
from graphrouter.bench.pictures.picture_style import INK, NARROW, Size
from graphrouter.exceptions import DataError, NotApplicableError
from graphrouter.router.pool_strengths import find_strengths
from graphrouter.types import BoolArray, FloatArray
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from graphrouter.data import RoutingDataset
    from graphrouter.router.graph_router import GraphRouter

_MOST_MODELS, _MOST_TASKS, _TASKS_SIDE_BY_SIDE = 40, 12, 6
"""The last of a telephone, where further tasks stand in grids below each other."""
_DOUBTFUL = 0.3
"""Width of an 80 % interval from which an expectation is marked as doubtful."""
_HUES = ("#ffffff", "#9fbfdf", "#0b3a66")
"""One hue from white to ink: in grey the order stays what it is."""


_INK_LUMINANCE = 0.0172
"""Relative luminance of `INK`."""


@dataclass(frozen=True, eq=False)
class _Grid:
    """Models by tasks, the best model on average first."""

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    effect: FloatArray
    """(num_models, num_tasks), NaN = nothing known."""
    is_doubtful: BoolArray


def draw_heatmap(router: GraphRouter, data: RoutingDataset | None = None) -> Picture:
    """How good every model is at every task: expected by the router, or observed in `data`.

    Cells hold hundredths of effect, and are the darker the better. Of what the router expects, `?`
    marks the cells whose mean 80 % interval is wider than 0.3.

    Args:
        router: Whose expectations, on its solved prompts.
        data: With it, mean effects as they were observed there.

    Raises:
        NotApplicableError: No query has a task.
    """
    grid = _expect(router) if data is None else _observe(data)
    shown = grid.models[:_MOST_MODELS]
    what = "expected by the router" if data is None else f"observed in {data.name}"
    left_out = len(grid.models) - len(shown)
    more_tasks = max(len(grid.tasks) - _MOST_TASKS, 0)
    num_grids = math.ceil(min(len(grid.tasks), _MOST_TASKS) / _TASKS_SIDE_BY_SIDE)
    best = ", ".join(
        f"{grid.models[int(np.nanargmax(column))]} at {task}"
        for task, column in list(zip(grid.tasks, grid.effect.T, strict=True))[:3]
        if np.isfinite(column).any()
    )
    return Picture(
        title=f"Who is good at what, {what}",
        says=f"Mean effect in hundredths, {what}; darker is better"
        + (", ? is doubtful" if grid.is_doubtful.any() else "")
        + (f". {count_of(left_out, 'model')} with less on average left out" if left_out else "")
        + (f". {count_of(more_tasks, 'further task')} in the figures alone" if more_tasks else "")
        + f". Best are {best}.",
        draw=lambda figure, size: _draw(figure, size, grid),
        columns=("model", *grid.tasks),
        rows=[
            (model, *(None if np.isnan(value) else float(value) for value in row))
            for model, row in zip(grid.models, grid.effect, strict=True)
        ],
        heights=Heights(1.6 + 0.27 * len(shown), (1.6 + 0.27 * len(shown)) * num_grids),
    )


def _expect(router: GraphRouter) -> _Grid:
    found = find_strengths(router)
    if found is None:
        raise NotApplicableError(
            "There is no heatmap to draw: none of the queries that the router has solved has a "
            "task. Train it on queries with tasks."
        )
    doubt = [[each.doubt or 0.0 for each in row.strengths] for row in found.rows]
    return _Grid(
        tuple(row.model for row in found.rows),
        tuple(found.tasks),
        np.array([[each.effect for each in row.strengths] for row in found.rows]),
        np.array(doubt) > _DOUBTFUL,
    )


def _observe(data: RoutingDataset) -> _Grid:
    task_of = data.queries["task"].to_numpy(dtype=object)[data.pair_positions[0]]
    outcomes = data.outcomes.assign(task=task_of)
    means = outcomes.dropna(subset=["task", "effect"]).pivot_table(
        index="model", columns="task", values="effect", aggfunc="mean"
    )
    if means.empty:
        raise DataError(
            f"There is no heatmap to draw: no graded query of {data.name!r} has a task. Name the "
            "tasks of some of them."
        )
    counts = data.queries["task"].value_counts()
    tasks = [task for task in counts.index if task in means.columns][:_MOST_TASKS]
    means = means[tasks]
    order = means.mean(axis=1).sort_values(ascending=False, kind="stable").index
    effect = means.loc[order].to_numpy(dtype=np.float64)
    nothing = np.zeros(effect.shape, dtype=bool)
    return _Grid(tuple(order), tuple(tasks), effect, nothing)


def _draw(figure: Figure, size: Size, grid: _Grid) -> None:
    num_tasks = min(len(grid.tasks), _MOST_TASKS)
    width = min(_TASKS_SIDE_BY_SIDE if size.is_narrow else _MOST_TASKS, num_tasks)
    starts = range(0, num_tasks, width)
    for axes, start in zip(figure.subplots(len(starts), squeeze=False)[:, 0], starts, strict=True):
        _draw_grid(axes, size, grid, range(start, min(start + width, num_tasks)))
        axes.set_xlim(-0.5, width - 0.5)  # cells of the last grid are no wider


def _draw_grid(axes: Axes, size: Size, grid: _Grid, shown: range) -> None:
    """The columns of some tasks."""
    from matplotlib.colors import LinearSegmentedColormap

    tasks, models = grid.tasks[shown.start : shown.stop], grid.models[:_MOST_MODELS]
    effect = grid.effect[: len(models), shown.start : shown.stop]
    shades = LinearSegmentedColormap.from_list("effect", _HUES).with_extremes(bad="#f3f4f6")
    axes.imshow(effect, cmap=shades, vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*effect.shape):
        value = effect[row, column]
        mark = "?" if grid.is_doubtful[row, shown.start + column] else ""
        axes.text(
            column,
            row,
            "·" if np.isnan(value) else f"{100 * value:.0f}{mark}",
            ha="center",
            va="center",
            fontsize="small",
            color=_choose_ink(tuple(shades(value))),
        )
    longest = 16 if size is NARROW else 26
    axes.set_yticks(range(len(models)), [_cut(model, longest) for model in models])
    axes.set_xticks(range(len(tasks)), [_cut(task, 20) for task in tasks])
    axes.tick_params(axis="x", top=True, bottom=False, labeltop=True, labelbottom=False, length=0)
    for label in axes.get_xticklabels():
        label.set(rotation=40, ha="left", rotation_mode="anchor")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _choose_ink(shade: Sequence[float]) -> str:
    """White or ink, whichever is read more easily on a shade: contrast as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shade[:3]]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return (
        "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / (_INK_LUMINANCE + 0.05) else INK
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
