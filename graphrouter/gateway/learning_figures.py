"""Figures for Prometheus of what a gateway learns: who is tried, has changed, is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from graphrouter.gateway.background_judging import BackgroundJudging
from graphrouter.gateway.exploring import Exploration
from graphrouter.gateway.store.drift_watch import DriftWatch
from graphrouter.gateway.token_prices import NANOUSD

__all__ = ["LearningFigures"]

_MODEL = ("model",)


class LearningFigures(Collector):
    """Tells what there is when it is asked; what is off has no figures."""

    def __init__(
        self,
        exploration: Exploration | None,
        watch: DriftWatch | None,
        judging: BackgroundJudging | None = None,
    ) -> None:
        """Figures.

        Args:
            exploration: None where nobody is tried.
            watch: None where nobody looks for models that have changed.
            judging: None where nobody judges.
        """
        self._exploration, self._watch, self._judging = exploration, watch, judging

    def collect(self) -> Iterator[Metric]:
        """The figures of this process."""
        if self._exploration is not None:
            yield from _tell_exploration(self._exploration)
        if self._watch is not None:
            yield from _tell_drift(self._watch)
        if self._judging is not None:
            yield from _tell_judging(self._judging)


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


def _tell_drift(watch: DriftWatch) -> Iterator[Metric]:
    evidence = GaugeMetricFamily(
        "graphrouter_drift_evidence",
        "How far a model is on the way to an alarm, from 0 to 1.",
        labels=_MODEL,
    )
    for model, detector in sorted(watch.detectors.copy().items()):
        evidence.add_metric([model], detector.evidence)
    yield evidence
    raised = GaugeMetricFamily(
        "graphrouter_drift_alarms",
        "Alarms of models that have changed, which nobody has closed.",
        labels=("model", "direction"),
    )
    for pair, number in sorted(Counter((e.model, e.direction) for e in watch.open).items()):
        raised.add_metric(pair, number)
    yield raised


def _tell_judging(judging: BackgroundJudging) -> Iterator[Metric]:
    counts = CounterMetricFamily(
        "graphrouter_judged_answers",
        "Answers taken to be judged, by what became of them.",
        labels=("judge", "result"),
    )
    for pair, number in sorted(judging.counts.copy().items()):
        counts.add_metric(pair, number)
    yield counts
    cost = CounterMetricFamily(
        "graphrouter_judge_cost_usd", "US dollars that models as judges cost.", labels=("judge",)
    )
    for judge, nanousd in sorted(judging.nanousd.copy().items()):
        cost.add_metric([judge], nanousd / NANOUSD)
    yield cost
