"""Figures for Prometheus of what a gateway learns: whom it tries, at which price."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from graphrouter.gateway.exploring import Exploration
from graphrouter.gateway.token_prices import NANOUSD

__all__ = ["LearningFigures"]

_MODEL = ("model",)


class LearningFigures(Collector):
    """Tells what there is when it is asked; what is off has no figures."""

    def __init__(self, exploration: Exploration | None) -> None:
        """Figures.

        Args:
            exploration: None where nobody is tried.
        """
        self._exploration = exploration

    def collect(self) -> Iterator[Metric]:
        """The figures of this process."""
        if self._exploration is not None:
            yield from _tell_exploration(self._exploration)


def _tell_exploration(exploration: Exploration) -> Iterator[Metric]:
    figures = exploration.figures
    for name, told, value in (
        ("decisions", "Decisions that might have tried others.", figures.num_decisions),
        ("expected_loss", "Effect expected to be lost by it, summed.", figures.expected_loss),
        ("extra_usd", "US dollars expected to be added.", figures.extra_nanousd / NANOUSD),
    ):
        yield CounterMetricFamily(f"graphrouter_exploration_{name}", told, value=value)
    tried = CounterMetricFamily(
        "graphrouter_tried", "Decisions that tried a model in the place of the best.", labels=_MODEL
    )
    for model, number in sorted(figures.tried.items()):
        tried.add_metric([model], number)
    yield tried
    share = GaugeMetricFamily(
        "graphrouter_newcomer_share",
        "Mean share of a newcomer in the last decisions that might have asked it.",
        labels=_MODEL,
    )
    for model in sorted(figures.newcomers):
        share.add_metric([model], figures.find_share(model) or 0.0)
    yield share
