"""The studies as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.ablations.figures import bar_figure, curve_figure
from experiments.ablations.results import Ablations
from experiments.quality.differences import SETTINGS, title_of
from graphrouter import __version__
from graphrouter.bench.evaluation.report.html_page import embed, render_page
from graphrouter.bench.evaluation.report.plots import Figure

ON_BARS = ("log_loss", "area_log", "reward_balanced")
ON_CURVES = ("log_loss", "area_log")


def render_ablations(found: Ablations) -> str:
    """The page: bars of what each part buys, and learning curves."""
    plots = {"bars": dict(_bars(found)), "curves": dict(_curves(found))}
    values = {
        "title": "What each part buys",
        "facts": {
            "datasets": ", ".join(found.datasets) or "none",
            "splits a dataset": str(found.num_seeds),
            "graphrouter": __version__,
        },
        "plots": {
            kind: [
                (f"{kind}-{i}", title, embed(figure))
                for i, (title, figure) in enumerate(by_title.items())
            ]
            for kind, by_title in plots.items()
        },
    }
    return render_page(
        "ablations.html.jinja",
        values,
        package="experiments.ablations",
        has_plots=any(plots.values()),
    )


def _bars(found: Ablations) -> Iterator[tuple[str, Figure]]:
    for study, evaluations in found.studies.items():
        for metric in ON_BARS:
            for setting, title in SETTINGS.items():
                figure = bar_figure(evaluations, setting, metric)
                if figure is not None:
                    yield f"{study}: {title_of(metric)}, {title}", figure


def _curves(found: Ablations) -> Iterator[tuple[str, Figure]]:
    for dataset, by_size in found.curves.items():
        for metric in ON_CURVES:
            for setting, title in SETTINGS.items():
                figure = curve_figure(by_size, setting, metric)
                if figure is not None:
                    yield f"{dataset}: {title_of(metric)}, {title}", figure
